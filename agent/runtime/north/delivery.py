"""Delivering within one broker session, cut by cut: each divides backlog from live, and is a look at the image."""

from __future__ import annotations

import asyncio
from asyncio import TaskGroup
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import NamedTuple

from agent.core.clock import Clock
from agent.core.errors import AgentError
from agent.core.ports import Outbox, Reader
from agent.runtime.north.forwarder import Forwarder
from agent.runtime.north.replay import LanePlan
from agent.runtime.north.sender import Sender
from agent.runtime.north.suspects import Suspects
from agent.runtime.north.talk import Talk
from agent.settings.publishers import Replay


class Hooks(NamedTuple):
    """What a delivery asks of its route. `settle` and `snapshot` stand around the cut, no await between."""

    settle: Callable[[], None]  #: hand what devices hold back to the outboxes
    snapshot: Callable[[], None]  #: append the newest of every device
    opened: Callable[[], None]  #: records may flow
    held: Callable[[str], None]  #: records have to wait, and why
    refused: Callable[[AgentError, str], None]  #: why, device
    remember: Callable[[], None]  #: what is known of suspects has changed


class Delivery:
    """Of one session."""

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        talk: Talk,
        *,
        clock: Clock,
        replay: Replay,
        hooks: Hooks,
        suspects: Suspects,
    ) -> None:
        self._name = name
        self._outbox = outbox
        self._talk = talk
        self._clock = clock
        self._replay = replay
        self._hooks = hooks
        self._sender = Sender(
            name, talk, clock=clock, suspects=suspects, refused=hooks.refused, remember=hooks.remember
        )
        suspects.session(talk.limits.part_bytes)
        self._anew = asyncio.Event()  #: a new cut is due
        self._reader: Reader | None = None

    @property
    def delivered(self) -> bool:
        """Whether a record has reached the broker."""
        return self._sender.delivered

    @property
    def heard(self) -> bool:
        """Whether the broker has taken anything."""
        return self._sender.heard

    async def run(self) -> None:
        """Deliver until cancelled or the session is lost."""
        while True:
            if self._talk.why:
                self._hooks.held(self._talk.why)
            await self._talk.may_open()
            self._anew.clear()
            with ExitStack() as stack:
                async with self._talk.turn:
                    self._hooks.settle()
                    reader = self._reader = stack.enter_context(self._outbox.reader())
                    self._hooks.snapshot()
                    await self._talk.open(self._clock.now_ms())
                self._hooks.opened()
                await self._forward(reader)
                if not self._talk.leave.is_set():  # who leaves does so because somebody may not have heard it all
                    self._sender.release(reader)
                self._sender.forget()

    async def _forward(self, reader: Reader) -> None:
        """Until a new cut is due: for parked devices, or because the dialogue wants to open anew."""
        plan = LanePlan(self._replay, self._talk.limits.window)
        forwarder = Forwarder(self._name, reader, self._sender, plan, self._clock)
        async with TaskGroup() as group:
            ends = [
                group.create_task(self._sender.second_tries(reader), name="second tries"),
                group.create_task(self._wanted_anew(), name="new cut"),
            ]
            if self._talk.stateful:
                ends.append(group.create_task(self._talk.interrupted(), name="course"))
            lanes = [group.create_task(lane, name="lane") for lane in forwarder.lanes()]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in (*ends, *lanes):
                task.cancel()
        # What is in flight belongs to this reader: the next one would hand it out a second time.
        await self._sender.landed()

    async def _wanted_anew(self) -> None:
        await self._anew.wait()

    def renew(self, replay: Replay) -> None:
        """Make a new cut: the lanes are shared otherwise, or other devices are carried, from now on."""
        self._replay = replay
        self._anew.set()

    def unpark(self) -> None:
        """Parked devices have waited long enough."""
        self._sender.unpark()

    def hurry(self) -> None:
        """The end is near: nothing lingers any more."""
        self._sender.hurry()
        if self._reader is not None:
            self._sender.release(self._reader)

    def quiet(self) -> AbstractAsyncContextManager[None]:
        """Meanwhile no record is sent, and none is in flight: what else is sent now answers for itself."""
        return self._sender.quiet()
