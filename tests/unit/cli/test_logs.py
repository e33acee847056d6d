"""`edge-agent logs`: JSON lines for people."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from agent.cli.logs import Filter, logs, shown
from agent.telemetry.events import EVENTS
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually

TS = "2026-11-29T03:00:00.000Z"


def line(event: str = "device.offline", level: str = "warning", **fields: object) -> bytes:
    return json.dumps({"ts": TS, "level": level, "event": event, "component": "device", **fields}).encode() + b"\n"


def test_a_warning_has_its_remedy_under_it() -> None:
    """What is in the catalogue is told where somebody reads at three in the morning."""
    first, second = shown(line(device="press-01", reason="no answer"), Filter()).splitlines()
    assert 'warning device.offline device=press-01 reason="no answer"' in first
    assert second.strip() == f"-> {EVENTS['device.offline'].remedy}"


def test_what_only_tells_has_none() -> None:
    """One line an event."""
    assert shown(line("device.online", "info", device="press-01"), Filter()).count("\n") == 1


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (Filter(), True),
        (Filter(device="press-*"), True),
        (Filter(device="cnc-*"), False),
        (Filter(level="error"), False),
        (Filter(level="warning"), True),
    ],
)
def test_lines_are_chosen(wanted: Filter, seen: bool) -> None:
    """By device and by level."""
    assert bool(shown(line(device="press-01"), wanted)) is seen


def test_since_leaves_out_what_is_older(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An instant, or how long ago."""
    (tmp_path / "log").write_bytes(line(device="old") + line(device="new").replace(b"03:00:00", b"05:00:00"))
    assert logs(str(tmp_path / "log"), None, "debug", "2026-11-29T04:00:00+00:00", follow=False) == 0
    out = capsys.readouterr().out
    assert "device=new" in out
    assert "device=old" not in out
    assert logs(str(tmp_path / "log"), None, "debug", "soon", follow=False) == 2


def test_strangers_move_no_cursor() -> None:
    """Escapes in a name, and lines that are no JSON, reach the terminal as harmless text."""
    assert "\x1b" not in shown(line(device="a\x1b[2J"), Filter())
    assert shown(b"Traceback \x1b[2J\n", Filter()) == "Traceback \\x1b[2J\n"
    assert shown(b"[1]\n", Filter(level="error")) == ""


async def test_a_file_is_followed(tmp_path: Path) -> None:
    """What is written later is shown; a log that begins anew is read from its beginning."""
    path = tmp_path / "log"
    path.write_bytes(line(device="one") * 3)
    with process(*agent_command("logs", str(path), "--follow")) as running:
        await eventually(lambda: running.stdout.count("device=one") == 3, what="what is there")
        with path.open("ab") as file:
            file.write(line(device="two"))
        await eventually(lambda: "device=two" in running.stdout, what="what was added")
        path.write_bytes(line(device="three"))
        await eventually(lambda: "device=three" in running.stdout, what="what the new log holds")
        path.rename(tmp_path / "log.1")
        path.write_bytes(line(device="four"))
        await eventually(lambda: "device=four" in running.stdout, what="what is in its successor")


async def test_following_ends_with_its_reader(tmp_path: Path) -> None:
    """`logs --follow FILE | head`: no later line is needed to notice that nobody reads."""
    path = tmp_path / "log"
    path.write_bytes(line(device="one"))
    command = shlex.join([*agent_command("logs", str(path), "--follow")])
    with process("sh", "-c", f"{command} | head -n 1") as running:
        assert await running.wait(30) == 0
        assert "device=one" in running.stdout


def test_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, with the reason."""
    assert logs("/nowhere/log", None, "debug", None, follow=False) == 1
    assert "cannot be read" in capsys.readouterr().err
