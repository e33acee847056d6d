"""Stand-ins for the devices of a configuration, read by the agent's own collectors."""

from __future__ import annotations

from pathlib import Path

from agent.config.loader import load
from agent.simulator.rehearsal.plant import rehearsal_of
from agent.testing.context import SimpleContext
from agent.workbench.live import visit_all
from agent.workbench.rehearse import rehearsed, text_of

ROOT = Path(__file__).parents[3]


async def test_fifty_meters_from_a_template_and_a_table_of_51_rows(tmp_path: Path) -> None:
    """Every tag of every meter is read; meters behind one gateway stay behind one gateway."""
    example = ROOT / "configs" / "examples" / "meters.yaml"
    table = (ROOT / "configs" / "examples" / "meters.csv").read_text()
    assert len(table.splitlines()) == 51
    loaded = load(example, {})
    rehearsal = rehearsal_of(loaded.config.devices)
    gateways = {device.url for device in loaded.config.devices.values()}  # type: ignore[attr-defined]
    async with rehearsal.plant:
        urls = {name: home.url for name, home in rehearsal.homes.items()}
        assert len(set(urls.values())) == len(gateways)
        (tmp_path / "rehearsal.yaml").write_text(text_of(rehearsed(loaded, urls)))
        config = load(tmp_path / "rehearsal.yaml", {}).config
        async with SimpleContext() as context:
            visits = await visit_all(config, context, {})  # the context runs the buses itself
    assert len(visits) == 50
    assert [visit.device for visit in visits if not visit.good or len(visit.readings) != 13] == []
