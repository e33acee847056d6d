"""Recording the traffic of a device that is being read: `edge-agent record` asks for it piece by piece.

    {"device": "press-01"}                 begins one; the answer names it and brings its first lines
    {"device": "press-01", "id": "…"}      the lines since; waits for some
    {"device": "press-01", "id": "…", "stop": true}

Whoever does not ask for :data:`FORGOTTEN` seconds is no longer recorded for. A recording follows its device through a
reload: it goes on with the collector that takes the place of the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct

from agent.core.clock import Clock
from agent.core.errors import AgentError
from agent.core.ids import ulid
from agent.core.recordable import Recordable
from agent.runtime.control import Control
from agent.runtime.south.device import Device

#: A recording nobody asks for is given up after this, seconds.
FORGOTTEN = 10.0
#: So long an answer waits for lines, seconds.
WAIT = 1.0
#: What is kept between two questions; more is lost, and counted.
MOST_BYTES = 4 << 20
#: So many recordings at a time.
MOST = 4


class RecordQuestion(Struct):
    """What `edge-agent record` asks."""

    device: str
    id: str | None = None
    stop: bool = False


class RecordAnswer(Struct):
    """What was recorded since the last question."""

    id: str
    lines: list[str]
    lost: int = 0  #: lines for which there was no room


class _Recording:
    def __init__(self, clock: Clock) -> None:
        self.id = ulid(clock.now_ms())
        self.lines: list[str] = []
        self.lost = 0
        self.asked_at = clock.monotonic()
        self.collector: Recordable | None = None
        self._clock = clock
        self._bytes = 0
        self._undo: Callable[[], None] = _nothing
        self._header = False
        self.some = asyncio.Event()

    def follow(self, collector: Recordable) -> None:
        """Record what this one does from now on."""
        if collector is not self.collector:
            self.end()
            self.collector = collector
            self._undo = collector.record(self._take)

    def end(self) -> None:
        """Record no more."""
        undo, self._undo = self._undo, _nothing
        undo()

    def taken(self) -> RecordAnswer:
        """The lines since the last time."""
        lines, lost = self.lines, self.lost
        self.lines, self.lost, self._bytes = [], 0, 0
        self.some.clear()
        return RecordAnswer(self.id, lines, lost)

    def _take(self, line: bytes) -> None:
        if line.startswith(b'{"recording"'):
            if self._header:
                return  # a collector that took the place of another begins anew
            self._header = True
        if self._clock.monotonic() - self.asked_at > FORGOTTEN:
            self.end()
        elif self._bytes + len(line) > MOST_BYTES:
            self.lost += 1
        else:
            self._bytes += len(line)
            self.lines.append(line.decode())
            self.some.set()


def _nothing() -> None:
    pass


class Recordings:
    """Answers the verb `record`. `devices`: those that are read now, by name."""

    def __init__(self, devices: Callable[[], Mapping[str, Device]], clock: Clock) -> None:
        self._devices = devices
        self._clock = clock
        self._running: dict[str, _Recording] = {}

    def serve(self, control: Control) -> Callable[[], None]:
        """Answer at the agent's socket, until the undo that is returned is called."""
        return control.serve("record", self.answer, RecordQuestion)

    async def answer(self, question: RecordQuestion) -> RecordAnswer:
        """Begin, go on or end. Raises AgentError where the device is not read, or cannot be recorded."""
        self._forget()
        if question.id is None:
            return self._begin(question.device).taken()
        recording = self._running.get(question.id)
        if recording is None:
            raise AgentError("this recording is over: nobody has asked for its lines in time -> record again")
        recording.asked_at = self._clock.monotonic()
        if question.stop:
            del self._running[recording.id]
            recording.end()
            return recording.taken()
        recording.follow(self._collector(question.device))
        try:
            async with asyncio.timeout(WAIT):
                await recording.some.wait()
        except TimeoutError:
            pass
        return recording.taken()

    def _begin(self, name: str) -> _Recording:
        if len(self._running) >= MOST:
            raise AgentError(f"{MOST} recordings are under way -> end one of them")
        recording = _Recording(self._clock)
        recording.follow(self._collector(name))
        self._running[recording.id] = recording
        return recording

    def _collector(self, name: str) -> Recordable:
        device = self._devices().get(name)
        if device is None:
            raise AgentError(f"the agent reads no device {name} -> `edge-agent status` names those it reads")
        if not isinstance(device.collector, Recordable):
            raise AgentError(f"{name} cannot be recorded -> only Modbus devices can")
        return device.collector

    def _forget(self) -> None:
        now = self._clock.monotonic()
        for key in [key for key, one in self._running.items() if now - one.asked_at > FORGOTTEN]:
            self._running.pop(key).end()
