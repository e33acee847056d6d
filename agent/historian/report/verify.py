"""A report against the database: the file is made again and compared, byte by byte. Pure but for what it is given."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import takewhile, zip_longest

from agent.core.text import harmless
from agent.historian.report.document import Document, Form, as_csv, as_json
from agent.historian.report.html import as_html

#: Differences named; the others are counted.
MOST = 20
#: Files of more lines are compared line by line.
_MATCHED = 5_000
_WIDTH = 120
_BEFORE = 40


def rendered(document: Document, form: Form) -> bytes:
    """The file."""
    text = {"html": as_html, "csv": as_csv, "json": as_json}[form](document)
    return text.encode("utf-8", "backslashreplace")


def differences(found: bytes, document: Document, form: Form) -> list[str]:
    """What differs, in words; none where every byte is as it should be."""
    made = rendered(document, form)
    if found == made:
        return []
    pairs = _pairs(_lines(found), _lines(made))
    said = [f"line {number}: " + _told(theirs, ours) for number, theirs, ours in pairs[:MOST]]
    more = len(pairs) - MOST
    return [*said, *([f"… and {more} more lines"] if more > 0 else [])] or ["bytes that are no UTF-8"]


def _pairs(theirs: list[str], ours: list[str]) -> list[tuple[int, str | None, str | None]]:
    if len(theirs) == len(ours) or max(len(theirs), len(ours)) > _MATCHED:
        both = enumerate(zip_longest(theirs, ours), 1)
        return [(number, one, other) for number, (one, other) in both if one != other]
    found: list[tuple[int, str | None, str | None]] = []
    for what, begin, end, first, last in SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if what != "equal":
            lines = zip_longest(theirs[begin:end], ours[first:last])
            found += [(begin + 1 + at, one, other) for at, (one, other) in enumerate(lines)]
    return found


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "backslashreplace").split("\n")


def _told(theirs: str | None, ours: str | None) -> str:
    """Both, from a little before the place where they part."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(theirs or "", ours or "", strict=False)))
    begin = max(0, same - _BEFORE)
    return f"the file has {_cut(theirs, begin)}, the database gives {_cut(ours, begin)}"


def _cut(line: str | None, begin: int) -> str:
    if line is None:
        return "nothing"
    part = line[begin : begin + _WIDTH]
    return repr(harmless("…" * (begin > 0) + part + "…" * (begin + _WIDTH < len(line))))
