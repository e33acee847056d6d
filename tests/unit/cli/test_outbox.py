"""`edge-agent outbox` on files no agent uses: what it prints, what it refuses, its exit codes."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from agent.cli.outbox import Order, _show, outbox
from agent.outbox import open_outbox
from agent.outbox.operator.protocol import OutboxAnswer, OutboxQuestion
from agent.runtime.asking import socket_path
from agent.runtime.control import Control
from agent.settings.outbox import OutboxSettings
from agent.testing.clock import ManualClock
from agent.testing.records import batch, live
from tests.support.waiting import eventually


@pytest.fixture
async def config(tmp_path):
    """A configuration with two publishers; only the first has ever run: one record waits, one is aside, one kept."""
    document = {
        "agent": {"id": "gw-01", "data_dir": str(tmp_path / "data")},
        "publishers": {name: {"type": "mqtt", "url": "mqtt://127.0.0.1", "root": name} for name in ("plant", "cloud")},
    }
    file = tmp_path / "agent.yaml"
    file.write_text(json.dumps(document))
    settings = OutboxSettings.model_validate({"keep_acked": {}, "min_free_disk": "0B"})
    plant = open_outbox(tmp_path / "data", name="plant", settings=settings, clock=ManualClock())
    async with plant.open():
        with plant.reader() as reader:
            for number in range(3):
                plant.append(batch(number=number))
            first, second, _ = await live(reader, 3)
            reader.ack(first)
            reader.reject(second, "too [red]large")
            await plant.flush()
    return file


def test_shows_what_waits(config, capsys):
    """Figures in a line, streams below; an outbox that is not there is said, and counts."""
    assert outbox(config, Order("list")) == 1
    said = capsys.readouterr()
    assert "of 1 GiB; 1 record waiting, 1 declaration of gaps; 1 record in quarantine, 1 ack" in said.out
    assert [line.split()[:2] for line in said.out.splitlines()[2:]] == [
        ["waits", "press-01"], ["quarantine", "press-01"], ["kept", "press-01"],
    ]  # fmt: skip
    assert "cloud: there is no outbox at" in said.err
    assert outbox(config, Order("list", "plant")) == 0


def test_shows_moves_and_gives_up(config, capsys):
    """Quarantined records with their reason as it is; requeue and resend say what they moved."""
    assert outbox(config, Order("quarantined", "plant")) == 0
    assert "too [red]large" in capsys.readouterr().out
    assert outbox(config, Order("requeue", "plant", everything=True)) == 0
    assert outbox(config, Order("resend", "plant", device="press-*", since="2020-01-01")) == 0
    assert outbox(config, Order("discard", "plant", ids=[7])) == 0
    said = capsys.readouterr().out
    assert "plant: requeued 1 record, 2 readings" in said
    assert "plant: to be sent again: 1 record, 2 readings" in said
    assert "plant: discarded 0 records" in said


async def test_a_running_agent_is_asked_for_what_it_has_open(config, capsys):
    """Through its socket; an outbox that it does not use is asked itself."""
    data_dir, clock = config.parent / "data", ManualClock()
    cloud = open_outbox(data_dir, name="cloud", settings=OutboxSettings(durability="memory"), clock=clock)
    control = Control(data_dir, clock)
    async with asyncio.TaskGroup() as group, cloud.open():
        task = group.create_task(control.run())
        undo = control.serve("outbox cloud", cloud.answer, OutboxQuestion)
        cloud.append(batch())
        await eventually(socket_path(data_dir).is_socket)
        assert await asyncio.to_thread(outbox, config, Order("list")) == 0
        said = capsys.readouterr().out
        assert "of 1 GiB; 1 record waiting, 1 declaration of gaps; 1 record in quarantine, 1 ack" in said
        assert "cloud: 70 B of 1 GiB; 1 record waiting" in said
        undo()
        task.cancel()


@pytest.mark.parametrize("running", [True, False])
async def test_a_full_outbox_is_shown_with_what_it_lost(config, capsys, running):
    """How full of how much, and what is gone since when; a stopped agent's: as far as the consumer does not know."""
    data_dir, clock = config.parent / "data", ManualClock()
    config.write_text(config.read_text().replace('"cloud": {', '"cloud": {"outbox": {"max_bytes": "64KiB"},'))
    settings = OutboxSettings.model_validate({"max_bytes": "64KiB", "min_free_disk": "0B"})
    cloud = open_outbox(data_dir, name="cloud", settings=settings, clock=clock)
    async with cloud.open():
        for number in range(200):
            cloud.append(batch(number=number, readings=100))
            await cloud.flush()
        lost = cloud.stats.lost
        assert lost.records > 50
        if running:
            listing = (await cloud.answer(OutboxQuestion("list"))).listing
            _show({"cloud": OutboxAnswer(listing=listing)}, Order("list"))
    if not running:
        assert outbox(config, Order("list", "cloud")) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"cloud: 6[0-4][.\d]* of 64 KiB, FULL, {lost.records} lost since 2025-11-21T21:20:00Z; ", shown)


