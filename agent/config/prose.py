"""Mistakes for people: equal ones once, each with the line it stands in and a caret under what is wrong.

Reads the files named, so that they can be shown; a line that may hold a secret, or of a file of another kind, is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from agent.core.errors import Mistake
from agent.core.text import harmless

_SECRET = re.compile(r"pass|pwd|token|secret|private_key|://[^/@\s]*@", re.IGNORECASE)
#: A configuration of the agent has at least one of these keys.
_OURS = re.compile(r"(?:agent|log|http|outbox|history|include|publishers|templates|devices|devices_file)\s*:")
_NAMED = re.compile(r"`(devices|publishers|templates)\.[^.`]+((?:\.[^`]*)?)`")
_TAG = re.compile(r"(\.tags\.)[^`]+?(?=(?:\.[a-z_]+)?`)")
_WHERE = re.compile(r"`([^`]+)`")
_FOUND = re.compile(r"`[^`]*`: (?:[a-z_ ]+ )?(?:'([^']*)'|\"([^\"]*)\"|(-?\d[\w.]*|true|false)(?= |$))")
_LONGEST = 8 << 20  #: larger files are not read again, bytes
_WIDEST = 160  #: characters of a line that are shown
_MOST = 5  #: places that are listed


class MistakeGroup(NamedTuple):
    """One mistake, and those equal to it but for the device or tag they are about."""

    mistake: Mistake
    others: Sequence[Mistake]


class Excerpt(NamedTuple):
    """The line a mistake stands in."""

    line: str
    start: int  #: of what is wrong, characters from the beginning
    end: int
    column: int  #: of what is wrong in the file's line, which may be longer; from 1


def grouped(mistakes: Iterable[Mistake]) -> list[MistakeGroup]:
    """Each kind of mistake once, where it stands first."""
    groups: dict[tuple[str, str], list[Mistake]] = {}
    for mistake in mistakes:
        kind = _TAG.sub(r"\1*", _NAMED.sub(r"`\1.*\2`", mistake.reason))
        groups.setdefault((kind, mistake.hint), []).append(mistake)
    return [MistakeGroup(group[0], group[1:]) for group in groups.values()]


def others(told: MistakeGroup) -> str:
    """Where the equal ones stand: `199 more like it: lines 4, 5, 6, 7, 8, …`. Empty where there are none."""
    if not told.others:
        return ""
    here = [one.line for one in told.others if one.path == told.mistake.path and one.line]
    there = [_place(one) for one in told.others if one.path != told.mistake.path or not one.line]
    places = list(dict.fromkeys(map(str, here))) or list(dict.fromkeys(there))
    shown = ", ".join(places[:_MOST]) + (", …" if len(places) > _MOST or (here and there) else "")
    word = "" if not here else "line " if len(places) == 1 else "lines "
    return harmless(f"{len(told.others):,} more like it: {word}{shown}")


def _place(mistake: Mistake) -> str:
    return f"{mistake.path}:{mistake.line}" if mistake.line else mistake.path


def excerpt(mistake: Mistake) -> Excerpt | None:
    """The line with the place of what is wrong; None where there is none to show, or it may hold a secret."""
    if not mistake.line or not mistake.path.endswith((".yaml", ".yml", ".csv")):
        return None
    lines = _lines(mistake.path)
    line = lines[mistake.line - 1].replace("\t", " ") if mistake.line <= len(lines) else ""
    line = harmless(line.rstrip())
    if not line.strip() or _SECRET.search(line):
        return None
    start, end = _span(line, mistake.reason)
    column = start + 1
    if len(line) > _WIDEST:  # a part of it, with what is wrong in the first third
        cut = max(0, min(start - _WIDEST // 3, len(line) - _WIDEST))
        before, after = "…" * (cut > 0), "…" * (cut + _WIDEST < len(line))
        line = f"{before}{line[cut : cut + _WIDEST]}{after}"
        start, end = (at - cut + len(before) for at in (start, min(end, cut + _WIDEST)))
    return Excerpt(line, start, end, column)


def _span(line: str, reason: str) -> tuple[int, int]:
    """The value that was found, else the key it is about, else all of the line."""
    named = _WHERE.search(reason)
    key = named[1].rpartition(".")[2] if named is not None else ""
    at = re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", line) if key else None
    found = _FOUND.search(reason)
    value = next((text for text in found.groups() if text), "") if found is not None else ""
    if value and (start := line.find(value, at.end() if at is not None else 0)) >= 0:
        return start, start + len(value)
    if at is not None:
        return at.span()
    return len(line) - len(line.lstrip()), len(line)


def _lines(path: str) -> Sequence[str]:
    file = Path(path)
    try:
        about = file.stat()
        if not file.is_file() or about.st_size > _LONGEST:
            return ()
        return _read(file, about.st_mtime_ns, about.st_size)
    except OSError:
        return ()


@lru_cache(maxsize=8)
def _read(file: Path, _changed: int, _size: int) -> Sequence[str]:
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return lines if file.suffix == ".csv" or is_ours(lines) else ()


def is_ours(lines: Iterable[str]) -> bool:
    """Whether these are lines of a configuration. In another file, included by mistake, any may be a password."""
    return any(map(_OURS.match, lines))


def as_data(told: MistakeGroup) -> Mapping[str, object]:
    """One kind of mistake as it stands in `--json`; `column` counts from 1, `count` the equal ones too."""
    one, shown = told.mistake, excerpt(told.mistake)
    return {
        "file": one.path,
        "line": one.line,
        "column": None if shown is None else shown.column,
        "reason": harmless(one.reason),
        "hint": harmless(one.hint),
        "count": 1 + len(told.others),
        "lines": [other.line for other in told.others if other.path == one.path and other.line],
    }
