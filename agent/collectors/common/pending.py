"""A question under way. Unlike a future it may be waited for in turns: whoever stops waiting abandons nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

ReplyT = TypeVar("ReplyT")


class Pending(Generic[ReplyT]):
    """Asked once, answered once: what comes after its end is dropped. One at a time may wait for it."""

    over = False  #: answered, failed, or abandoned
    _reply: ReplyT | None = None
    _error: BaseException | None = None
    told: Callable[[], None] | None = None
    """Called in the turn of the loop after its end.

    Not at once: what comes of an answer is long, and is cheaper for many in a row than between two that arrive.
    """

    def answer(self, reply: ReplyT) -> None:
        """Here it is."""
        if not self.over:
            self.over, self._reply = True, reply
            self._tell()

    def fail(self, error: BaseException) -> None:
        """There is none, and why."""
        if not self.over:
            self.over, self._error = True, error
            self._tell()

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if not self.over:
            self.fail(asyncio.CancelledError())

    def _tell(self) -> None:
        if (told := self.told) is not None:
            asyncio.get_running_loop().call_soon(told)

    def result(self) -> ReplyT:
        """The answer, once it is :attr:`over`. Raises why there is none."""
        if self._error is not None:
            raise self._error
        return self._reply  # type: ignore[return-value]  # it is over, and did not fail

    def done(self) -> bool:
        """As a future says it."""
        return self.over

    def __await__(self) -> Generator[Any, None, ReplyT]:
        if not self.over:
            gate = asyncio.get_running_loop().create_future()
            self.told = lambda: None if gate.done() else gate.set_result(None)
            yield from gate
        return self.result()
