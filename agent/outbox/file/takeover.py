"""A publisher under a new name takes over the file of its old one, with its epochs and numbers (`was:`)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from agent.core.errors import AgentError, PermanentError
from agent.outbox.file.errors import own, translated
from agent.outbox.file.schema import Durability, connect
from agent.telemetry.logging import get_logger

log = get_logger("outbox")


def take_over(old: Path, new: Path, durability: Durability) -> None:
    """Let the file `old`, where there is one, be `new`. Call with the lock of `new` held.

    Killed in between, the next call ends what was begun: all of the file is under one name or the other. Raises
    PermanentError where both exist or `old` is in use, DiskRefused.
    """
    if not old.exists():
        return
    begun = new.exists()
    if begun and not old.samefile(new):
        raise PermanentError(*both(old, new))
    lock = own(old)
    try:
        if not begun:
            with suppress(AgentError, sqlite3.Error), closing(connect(old, durability)):
                pass  # closing puts the write-ahead log into the file; else it goes along
        with translated(new):
            if not begun:
                _also(_wal(old), _wal(new))
                _also(old, new)
                _sync(new.parent)
            for left in (old, _wal(old), old.with_name(old.name + "-shm"), old.with_name(old.name + ".ballast")):
                left.unlink(missing_ok=True)
            old.with_suffix(".lock").unlink(missing_ok=True)
    finally:
        os.close(lock)
    log.info("outbox.taken_over", file=str(new), was=str(old))


def both(old: Path, new: Path) -> tuple[str, str]:
    """Words for two files of which only one can be the publisher's, and what to do."""
    reason = f"there is an outbox under the old name, {old.stem}, and under the new one, {new.stem}, in {new.parent}"
    hint = (
        f"let {new.stem} send what waits in its own first, without `was:`; when `edge-agent outbox` shows that nothing"
        f" does, stop the agent, delete {new} and put `was:` back"
    )
    return reason, hint


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _also(old: Path, new: Path) -> None:
    """Let `old` have the name `new` too, or instead where a file system knows no links."""
    new.unlink(missing_ok=True)
    if not old.exists():
        return
    try:
        new.hardlink_to(old)
    except OSError:
        old.rename(new)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
