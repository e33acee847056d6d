"""A question under way. Unlike a future it may be waited for in turns: whoever stops waiting abandons nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Generic, TypeVar

ReplyT = TypeVar("ReplyT")


class Pending(Generic[ReplyT]):
    """Asked once, answered once: what comes after its end is dropped. One at a time may wait for it."""

    over = False  #: answered, failed, or abandoned
    _reply: ReplyT | None = None
    _error: BaseException | None = None
    _gate: asyncio.Future[None] | None = None

    def answer(self, reply: ReplyT) -> None:
        """Here it is."""
        if not self.over:
            self.over, self._reply = True, reply
            self.wake()

    def fail(self, error: BaseException) -> None:
        """There is none, and why."""
        if not self.over:
            self.over, self._error = True, error
            self.wake()

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if not self.over:
            self.fail(asyncio.CancelledError())

    def result(self) -> ReplyT:
        """The answer, once it is :attr:`over`. Raises why there is none."""
        if self._error is not None:
            raise self._error
        return self._reply  # type: ignore[return-value]  # it is over, and did not fail

    def done(self) -> bool:
        """As a future says it."""
        return self.over

    def wake(self) -> None:
        """Whoever waits looks again."""
        if (gate := self._gate) is not None and not gate.done():
            gate.set_result(None)

    def change(self) -> asyncio.Future[None]:
        """Wait for this: the end, or that somebody wakes who waits."""
        gate = self._gate = asyncio.get_running_loop().create_future()
        return gate

    def __await__(self) -> Generator[Any, None, ReplyT]:
        while not self.over:
            yield from self.change()
        return self.result()
