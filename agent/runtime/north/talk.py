"""One dialogue over one session: who may speak when.

Most dialogues are stateless: events are answered as they come, what is said beside the data waits in a mailbox where
the newest wins. The messages of a stateful one count (Sparkplug's seq): each is made and written in one go, under one
lock, whatever caused it; and it says itself when data may flow (`Stateful.course`).
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import structs

from agent.core.errors import ConnectionLost
from agent.core.flow import (
    AgentChanged,
    DeviceChanged,
    DialogueEvent,
    Incoming,
    Message,
    Opening,
    Record,
    Stream,
    Withheld,
)
from agent.core.ports import Dialogue, Session, Stateful
from agent.core.posting import Answered, Prompt
from agent.runtime.north.beside import Beside
from agent.runtime.north.mailbox import Mailbox


class Talk:
    """Answers events over the session; belongs to one session."""

    def __init__(
        self, session: Session, dialogue: Dialogue, streams: Callable[[], Sequence[Stream]], beside: Beside,
        asked: Callable[[Dialogue, Incoming], bool] = lambda _dialogue, _incoming: False,
    ) -> None:  # fmt: skip
        """`asked` takes what consumers ask for; True: it was that."""
        self.limits = session.limits
        self.leave = asyncio.Event()  #: the dialogue wants the session to end
        self.turn = asyncio.Lock()  #: held while a stateful dialogue speaks, and around a cut
        self.whole = True  #: every message that was made has been written
        self._session = session
        self._post = session.send_at_once if isinstance(session, Prompt) else None
        self._beside = beside
        self._asked = asked
        self._streams = streams
        self._dialogue = dialogue
        self._stateful = dialogue if isinstance(dialogue, Stateful) else None
        if self._stateful is not None:
            beside.said_alone = self._say_alone
            dialogue(Withheld(holds=beside.withheld))
        self._news = asyncio.Event()  # there is something to say beside the data
        self._mailbox = Mailbox()
        self._changes: dict[str, DeviceChanged | AgentChanged] = {}
        self._steered = asyncio.Event()

    # --- the course ---------------------------------------------------------------------------------------------------

    @property
    def stateful(self) -> bool:
        """Whether the dialogue's messages count."""
        return self._stateful is not None

    @property
    def flowing(self) -> bool:
        """Whether records may be sent."""
        return self._stateful is None or self._stateful.course == "flow"

    @property
    def why(self) -> str:
        """Why the dialogue holds or leaves."""
        return self._stateful.why if self._stateful is not None else ""

    @property
    def heard(self) -> bool:
        """Whether the broker has taken something beside the data."""
        return self._beside.heard

    @property
    def linger(self) -> float:
        """Seconds an acknowledged record is kept on."""
        return self._stateful.linger if self._stateful is not None else 0.0

    async def may_open(self) -> None:
        """Return when a cut may be made."""
        while self._stateful is not None and self._stateful.course in ("hold", "leave"):
            await self._next_course()

    async def interrupted(self) -> None:
        """Return when the dialogue no longer wants records to flow."""
        while self.flowing:
            await self._next_course()

    async def _next_course(self) -> None:
        self._steered.clear()
        await self._steered.wait()

    # --- speaking -----------------------------------------------------------------------------------------------------

    async def say(self, event: DialogueEvent) -> None:
        """Send what the dialogue answers, at once."""
        if self._stateful is None:
            await self._beside.say(self._dialogue(event))
        else:
            async with self._beside.turn, self.turn:
                await self._write_watched(self._dialogue(event))

    async def deliver(self, record: Record, answered: Answered) -> int:
        """Send a record; bytes of payload. Waits for ever while the course is another one.

        `answered` is told what became of it, in a later turn of the loop. Raises Rejected where the dialogue can never
        say it.
        """
        if self._stateful is None:
            messages = self._dialogue(record)
            if self._post is None or not self._post(messages, answered):
                _tell(await self._session.send(messages), answered)
            return _size(messages)
        async with self.turn:
            if self.flowing:
                messages = self._dialogue(record)
                _tell(await self._write(messages), answered)
                return _size(messages)
        await asyncio.Event().wait()  # the cut is about to end this lane
        raise AssertionError

    async def open(self, ts: int) -> None:
        """Say what comes before any record. `turn` is held; up to the look at the image nothing is awaited."""
        if self._stateful is not None:
            await self._write_watched(self._dialogue(Opening(ts=ts, streams=self._streams())))

    async def _write_watched(self, messages: Sequence[Message]) -> Future[None]:
        outcome = await self._write(messages)
        self._beside.watch(outcome, messages)
        return outcome

    async def _say_alone(self, topic: str) -> Future[None] | None:
        """What the dialogue withheld on this topic; None where that is nothing."""
        async with self.turn:
            messages = self._dialogue(Withheld(holds=partial(self._beside.withheld, but=topic)))
            return await self._write_watched(messages) if messages else None

    async def _write(self, messages: Sequence[Message]) -> Future[None]:
        stateful = self._stateful
        if stateful is not None and stateful.course != "flow":
            self._steered.set()
            if stateful.course == "leave":
                self.leave.set()
        self.whole = False  # cancelled while it waits for room, a number is lost
        outcome = await self._session.send(messages)
        self.whole = True
        return outcome

    # --- beside the data ----------------------------------------------------------------------------------------------

    def changed(self, change: DeviceChanged | AgentChanged) -> None:
        """A device, or what the agent says of itself, changed: at once, from any place. :meth:`mail` tells of it."""
        self._changes[change.device if isinstance(change, DeviceChanged) else ""] = change
        self._news.set()

    async def hear(self) -> None:
        """Hand on what arrives, until the session ends."""
        async for incoming in self._session.incoming():
            if self._asked(self._dialogue, incoming):
                continue
            await self.beside(structs.replace(incoming, streams=self._streams()))

    async def beside(self, event: DialogueEvent) -> None:
        """Answer an event that is no record."""
        if self._stateful is None:
            self._mailbox.post(self._dialogue(event))
            self._news.set()
        else:
            await self.say(event)

    async def mail(self) -> None:
        """Send what is to be said beside the data, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            changes, self._changes = self._changes, {}
            streams = self._streams() if changes and self._stateful is None else ()
            of: dict[str, list[Stream]] = {}  # all devices may be lost at once: each is told of its own streams
            for stream in streams:
                of.setdefault(stream.device, []).append(stream)
            for name, change in changes.items():
                if self._stateful is None:
                    self._mailbox.post(self._dialogue(structs.replace(change, streams=of.get(name, streams))))
                else:
                    await self.say(structs.replace(change, streams=self._streams()))
            await self._beside.say(self._mailbox.take())


def _size(messages: Sequence[Message]) -> int:
    size = 0
    for message in messages:
        size += len(message.payload)
    return size


def _tell(outcome: Future[None], answered: Answered) -> None:
    outcome.add_done_callback(
        lambda done: answered(ConnectionLost("given up") if done.cancelled() else done.exception())
    )
