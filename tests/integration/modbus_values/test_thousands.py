from __future__ import annotations

from pathlib import Path

from agent.collectors.modbus.config import ModbusConfig
from agent.config.loader import load
from agent.normalize import compile_normalizer
from agent.testing.context import SimpleContext
from tests.integration.modbus.reading import take
from tests.integration.modbus.servers import Plant, pattern, plant

TAGS = 5_000


def table() -> tuple[str, dict[str, object]]:
    """A CSV with thousands of tags over all areas, and what each of them is to say."""
    values = pattern(1)
    lines = ["tag,address,type,scale,round,unit,interval"]
    truth: dict[str, object] = {}
    for number in range(TAGS):
        area = ("holding", "input", "coil", "discrete")[number % 4]
        offset = number // 4
        name = f"{area[0]}{offset}"
        raw = values[area][offset]
        if area in ("coil", "discrete"):
            lines.append(f"{name},{area}:{offset},,,,,")
            truth[name] = bool(raw)
        elif number % 3:
            lines.append(f"{name},{area}:{offset},uint16,0.5,1,bar,")
            truth[name] = raw * 0.5
        else:
            lines.append(f"{name},{area}:{offset},int16,,,,200ms")
            truth[name] = raw - 0x10000 if raw & 0x8000 else raw
    return "\n".join(lines), truth


def written(folder: Path, running: Plant, text: str) -> Path:
    (folder / "press.csv").write_text(text, encoding="utf-8")
    path = folder / "agent.yaml"
    path.write_text(
        "agent: {id: gw}\n"
        "devices:\n"
        "  press:\n"
        "    type: modbus\n"
        f"    url: {running.url}\n"
        "    interval: 100ms\n"
        "    max_gap: 2\n"
        "    tags_file: press.csv\n"
        "    tags: {}\n",
        encoding="utf-8",
    )
    return path


async def test_thousands_of_tags_from_a_table(tmp_path: Path) -> None:
    """5,000 tags of a CSV each arrive under their own name with their own value, in as few requests as there can be."""
    text, truth = table()
    async with plant() as running, SimpleContext() as context:
        config = load(written(tmp_path, running, text), {}).config.devices["press"]
        assert isinstance(config, ModbusConfig)
        normalize = compile_normalizer("press", config.tag_table, cat=lambda: 1, clock=context.clock)
        said: dict[str, object] = {}
        async with config.build("press", context).open() as samples:
            while len(said) < TAGS:
                batch = normalize(await take(samples, 20.0))
                for reading in batch.readings if batch is not None else ():
                    assert reading.quality == "good"
                    said[reading.tag] = reading.value
            note = context.notes["press", "modbus"]
        assert said == truth
        assert isinstance(note, dict)
        registers = [block for block in note["blocks"] if block.startswith(("holding", "input"))]
        assert len(registers) == 2 * 2 * 10  # two areas, two intervals, 1,250 offsets, 125 in a request
        assert len(note["blocks"]) - len(registers) == 2
