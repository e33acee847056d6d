"""Readings as PostgreSQL's binary COPY takes them. Pure: a few packed numbers a reading, the rest once a record.

Fields in the order of `COLUMNS`; each is its length in bytes (-1: null) and its value in network order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct

from agent.historian.stores.transaction import Stored
from agent.historian.values import clean, stored

COLUMNS = (
    "tag, ts, value, text, kind, status, quality, code, reason, src, why, label, historical, snapshot, stream, seq,"
    " part, age, position"
)
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"

#: Rows handed over at once.
_AT_ONCE = 1024

_EPOCH_MS = 946_684_800_000  #: 2000-01-01, from which PostgreSQL counts microseconds
_HEAD = Struct(">hiiiqid").pack  # fields, tag, ts, value
_EMPTY = Struct(">hiiiqi").pack  # the same without a value
_LENGTH = Struct(">i").pack
_LONG = Struct(">iq").pack
_POSITION = Struct(">ii").pack
_RECORD = Struct(">i?i?iiiqiiih").pack  # historical, snapshot, stream, seq, part, age
_NULL = _LENGTH(-1)


def copy(records: Sequence[Stored], cutoff: int | None, write: Callable[[bytes], None]) -> tuple[int, int]:
    """Write all of it; how many rows there are, and how many were left out because they are older than `cutoff`."""
    write(_HEADER)
    rows: list[bytes] = []
    add = rows.append
    plain: dict[tuple[str, str], bytes] = {}
    count = late = 0
    for one in records:
        constant = _RECORD(1, one.historical, 1, one.snapshot, 4, one.stream, 8, one.seq, 4, one.part, 2, one.age)
        for position, (reading, tag) in enumerate(zip(one.readings, one.tags, strict=True)):
            if cutoff is not None and reading.ts < cutoff:
                late += 1
                continue
            value, text, kind = stored(reading.value)
            at = (reading.ts - _EPOCH_MS) * 1000
            head = _EMPTY(19, 4, tag, 8, at, -1) if value is None else _HEAD(19, 4, tag, 8, at, 8, value)
            if (
                text is None and reading.status is None and reading.code is None and reading.reason is None
                and reading.src is None and reading.why is None and reading.label is None
            ):  # fmt: skip
                key = kind, reading.quality
                middle = plain.get(key)
                if middle is None:
                    middle = plain[key] = _NULL + _text(kind) + _NULL + _text(reading.quality) + _NULL * 5
            else:
                middle = b"".join(
                    (
                        _text(text), _text(kind), _NULL if reading.status is None else _LONG(8, reading.status),
                        _text(reading.quality), _text(reading.code), _text(reading.reason),
                        _NULL if reading.src is None else _LONG(8, (reading.src - _EPOCH_MS) * 1000),
                        _text(reading.why), _text(reading.label),
                    )
                )  # fmt: skip
            add(head + middle + constant + _POSITION(4, position))
        if len(rows) >= _AT_ONCE:
            write(b"".join(rows))
            count += len(rows)
            rows.clear()
    write(b"".join(rows) + _TRAILER)
    return count + len(rows), late


def _text(text: str | None) -> bytes:
    if text is None:
        return _NULL
    data = (clean(text) or "").encode()
    return _LENGTH(len(data)) + data
