"""What is sent beside the data in one session, where the broker may refuse it or disconnect because of it.

A retained message that the broker refuses for a while is sent again, unless a newer one of its topic went meanwhile.
What has made the broker disconnect again and again (`unwelcome`) waits until the data flows, is sent while nothing else
is in flight, and costs at most the session.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from agent.core.clock import Clock, to_beat
from agent.core.errors import AgentError, ConnectionLost, Refused
from agent.core.flow import Message
from agent.core.ports import Session
from agent.runtime.north.unwelcome import PATIENCE, Unwelcome
from agent.settings.topics import whole

#: A refusal that lasts longer is no moment's, seconds.
PASSING = 30.0
#: Between two tries, seconds.
LONGEST = 300.0


class Beside:
    """Sends messages one by one; belongs to one session."""

    def __init__(
        self, session: Session, unwelcome: Unwelcome, clock: Clock, refused: Callable[[AgentError], None]
    ) -> None:
        self._session = session
        self._unwelcome = unwelcome
        self._clock = clock
        self._refused = refused
        self.heard = False  #: the broker has taken something
        self.turn = asyncio.Lock()  #: held while something is sent, and while a suspect is sent alone
        self._flying: set[Future[None]] = set()
        self._accused: dict[str, list[Message]] = {}
        self._again: dict[str, tuple[float, Message]] = {}
        self._tries: dict[str, int] = {}
        #: Has a stateful dialogue say what it withheld on a topic; None where there is none.
        self.said_alone: Callable[[str], Awaitable[Future[None] | None]] | None = None
        unwelcome.session(session.limits.server, session.limits.part_bytes)

    async def say(self, messages: Sequence[Message]) -> None:
        """Send them in order; one that the broker refuses costs none of the others. Returns once all are written."""
        fresh: set[str] = set()
        for message in messages:
            name = whole(message.topic)
            if name not in fresh:  # what was to be said of it is old by now
                fresh.add(name)
                self._accused.pop(name, None)
            self._again.pop(message.topic, None)
            self._tries.pop(message.topic, None)
            verdict = self._unwelcome.judge(name, self._clock.monotonic())
            if verdict == "accused":
                self._accused.setdefault(name, []).append(message)
            elif verdict == "welcome":
                async with self.turn:
                    await self._send(message)

    def withheld(self, topic: str, but: str | None = None) -> bool:
        """Whether nothing is to be said on a topic now, other than on the one whose turn it is."""
        return topic != but and self._unwelcome.judge(topic, self._clock.monotonic()) != "welcome"

    def allowed(self, messages: Sequence[Message]) -> list[Message]:
        """Those of the last words that may be said."""
        now = self._clock.monotonic()
        return [message for message in messages if self._unwelcome.judge(message.topic, now) == "welcome"]

    def watch(self, outcome: Future[None], messages: Sequence[Message]) -> None:
        """They were sent in one go and are in flight until the outcome is known."""
        self._flying.add(outcome)
        outcome.add_done_callback(self._flying.discard)
        outcome.add_done_callback(partial(self._answered, tuple(messages)))

    async def second_tries(
        self, quiet: Callable[[], AbstractAsyncContextManager[None]], cleared: Callable[[], None]
    ) -> None:
        """Send what was refused for a while, and the suspects; until cancelled.

        `quiet` holds the data back; `cleared` is called when each suspect has had its turn.
        """
        began = self._clock.monotonic()
        while True:
            await self._clock.sleep(to_beat(self._clock.monotonic(), 1.0))
            now = self._clock.monotonic()
            for topic in [topic for topic, (at, _) in self._again.items() if at <= now]:
                async with self.turn:
                    if (due := self._again.pop(topic, None)) is not None:
                        await self._send(due[1])
            if now - began >= PATIENCE and (self._accused or (self.said_alone and self._unwelcome.accused())):
                async with quiet(), self.turn:
                    await self._one_by_one()
                cleared()

    async def _one_by_one(self) -> None:
        """Each suspect with nothing else in flight."""
        if self._flying:
            await asyncio.wait(self._flying)
        accused = self._unwelcome.accused()
        if self.said_alone is None:
            accused = list(dict.fromkeys([*(topic for topic in accused if topic in self._accused), *self._accused]))
        for topic in accused:
            self._unwelcome.alone(topic)
            if self.said_alone is not None:
                outcomes = [await self.said_alone(topic)]
            else:
                outcomes = [await self._send(message) for message in self._accused.pop(topic, ())]
            for outcome in outcomes:
                if outcome is None:
                    self._unwelcome.taken(topic)  # nothing is to be said there any more
                    continue
                await asyncio.wait((outcome,))
                if isinstance(outcome.exception(), ConnectionLost):
                    return  # it stays the one that was alone
            self._unwelcome.alone(None)

    async def _send(self, message: Message) -> Future[None]:
        outcome = await self._session.send((message,))
        self.watch(outcome, (message,))
        return outcome

    def _answered(self, messages: Sequence[Message], outcome: Future[None]) -> None:
        if outcome.cancelled():
            return
        error = outcome.exception()
        if error is None:
            self.heard = True
            for message in messages:
                self._unwelcome.taken(message.topic)
        elif isinstance(error, ConnectionLost):
            for message in messages if error.blames else ():
                self._unwelcome.dropped(message.topic, large=error.large)
        elif isinstance(error, AgentError):
            self._refused(error)
            for message in messages:
                self._try_again(message, error)

    def _try_again(self, message: Message, error: AgentError) -> None:
        """Not authorised is for the next session; a quota or a bad moment passes."""
        if not isinstance(error, Refused) or not message.retain or (wait := error.retry_after or 1.0) >= PASSING:
            return
        tries = self._tries[message.topic] = self._tries.get(message.topic, 0) + 1
        if error.attempts is None or tries < error.attempts:
            longer = min(wait * 2.0 ** (tries - 1), LONGEST)
            self._again[message.topic] = self._clock.monotonic() + longer, message
