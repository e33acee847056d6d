"""A data directory belongs to one agent, and to one process of it at a time.

Two processes on one outbox would both be wrong. So would one under two names: what waits in the outbox would reach the
consumer under the wrong identity.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from agent.core.errors import PermanentError
from agent.core.private import open_private

_FAILED = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)


@contextmanager
def owned(data_dir: Path, agent: str, *, what: str = "agent") -> Iterator[None]:
    """Make `data_dir` and hold its lock meanwhile. Raises PermanentError where another agent has it or it is read-only.

    `what` is the section of the configuration that names it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = _lock(data_dir / "lock")
    except OSError as error:
        reason = f"{what}.data_dir {data_dir} cannot be written: {error.strerror or error}"
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        remedy = "free space and inodes there (df, df -i)" if full else "make it writable for this user"
        raise PermanentError(reason, f"{remedy}, or set another {what}.data_dir") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            reason = f"another {what} runs on {data_dir}"
            raise PermanentError(reason, f"stop it, or give this one its own {what}.data_dir") from error
        _claim(data_dir, agent, what)
        yield


def _lock(path: Path) -> IO[str]:
    """A medium that failed after it was ours is no reason not to start: the outbox runs in memory then, and says so."""
    try:
        return os.fdopen(open_private(path), "w", encoding="ascii")
    except OSError as error:
        if error.errno not in _FAILED:
            raise
        try:
            return path.open(encoding="ascii")
        except FileNotFoundError:  # it never was ours: somebody named the wrong place
            raise error from None


def _claim(data_dir: Path, agent: str, what: str) -> None:
    owner = data_dir / "agent"
    try:
        before = owner.read_text(encoding="ascii").strip() if owner.exists() else ""
        if not before:
            with os.fdopen(open_private(owner), "w", encoding="ascii") as file:
                file.write(f"{agent}\n")
    except OSError:  # a full disk is no reason not to start
        return
    if before and before != agent:
        reason = f"{what}.data_dir {data_dir} belongs to the {what} {before}, and {what}.id is {agent} now"
        hint = (
            f"set another {what}.data_dir; what waits in this one is {before}'s and goes out when that one starts again"
        )
        raise PermanentError(reason, hint)
