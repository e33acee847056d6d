"""Messages on their way, in bundles: what was sent together is answered together."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from agent.core.errors import AgentError


class Bundle:
    """Messages sent together: the future completes at the last acknowledgement, or at the first refusal."""

    __slots__ = ("future", "left")

    def __init__(self, messages: int) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.future.add_done_callback(_seen)
        self.left = messages
        if not messages:
            self.future.set_result(None)

    def done(self) -> None:
        """One of them has arrived."""
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(None)

    def fail(self, error: AgentError) -> None:
        """One of them will not."""
        if not self.future.done():
            self.future.set_exception(error)


class Flying(NamedTuple):
    """One of them, written and not answered."""

    bundle: Bundle
    sent: float  #: monotonic seconds
    size: int  #: bytes of its packet
    topic: str
    order: int  #: of writing, over all messages of the session
    answered: bool  #: by a PUBACK; QoS 0 is only written
    proof: bool  #: its bundle waits until the broker has read it
    retain: bool


def _seen(future: asyncio.Future[None]) -> None:
    """Nobody need await a bundle's future: its exception counts as retrieved."""
    if not future.cancelled():
        future.exception()