def test_without_a_configuration_the_files_tell_who_there_is(config, tmp_path, capsys):
    """By `--data-dir`, or where the configuration does not load: what is in them can be asked all the same."""
    assert outbox(config, Order("list"), tmp_path / "data") == 0
    assert "plant: 288 B; 1 record waiting" in capsys.readouterr().out
    config.write_text(config.read_text().replace("mqtt:", "mqqt:"))
    assert outbox(config, Order("list")) == 0
    assert "plant: 288 B; 1 record waiting" in capsys.readouterr().out
    assert outbox(config, Order("list", "cloud")) == 2
    assert "there is no publisher 'cloud'; there are: plant" in capsys.readouterr().err


def test_orders_without_a_name_leave_former_publishers_alone(config, capsys):
    """They are shown; what is to be done with them is said by their name."""
    config.write_text(config.read_text().replace('"plant"', '"main"'))
    assert outbox(config, Order("list")) == 1
    assert "plant (no publisher has this name; `was: plant` under its successor sends it): " in capsys.readouterr().out
    assert outbox(config, Order("discard", everything=True)) == 1
    assert "plant" not in capsys.readouterr().out
    assert outbox(config, Order("discard", "plant", everything=True)) == 0
    assert "plant: discarded 1 record" in capsys.readouterr().out


def test_json_is_for_programs(config, capsys):
    """Everything, by publisher."""
    outbox(config, Order("list", "plant", json=True))
    listing = json.loads(capsys.readouterr().out)["plant"]["listing"]
    assert [heap["records"] for heap in listing["waiting"]] == [1]
    outbox(config, Order("quarantined", "plant", json=True))
    assert json.loads(capsys.readouterr().out)["plant"]["quarantined"][0]["seq"] == 2


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (Order("list", "nobody"), "there is no publisher 'nobody'; there are: plant, cloud"),
        (Order("resend"), "resend what? Narrow it with ids, --device"),
        (Order("resend", ids=[1]), "resend takes no ids"),
        (Order("discard", ids=[1]), "say which with --publisher"),
        (Order("requeue", "plant", ids=[1], everything=True), "contradict each other"),
        (Order("resend", since="yesterday"), "neither a duration (10m) nor an instant"),
    ],
)
def test_slips_are_said(config, capsys, order, said):
    """With what to write instead, exit 2, and nothing happens."""
    assert outbox(config, order) == 2
    assert said in capsys.readouterr().err


def test_mistakes_of_the_configuration(tmp_path, capsys):
    """As everywhere: file, line, exit 2."""
    file = tmp_path / "agent.yaml"
    file.write_text("agent: {id: gw-01, data_dri: /tmp}\n")
    assert outbox(file, Order("list")) == 2
    assert f"{file}:1" in capsys.readouterr().err
