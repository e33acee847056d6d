"""Samples that are worked out where their answers arrive, and taken there, or by whoever iterates."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

from agent.core.each import TakenT
from agent.core.flow import Sample


class Sampling(ABC):
    """An iterator over samples that may be cancelled while it is waited for, and asked again."""

    _gate: asyncio.Future[Any] | None = None  #: of who waits for what `_taker` says
    _taker: Callable[[Sample], Any]

    @abstractmethod
    def next_sample(self) -> Sample | None:
        """The next one; None: something has to be waited for, and :meth:`go_on` is called when it has come."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sample:
        return await self.each_sample(lambda sample: sample)

    async def each_sample(self, take: Callable[[Sample], TakenT | None], /) -> TakenT:
        """See `core.each.EachSample`."""
        gate = self._gate
        if gate is None or gate.cancelled():  # else it has something for whoever was cancelled as it came
            gate = self._gate = asyncio.get_running_loop().create_future()
        self._taker = take
        self.go_on()
        taken: TakenT = await gate
        self._gate = None
        return taken

    def go_on(self) -> None:
        """As far as nothing has to be waited for. No task is woken for it."""
        gate = self._gate
        if gate is None or gate.done():  # nobody waits
            return
        try:
            while (sample := self.next_sample()) is not None:
                taken = self._taker(sample)
                if gate.done():  # who waited was cancelled meanwhile
                    return
                if taken:
                    gate.set_result(taken)
                    return
        except Exception as fault:  # noqa: BLE001 - who waits shall see it
            if isinstance(fault, StopIteration):  # which no future takes: as in a coroutine
                bug = RuntimeError("raised StopIteration")
                bug.__cause__, fault = fault, bug
            gate.set_exception(fault)

    def nobody_waits(self) -> None:
        """Any more: what is left is dropped."""
        gate, self._gate = self._gate, None
        if gate is not None and gate.done() and not gate.cancelled():
            gate.exception()  # seen
