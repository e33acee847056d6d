"""Scripted twins of Publisher and Session: a broker's behaviour without a broker.

publisher = ScriptedPublisher()
publisher.script.auto_ack = False
async with publisher.open(will, listens) as session:
    future = await session.send([...])
    publisher.session.ack(0)                    # or .refuse(0, Rejected("...")), publisher.drop("cable")
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent.core.errors import AgentError, ConnectionLost
from agent.core.flow import Incoming, Limits, Message
from agent.core.ports import WillMaker
from agent.core.posting import Answered


@dataclass
class PublisherScript:
    """How sessions behave; may be changed at any time."""

    limits: Limits = field(default_factory=lambda: Limits(protocol="5", window=20))
    auto_ack: bool = True  #: acknowledge each message in the next turn of the loop
    judge: Callable[[Message], AgentError | None] = lambda _message: None  #: an error refuses a message
    open_errors: deque[AgentError] = field(default_factory=deque)  #: raised by the next openings, one each
    reachable: bool = True  #: False: opening raises ConnectionLost


class _Sent:
    """One message in flight."""

    def __init__(self, message: Message, future: asyncio.Future[None], left: list[int]) -> None:
        self.message = message
        self.future = future
        self.left = left  # shared by the messages of one call
        self.done = False


class ScriptedSession:
    """Twin of a session. `sent` are all messages in order; positions count in it."""

    def __init__(self, script: PublisherScript, will: Message | None, listens: Sequence[str]) -> None:
        self.script = script
        self.limits = script.limits
        self.will, self.listens = will, tuple(listens)
        self.sent: list[Message] = []
        self.most_in_flight = 0
        self.left_cleanly = False
        self._flying: dict[int, _Sent] = {}
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._error: AgentError | None = None
        self._incoming: asyncio.Queue[Incoming | None] = asyncio.Queue()

    # --- the port -----------------------------------------------------------------------------------------------------

    async def send(self, messages: Sequence[Message], /) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        left = [len(messages)]
        if not messages:
            future.set_result(None)
        async with self._turn:
            for message in messages:
                while self._error is None and len(self._flying) >= self.limits.window:
                    self._changed.clear()
                    await self._changed.wait()
                if self._error is not None:
                    raise self._error
                self._write(_Sent(message, future, left))
        return future

    def send_at_once(self, messages: Sequence[Message], answered: Answered, /) -> bool:
        room = self.limits.window - len(self._flying)
        if self._turn.locked() or self._error is not None or not 0 < len(messages) <= room:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: answered(done.exception()))
        left = [len(messages)]
        for message in messages:
            self._write(_Sent(message, future, left))
        return True

    def _write(self, sent: _Sent) -> None:
        position = len(self.sent)
        self.sent.append(sent.message)
        self._flying[position] = sent
        self.most_in_flight = max(self.most_in_flight, len(self._flying))
        refusal = self.script.judge(sent.message)
        if refusal is not None:
            self.refuse(position, refusal)
        elif self.script.auto_ack:
            asyncio.get_running_loop().call_soon(self.ack, position)

    async def incoming(self) -> AsyncIterator[Incoming]:
        while (one := await self._incoming.get()) is not None:
            yield one

    async def closed(self) -> None:
        while self._error is None:
            self._changed.clear()
            await self._changed.wait()
        raise self._error

    # --- the script ---------------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> list[int]:
        """Positions not yet acknowledged."""
        return list(self._flying)

    def ack(self, position: int) -> None:
        """The broker takes the message at this position of `sent`; once, any order."""
        sent = self._flying.pop(position, None)
        if sent is None:
            return
        sent.left[0] -= 1
        if not sent.left[0] and not sent.future.done():
            sent.future.set_result(None)
        self._changed.set()

    def ack_all(self) -> None:
        """The broker takes everything in flight."""
        for position in self.in_flight:
            self.ack(position)

    def refuse(self, position: int, error: AgentError) -> None:
        """The broker refuses the message: Rejected, or TransientError."""
        sent = self._flying.pop(position, None)
        if sent is not None and not sent.future.done():
            sent.future.set_exception(error)
        self._changed.set()

    def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """A message arrives."""
        self._incoming.put_nowait(Incoming(topic=topic, payload=payload, retain=retain))

    def drop(self, error: AgentError | None = None) -> None:
        """The connection is gone; `error` is what `closed` says."""
        if self._error is not None:
            return
        self._error = error or ConnectionLost("cut by the test")
        blames = getattr(self._error, "blames", False)
        for sent in self._flying.values():
            if not sent.future.done():
                sent.future.set_exception(ConnectionLost(str(self._error), blames=blames))
        self._flying.clear()
        self._incoming.put_nowait(None)
        self._changed.set()


class ScriptedPublisher:
    """Twin of a publisher. `sessions` are all it opened; `session` is the newest."""

    def __init__(self, script: PublisherScript | None = None) -> None:
        self.script = script or PublisherScript()
        self.sessions: list[ScriptedSession] = []
        self.attempts = 0
        self.opened = asyncio.Event()  #: set at every opening; clear it to wait for the next

    @property
    def session(self) -> ScriptedSession:
        return self.sessions[-1]

    @asynccontextmanager
    async def open(self, will: Message | WillMaker | None, listens: Sequence[str], /) -> AsyncIterator[ScriptedSession]:
        self.attempts += 1
        await asyncio.sleep(0)
        if self.script.open_errors:
            raise self.script.open_errors.popleft()
        if not self.script.reachable:
            raise ConnectionLost("cut by the test")
        if will is not None and not isinstance(will, Message):
            will = await will()
        session = ScriptedSession(self.script, will, listens)
        self.sessions.append(session)
        self.opened.set()
        try:
            yield session
            session.left_cleanly = True
        finally:
            session.drop(ConnectionLost("closed by us"))

    def drop(self, reason: str = "cut by the test", *, blames: bool = False) -> None:
        """Cut the newest session; `blames`: the broker disconnected."""
        self.session.drop(ConnectionLost(reason, blames=blames))
