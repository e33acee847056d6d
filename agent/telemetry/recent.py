"""The newest events of the log, in memory: for the page, and for a look after the log has scrolled away.

Bounded twice: so many events, and so much of each. What a stranger wrote into one cannot make it larger.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, MutableMapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from agent.core.text import carried, without_credentials

MOST_EVENTS = 1000
MOST_TEXT, MOST_ITEMS, MOST_BYTES = 2000, 50, 8000  #: of one text, list and event

LEVELS: dict[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_OWN_PLACE = {"ts", "event", "level", "component", "device"}

_encode = msgspec.json.Encoder(enc_hook=str).encode


class ShownEvent(Struct, frozen=True):
    """One event of the log as people are shown it."""

    ts: int
    event: str
    level: str
    component: str | None
    device: str | None
    fields: Raw
    meaning: str
    remedy: str | UnsetType = UNSET


class Recent:
    """A ring of events. Written from any thread, read on the event loop."""

    def __init__(self, most: int = MOST_EVENTS) -> None:
        self._ring: deque[tuple[int, str, str, str | None, str | None, bytes]] = deque(maxlen=most)
        self.total = 0  #: events that were ever put in: it rises with each

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A processor of structlog: after secrets are taken out, before anything is rendered. Changes nothing."""
        component = _text(event.get("component"))
        device = _text(event.get("device"))
        if device is None and component is not None and component.startswith("device "):
            device = component.removeprefix("device ")
        fields = {key: _cut(value) for key, value in event.items() if key not in _OWN_PLACE and value is not None}
        told = (_instant(event.get("ts")), str(event["event"]), str(event["level"]), component, device, _packed(fields))
        self._ring.append(told)
        self.total += 1
        return event

    def newest(self, *, level: str = "debug", device: str | None = None) -> Iterator[ShownEvent]:
        """Those of at least this level, of this device where one is named; the newest first."""
        from agent.telemetry.events import EVENTS  # who only logs needs none of it

        least = LEVELS[level]
        for ts, event, of, component, about, fields in reversed(tuple(self._ring)):
            if LEVELS.get(of, 3) >= least and device in (None, about):
                known = EVENTS.get(event)
                meaning, remedy = (known.meaning, known.remedy or UNSET) if known else ("", UNSET)
                yield ShownEvent(ts, event, of, component, about, Raw(fields), meaning, remedy)


def _instant(stamp: object) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000) if isinstance(stamp, str) else 0


def _text(value: object) -> str | None:
    return None if value is None else without_credentials(carried(str(value)))[:MOST_TEXT]


def _cut(value: object) -> object:
    if isinstance(value, str):
        text = without_credentials(value)
        return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " …"
    if isinstance(value, list | tuple | set):
        items = [_cut(one) for one in list(value)[:MOST_ITEMS]]
        return items if len(value) <= MOST_ITEMS else [*items, f"and {len(value) - MOST_ITEMS} more"]
    if isinstance(value, dict):
        return {str(key)[:MOST_TEXT]: _cut(one) for key, one in list(value.items())[:MOST_ITEMS]}
    return value if isinstance(value, bool | int | float) else _cut(str(value)) if value is not None else None


def _packed(fields: dict[str, Any]) -> bytes:
    try:
        packed = _encode(fields)
    except (TypeError, ValueError, OverflowError):  # a device's half character, a number beyond JSON's
        packed = json.dumps(fields, default=str, skipkeys=True).encode()
    if len(packed) <= MOST_BYTES:
        return packed
    return _encode({key: carried(str(value))[: MOST_BYTES // (4 * len(fields))] for key, value in fields.items()})


#: Of this process; logging feeds it.
RECENT = Recent()
