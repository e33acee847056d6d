"""docs/outbox.md says what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from agent.core.clock import SystemClock
from agent.outbox import open_outbox
from agent.outbox.bounds import FLOOR_BYTES
from agent.outbox.file.ballast import MOST
from agent.outbox.file.salvage import KEPT
from agent.outbox.gaps import REASONS
from agent.outbox.lanes import LANE_BYTES
from agent.outbox.pace import GATHER, PACE, THICK
from agent.outbox.refusal import RETRY
from agent.outbox.ring import LIVE_BYTES, RING_BYTES, RING_RECORDS
from agent.outbox.spared import WAIT
from agent.settings.outbox import OutboxSettings
from agent.telemetry.events import EVENTS
from agent.testing.records import batch, live
from tests.support.processes import agent_command, run_process

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "outbox.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^edge-agent (outbox .*?) +#", TEXT, re.MULTILINE)


def test_its_keys_are_those_of_the_configuration():
    """All of them are shown, and but for the optional ones with their defaults."""
    shown, *_ = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    keys = yaml.safe_load(shown)["outbox"]
    assert keys.keys() == OutboxSettings.model_fields.keys()
    assert OutboxSettings.model_validate(keys | {"keep_acked": None}) == OutboxSettings()


def test_its_figures_are_those_of_the_code():
    """Bounds and times."""
    said = " ".join(TEXT.split())
    for words in (
        "the next one waits | {memory:g} ms | {commit:g} ms | {fsync:g} ms |".format(
            **{durability: seconds * 1000 for durability, seconds in PACE.items()}
        ),
        f"more than {THICK:g} records a second come, what comes within {GATHER * 1000:g} ms",
        f"read in the last {WAIT:g} s and not acknowledged",
        f"the ring holds {RING_RECORDS:,} records or {RING_BYTES >> 20} MiB",
        f"tries again every {RETRY:g} s",
        f"{FLOOR_BYTES >> 20} MiB are always allowed",
        f"up to {MOST >> 20} MiB beside the file",
        f"(the newest {KEPT} are kept)",
        f"{LIVE_BYTES >> 10} KiB of a session's live lane",
        f"beyond {LANE_BYTES >> 20} MiB of it the older half",
    ):
        assert words in said
    assert REASONS.keys() <= set(re.findall(r"`(\w+)` \|$", TEXT, re.MULTILINE))
    assert set(re.findall(r"`(outbox\.\w+)`", TEXT)) <= EVENTS.keys()


@pytest.mark.parametrize("command", COMMANDS)
async def test_its_commands_run(command, tmp_path):
    """On the file of a stopped agent."""
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"agent: {{id: gw-01, data_dir: {tmp_path}}}\n"
        "outbox: {keep_acked: {age: 10m}}\n"
        'publishers: {plant: {type: mqtt, url: "mqtt://127.0.0.1:1883"}}\n'
    )
    settings = OutboxSettings.model_validate({"keep_acked": {"age": "10m"}})
    outbox = open_outbox(tmp_path, name="plant", settings=settings, clock=SystemClock())
    async with outbox.open():
        with outbox.reader() as reader:
            for _ in range(2):
                outbox.append(batch())
            first, second = await live(reader, 2)
            reader.ack(first)
            reader.reject(second, "too large for this broker")
            await outbox.flush()
    done = run_process(
        *agent_command(
            *shlex.split(
                command.replace("agent.yaml", str(config)).replace("--data-dir /data", f"--data-dir {tmp_path}")
            )
        )
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("plant: ")


def test_there_are_commands():
    """One for each verb, and one without a configuration."""
    assert len(COMMANDS) == 6
