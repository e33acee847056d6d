"""A component waits for its secret and certificate files; nobody else does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from agent.runtime.files import LOOK_EVERY, Files
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually


def put(path: Path, text: str) -> None:
    """Whole at once: nobody finds it empty."""
    written = path.with_suffix(".new")
    written.write_text(text)
    written.replace(path)


async def test_nothing_to_wait_for(tmp_path: Path) -> None:
    """Files that are there, or none at all, cost no time."""
    (tmp_path / "ca.pem").write_text("x")
    clock = ManualClock()
    for files in ([], [("tls.ca_file", tmp_path / "ca.pem")]):
        await Files("publisher p", files, clock, lambda _: None).usable()
    assert clock.monotonic() == ManualClock().monotonic()


async def test_a_file_that_comes_late(tmp_path: Path) -> None:
    """What is missing is named once, looked for every 5 s, and the wait ends by itself."""
    clock = ManualClock()
    reasons: list[str] = []
    waiting = Files("publisher p", [("password_file", tmp_path / "secret")], clock, reasons.append)
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(waiting.usable())
            await eventually(lambda: bool(reasons))
            put(tmp_path / "secret", "a\nb\n")

            async def again() -> bool:
                await clock.advance(LOOK_EVERY)
                return len(reasons) >= 3

            await eventually(again)
            put(tmp_path / "secret", "a\n")

            async def done() -> bool:
                await clock.advance(LOOK_EVERY)
                return task.done()

            await eventually(done)
    assert reasons[0] == f"waits for password_file: there is no file {tmp_path / 'secret'}"
    assert [(log["event"], log["component"], log["key"]) for log in logs] == [
        ("component.waits_for_file", "publisher p", "password_file"),
        ("component.waits_for_file", "publisher p", "password_file"),
    ]
    assert "more than one line" in logs[1]["reason"]
