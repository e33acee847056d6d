"""The secret and certificate files that a part names. Not part of the model: they are read anew at each connection."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from agent.config.model import Config
from agent.core.errors import exhausted
from agent.settings.values import read_secret

#: Paths that are read when the configuration is, or that are no files.
_OTHERS = re.compile(r"(tags|devices)_file|.*_dir")
SHORTEST_TOKEN = 16  #: characters
#: Files whose only line is the secret.
_LINES = re.compile(r".*(password|username|token)_file")


def is_secret_file(key: str) -> bool:
    """Whether a key whose value is a path names a secret or a certificate."""
    return _OTHERS.fullmatch(key) is None


def secret_files(part: BaseModel | None) -> Iterator[tuple[str, Path]]:
    """Each such file of a publisher, a device or a section: its key, dotted, and the path."""
    for key in type(part).model_fields if part is not None else ():
        value = getattr(part, key)
        if isinstance(value, Path) and is_secret_file(key):
            yield key, value
        elif isinstance(value, BaseModel):
            yield from ((f"{key}.{below}", file) for below, file in secret_files(value))


_LET = "let the user the agent runs as read it"


def all_secret_files(config: Config) -> Iterator[tuple[str, Path]]:
    """Those of the whole configuration, keys from the top (`publishers.plant.password_file`)."""
    for section in type(config).model_fields:
        part = getattr(config, section)
        if isinstance(part, BaseModel):
            yield from ((f"{section}.{key}", file) for key, file in secret_files(part))
        elif isinstance(part, dict):
            for name, one in part.items():
                if isinstance(one, BaseModel):
                    yield from ((f"{section}.{name}.{key}", file) for key, file in secret_files(one))


def unusable(key: str, file: Path) -> tuple[str, str] | None:
    """Why the file cannot be used, and what to do about it; None where it can be. Looks at the disk."""
    try:
        if not file.exists():
            return f"there is no file {file}", "put it there, or name another"
        if not file.is_file():
            kind = "directory" if file.is_dir() else "pipe or a device"
            return f"{file} is a {kind}", "name a file"
        if not os.access(file, os.R_OK):
            return f"{file} may not be read by this user", _LET
        if _LINES.fullmatch(key):
            return _guessable(key, read_secret(file), file)
    except UnicodeDecodeError as error:
        return f"{file}: byte 0x{error.object[error.start]:02X} is not UTF-8", "save it as UTF-8"
    except OSError as error:
        if not exhausted(error):  # which would say nothing of the file: who needs it will see
            hint = _LET if isinstance(error, PermissionError) else "name a file that may be read"
            return f"{file} cannot be read: {error.strerror}", hint
    except ValueError as error:
        reason, _, hint = str(error).partition("; ")
        return f"{str(file)!r}: {reason}", hint or "name a file that may be read"
    return None


def _guessable(key: str, secret: str, file: Path) -> tuple[str, str] | None:
    if key != "token_file" or len(secret) >= SHORTEST_TOKEN:
        return None
    return (
        f"the token in {file} can be guessed, it has {len(secret)} characters",
        f"give it {SHORTEST_TOKEN} or more: openssl rand -hex 24",
    )
