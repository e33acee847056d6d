"""Messages on their way, in bundles: what was sent together is answered together."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque

from msgspec import Struct

from agent.core.errors import AgentError
from agent.core.posting import Answered


class Bundle:
    """Messages sent together: `answered` is told at the last acknowledgement, or at the first refusal why."""

    __slots__ = ("_answered", "_left")

    def __init__(self, messages: int, answered: Answered) -> None:
        self._left = messages
        self._answered = answered
        if not messages:
            answered(None)

    def done(self) -> None:
        """One of them has arrived."""
        self._left -= 1
        if not self._left:
            self._answered(None)

    def fail(self, error: AgentError) -> None:
        """One of them will not."""
        if self._left > 0:
            self._left = 0
            self._answered(error)


class Flying(Struct):
    """One of them, written and not answered."""

    bundle: Bundle
    sent: float  #: monotonic seconds
    size: int  #: bytes of its packet
    topic: str
    order: int  #: of writing, over all messages of the session
    answered: bool  #: by a PUBACK; QoS 0 is only written
    proof: bool  #: its bundle waits until the broker has read it
    retain: bool


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
