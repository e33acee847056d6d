"""`/api/v1/stream`: newest values as server-sent events. Newest wins.

    outlet ─tap─▶ what changed, by device ─tick─▶ encoded once ─▶ each viewer that has taken all before
                                                             └──▶ a viewer that has not: all values again, when it can

Nothing is queued for anybody: a viewer holds at most one event of each kind, and one that is slow misses what it was
slow for. Without viewers there is no tap and no tick, so it costs nothing.
"""

from __future__ import annotations

from asyncio import Event
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from agent.core.clock import Clock
from agent.core.flow import Batch, Gap

MOST_VIEWERS = 8
#: Seconds between two looks at what changed, between two events `status` (where the log has news, and where it has
#: none), between two comments.
TICK, NEWS, STATUS, COMMENT = 0.25, 0.5, 2.0, 15.0

_encode = msgspec.json.Encoder(enc_hook=str).encode
_HELLO, _COMMENT = b"retry: 3000\n\n", b":\n\n"

Values = Mapping[str, tuple[object, str, int]]


class StreamedPlant(Protocol):
    """What the stream is made from."""

    def tap(self, append: Callable[[Batch | Gap], None], /) -> Callable[[], None]:
        """Everything that is read from now on; the returned function ends that."""

    def values(self, device: str, tags: Iterable[str] | None, /) -> Values | None:
        """Newest of these tags (None: of all); None where there is no such device."""

    def telling(self) -> Mapping[str, list[str]]:
        """The tags that stand for each device."""

    def status(self) -> dict[str, Any]:
        """The whole status."""

    def news(self) -> int:
        """Another number than before where something may have gone wrong."""

    def now(self) -> int:
        """Epoch ms."""


@dataclass(eq=False)
class Viewer:
    """One reader. `device`: None for the overview. What it has to be sent is put into `due` by kind."""

    device: str | None
    due: dict[str, bytes] = field(default_factory=dict)
    behind: bool = True  #: it has to be given all values
    ended: bool = False
    wake: Event = field(default_factory=Event)

    def give(self, kind: str, data: bytes) -> None:
        """The newest of its kind."""
        self.due[kind] = data
        self.wake.set()

    def end(self) -> None:
        """There is nothing more for it."""
        self.ended = True
        self.wake.set()


class LiveStream:
    """All viewers of one agent. Belongs to the event loop; :meth:`run` ticks."""

    def __init__(self, plant: StreamedPlant, clock: Clock) -> None:
        self._plant = plant
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self._changed: dict[str, dict[str, None]] = {}
        self._untap: Callable[[], None] | None = None
        self._somebody = Event()
        self._newest_status = (0.0, b"")

    # --- viewers ------------------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether as many look as may."""
        return len(self._viewers) >= MOST_VIEWERS

    def knows(self, device: str | None) -> bool:
        """Whether there is such a device; the overview always is."""
        return device is None or self._plant.values(device, ()) is not None

    def join(self, device: str | None) -> Viewer:
        """One more; :meth:`leave` ends it."""
        viewer = Viewer(device)
        self._viewers.add(viewer)
        if self._untap is None:
            self._untap = self._plant.tap(self._look)
        viewer.give("hello", _HELLO)
        viewer.give("status", self._status(within=1.0))
        self._somebody.set()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """It has gone."""
        self._viewers.discard(viewer)
        if not self._viewers:
            self._somebody.clear()
            self._changed.clear()
            if self._untap is not None:
                self._untap()
                self._untap = None

    def take(self, viewer: Viewer) -> bytes:
        """What it has to be sent now; it is asked for when the last was taken off its hands."""
        viewer.wake.clear()
        data = b"".join(viewer.due.values())
        viewer.due.clear()
        if viewer.behind and not viewer.ended:
            viewer.behind = False
            data += self._all(viewer)
        return data

    def _all(self, viewer: Viewer) -> bytes:
        now = self._plant.now()
        wanted = self._plant.telling() if viewer.device is None else {viewer.device: None}
        parts = [(name, self._plant.values(name, tags)) for name, tags in wanted.items()]
        return b"".join(_values(name, now, values) for name, values in parts if values is not None)

    # --- what changes -------------------------------------------------------------------------------------------------

    def _look(self, content: Batch | Gap) -> None:
        if isinstance(content, Batch) and not content.backfill:
            changed = self._changed.get(content.device)
            if changed is None:
                changed = self._changed[content.device] = {}
            for reading in content.readings:
                changed[reading.tag] = None

    async def run(self) -> None:
        """Tick while somebody looks, until cancelled; then everybody is sent away."""
        try:
            status = comment = self._clock.monotonic()
            told = self._plant.news()
            while True:
                await self._somebody.wait()
                await self._clock.sleep(TICK)
                now = self._clock.monotonic()
                self._hand_out()
                news = self._plant.news()
                if now - status >= (STATUS if news == told else NEWS):
                    status, told = now, news
                    self._give_all("status", self._status())
                if now - comment >= COMMENT:
                    comment = now
                    self._give_all("comment", _COMMENT)
        finally:
            for viewer in tuple(self._viewers):
                viewer.end()

    def _status(self, within: float = 0.0) -> bytes:
        """One that was made within the last seconds will do."""
        now, (made, event) = self._clock.monotonic(), self._newest_status
        if not event or now - made > within:
            event = _event("status", _encode(self._plant.status()))
            self._newest_status = now, event
        return event

    def _give_all(self, kind: str, data: bytes) -> None:
        for viewer in tuple(self._viewers):
            viewer.give(kind, data)

    def _hand_out(self) -> None:
        changed, self._changed = self._changed, {}
        if not changed:
            return
        now = self._plant.now()
        overview = [viewer for viewer in self._viewers if viewer.device is None]
        if overview:
            telling = self._plant.telling()
            few = {name: [tag for tag in telling.get(name, ()) if tag in tags] for name, tags in changed.items()}
            self._give(overview, b"".join(self._encoded(name, now, tags) for name, tags in few.items() if tags))
        for name, tags in changed.items():
            watching = [viewer for viewer in self._viewers if viewer.device == name]
            if watching:
                self._give(watching, self._encoded(name, now, tags))

    def _encoded(self, device: str, now: int, tags: Iterable[str]) -> bytes:
        values = self._plant.values(device, tags)
        return b"" if values is None else _values(device, now, values)

    @staticmethod
    def _give(viewers: Iterable[Viewer], data: bytes) -> None:
        """To readers that have taken what came before; the others get everything later, when they can take it."""
        for viewer in viewers:
            if viewer.behind:
                viewer.wake.set()
            elif "values" in viewer.due:
                del viewer.due["values"]
                viewer.behind = True
                viewer.wake.set()
            elif data:
                viewer.give("values", data)


def _event(kind: str, data: bytes) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _values(device: str, now: int, values: Values) -> bytes:
    return _event("values", _encode({"device": device, "ts": now, "tags": values}))
