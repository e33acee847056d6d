"""Messages on their way, in bundles: what was sent together is answered together."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from agent.core.errors import AgentError
from agent.core.posting import Answered
from agent.publishers.mqtt.packet import Packet

W = TypeVar("W")  # whoever is told


class Bundle(Generic[W]):
    """Messages sent together: somebody is told at the last acknowledgement, or at the first refusal why."""

    __slots__ = ("_left", "_tell", "_whom")

    def __init__(self, messages: int, tell: Callable[[W, AgentError | None], None], whom: W) -> None:
        self._left = messages
        self._tell, self._whom = tell, whom
        if not messages:
            tell(whom, None)

    def done(self) -> None:
        """One of them has arrived."""
        self._left -= 1
        if not self._left:
            self._tell(self._whom, None)

    def fail(self, error: AgentError) -> None:
        """One of them will not."""
        if self._left > 0:
            self._left = 0
            self._tell(self._whom, error)


class Flying(Struct):
    """One of them, written and not answered."""

    bundle: Bundle[Any]
    packet: Packet
    sent: float  #: monotonic seconds
    order: int  #: of writing, over all messages of the session


class Outcomes:
    """Tells what became of messages, in a later turn of the loop: of all that were taken together in one."""

    def __init__(self) -> None:
        self._taken: deque[Answered] = deque()

    def tell(self, answered: Answered, error: AgentError | None) -> None:
        """See `Bundle`."""
        if error is not None:
            asyncio.get_running_loop().call_soon(answered, error)
            return
        if not self._taken:
            asyncio.get_running_loop().call_soon(self._tell)
        self._taken.append(answered)

    def _tell(self) -> None:
        taken = self._taken
        try:
            while taken:
                taken.popleft()(None)
        finally:
            if taken:  # a bug costs the one that has it
                asyncio.get_running_loop().call_soon(self._tell)


def settle(future: Future[None], error: BaseException | None) -> None:
    """Tell it by a future. Nobody need await that: its exception counts as retrieved."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        future.exception()
