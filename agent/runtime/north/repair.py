"""Consumers ask for records that a broker has lost: one request is served at a time, a few wait, none is served twice.

What becomes of a request is the outbox's to decide (`Outbox.resend`); what it hands out again goes through the lanes of
the session (forwarder.py). Whoever may publish at the broker may ask, so nothing here trusts a request.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Literal

from msgspec import structs

from agent.core.clock import Clock
from agent.core.errors import AgentError, Rejected
from agent.core.flow import Incoming, ResendRequest
from agent.core.ports import Dialogue, Outbox, Repairing
from agent.telemetry import metrics
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: So many requests wait; a further one is not queued: the consumer asks again later.
MOST_WAITING = 10
#: A request that was served is not served again for so long, seconds.
REMEMBERED = 600.0
#: So many of them are remembered.
MOST_REMEMBERED = 10_000
#: Streams of which is remembered what was asked for, and when.
MOST_STREAMS = 1_000
#: Ranges of each of them.
MOST_RANGES = 100
#: Who asks for the same within this many seconds has not waited for the answer. A historian waits 30.
PATIENCE = 20.0
#: While records are sent once more, it is looked so often whether they are through, seconds.
LOOK = 0.2

_Asked = tuple[int, int, float]  # first and last number, and when (monotonic seconds)
_Result = Literal["served", "unknown", "repeated", "retained", "malformed", "busy"]

log = get_logger("publisher")


class ResendService:
    """Of one route, over its sessions."""

    def __init__(self, name: str, outbox: Outbox, clock: Clock) -> None:
        self._name = name
        self._outbox = outbox
        self._clock = clock
        self._waiting: deque[ResendRequest] = deque()
        self._more = asyncio.Event()
        self._serving: str | None = None
        self._served: dict[str, float] = {}
        self._asked: OrderedDict[tuple[str, str], deque[_Asked]] = OrderedDict()
        self._repeats = Repeats()
        self._bugs = Bugs(f"publisher {name}")

    def hears(self, dialogue: Dialogue, incoming: Incoming) -> bool:
        """Whether the message is a request, or should be one; then it is dealt with. Never waits, never raises."""
        if not isinstance(dialogue, Repairing) or incoming.topic != dialogue.repairs:
            return False
        result = self._take(dialogue, incoming)
        if result is not None:
            self._count(result)
        return True

    def _take(self, dialogue: Repairing, incoming: Incoming) -> _Result | None:
        if incoming.retain:  # asked of whoever was there then
            return "retained"
        try:
            request = dialogue.request(incoming)
        except Rejected:
            return "malformed"
        served = self._served.get(request.id)
        if served is not None and self._clock.monotonic() - served < REMEMBERED:
            return "repeated"
        if request.id == self._serving or any(one.id == request.id for one in self._waiting):
            return "repeated"
        if len(self._waiting) >= MOST_WAITING:
            return "busy"
        self._waiting.append(request)
        self._more.set()
        return None

    def _count(self, result: _Result) -> None:
        metrics.RESEND_REQUESTS.labels(self._name, result).inc()

    async def run(self) -> None:
        """Serve one request after the other, until cancelled."""
        while True:
            while not self._waiting:
                self._more.clear()
                await self._more.wait()
            while self._outbox.stats.again:
                await self._clock.sleep(LOOK)
            request = self._waiting.popleft()
            self._serving = request.id
            try:
                await self._serve(request)
            except Exception as bug:  # noqa: BLE001 - costs the request, never the route
                self._bugs.met(bug)
            self._serving = None

    async def _serve(self, request: ResendRequest) -> None:
        try:
            resent = await self._outbox.resend(structs.replace(request, insists=self._insists(request)))
        except AgentError as error:  # the disk refuses: it may be asked again
            log.warning("publisher.cannot_resend", publisher=self._name, device=request.device, reason=str(error))
            return
        self._count("unknown" if resent is None else "served")
        if resent is None:
            return
        self._remember(request)
        if (repeats := self._repeats.due(request.device, self._clock.monotonic())) is not None:
            log.info(
                "publisher.resend_asked", publisher=self._name, device=request.device, epoch=request.epoch,
                from_seq=request.from_seq, to_seq=request.to_seq, records=resent.again, lost=resent.lost,
                repeats=repeats,
            )  # fmt: skip

    def _insists(self, request: ResendRequest) -> bool:
        """Whether all of it was asked for before, and the answer had time to arrive: a broker may lose gaps, too."""
        until = self._clock.monotonic() - PATIENCE
        asked = [
            (first, last, at)
            for first, last, at in self._asked.get((request.device, request.epoch), ())
            if first <= request.to_seq and request.from_seq <= last
        ]
        covered = any(first <= request.from_seq and request.to_seq <= last for first, last, _ in asked)
        return covered and all(at <= until for *_, at in asked)

    def _remember(self, request: ResendRequest) -> None:
        now = self._clock.monotonic()
        self._served = {one: at for one, at in self._served.items() if now - at < REMEMBERED}
        if len(self._served) >= MOST_REMEMBERED:
            del self._served[next(iter(self._served))]
        self._served[request.id] = now
        stream = request.device, request.epoch
        self._asked.setdefault(stream, deque(maxlen=MOST_RANGES)).append((request.from_seq, request.to_seq, now))
        self._asked.move_to_end(stream)
        if len(self._asked) > MOST_STREAMS:
            self._asked.popitem(last=False)
