"""What a shape may name, and how to get it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter

from msgspec import Struct

from agent.core.flow import Reading
from agent.settings.topics import ISA_95


class Scope(Struct, gc=False):
    """One message as it is being made."""

    agent: str
    device: str
    location: str
    root: str
    levels: Sequence[str]
    epoch: str
    seq: int
    ts: int
    cat: int
    snapshot: bool
    historical: bool
    count: int  #: readings in this message
    part: int = 1
    parts: int = 1
    readings: list[object] = []
    types: Mapping[str, str] = {}  #: data type by tag, from the catalogue
    descriptions: Mapping[str, str] = {}


Getter = Callable[[Scope, Reading], object]


def iso(ts: int) -> str | None:
    """Epoch milliseconds as RFC 3339, UTC; None beyond the years 1 to 9999, which it cannot say."""
    try:
        moment = datetime.fromtimestamp(ts // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts % 1000:03}Z"


def _level(at: int) -> Getter:
    return lambda scope, _: scope.levels[at] if at < len(scope.levels) else None


def _of_scope(name: str) -> Getter:
    get = attrgetter(name)
    return lambda scope, _: get(scope)


def _of_reading(name: str) -> Getter:
    get = attrgetter(name)
    return lambda _, reading: get(reading)


#: OPC Classic's quality byte, which Kepware's descendants still show: good, uncertain, bad.
_OPC = {"good": 192, "uncertain": 64, "bad": 0}

_RECORD: dict[str, Getter] = {
    **{
        name: _of_scope(name)
        for name in (
            "agent",
            "device",
            "location",
            "root",
            "epoch",
            "seq",
            "cat",
            "snapshot",
            "historical",
            "count",
            "part",
            "parts",
        )
    },
    **{name: _level(at) for at, name in enumerate(ISA_95)},
    "record_ts": _of_scope("ts"),
    "record_ts_iso": lambda scope, _: iso(scope.ts),
    "record_ts_s": lambda scope, _: scope.ts / 1000,
}
_READING: dict[str, Getter] = {
    **{
        name: _of_reading(name)
        for name in ("tag", "value", "ts", "quality", "src", "unit", "label", "code", "reason", "why")
    },
    "ts_iso": lambda _, reading: iso(reading.ts),
    "ts_s": lambda _, reading: reading.ts / 1000,
    "good": lambda _, reading: reading.quality == "good",
    "usable": lambda _, reading: reading.quality != "bad",
    "opc_quality": lambda _, reading: _OPC[reading.quality],
    "status": lambda _, reading: reading.status or 0,
    "type": lambda scope, reading: scope.types.get(reading.tag),
    "description": lambda scope, reading: scope.descriptions.get(reading.tag),
}

GETTERS: dict[str, Getter] = {**_RECORD, **_READING, "readings": lambda scope, _: scope.readings}
#: What the shape of a record may name …
RECORD_WORDS = tuple(_RECORD)
#: … and that of a reading.
READING_WORDS = (*_READING, *_RECORD)
#: Those that say how good a value is.
QUALITY_WORDS = frozenset({"quality", "good", "opc_quality", "status", "code"})
