"""Warnings are told by key (`devices.press-01.interval: words; hint`): here they get its file and line. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.config.located import Map, Place
from agent.core.errors import Mistake

_AFTER_KEY = re.compile(r"[.: ]")


def placed(warnings: Iterable[str], written: Map) -> list[Mistake]:
    """Each warning where its key stands in `written`; one about what is not written stands in the file as a whole."""
    return [_placed(words, written) for words in warnings]


def _placed(words: str, written: Map) -> Mistake:
    place, end = _found(words, written)
    if not end:
        reason, _, hint = words.partition("; ")
        return Mistake(written.file, None, reason, hint)
    key, _, rest = words[end:].partition(": ")
    reason, _, hint = rest.partition("; ")
    key, more, others = (words[:end] + key).partition(" (")
    return Mistake(place.file, place.line or None, f"`{key.rstrip('.')}`{more}{others}: {reason}", hint)


def _found(words: str, written: Map) -> tuple[Place, int]:
    """Where the key at the beginning of `words` stands, as far as it is written, and how many characters that is."""
    place, end, value = Place(written.file, written.line), 0, written
    while isinstance(value, Map):
        start = end + 1 if end else 0
        if end and not words.startswith(".", end):
            break
        stops = [found.start() for found in _AFTER_KEY.finditer(words, start)]
        stop = next((stop for stop in reversed(stops) if words[start:stop] in value), None)  # names may have dots
        if stop is None:
            break
        key = words[start:stop]
        place, end, value = value.place(key), stop, value[key]
    return place, end
