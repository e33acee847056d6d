"""The state of an audit between two runs of `verify`: one file, replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from agent.consumer.audit import Audit
from agent.core.errors import PermanentError
from agent.core.private import create_private


def keep(audit: Audit, path: Path) -> None:
    """Write it; a crash leaves the old or the new. Raises PermanentError where the file cannot be written."""
    new = path.with_name(path.name + ".new")
    try:
        with create_private(new) as file:
            file.write(msgspec.msgpack.encode(audit.dump()))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise PermanentError(f"the state cannot be kept in {path}: {error.strerror or error}") from error


def resume(audit: Audit, path: Path) -> bool:
    """Take up what an earlier run kept; False where there is nothing yet. Raises PermanentError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise PermanentError(f"the state in {path} cannot be read: {error.strerror or error}") from error
    try:
        audit.resume(msgspec.msgpack.decode(data))
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(
            f"{path} holds no state of an audit like this one: {error}", "name another file, or move it away"
        ) from error
    return True
