"""What a server refuses as a whole, with words that blame nothing, asked for in ever smaller parts.

It may be too much at once: not every server has a code of its own for that. One of the nodes may be to blame. Or it is
a moment in which the server refuses everything: then the parts are refused too, and nothing is learned from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.translate import ServiceRefused
from agent.core.clock import Clock
from agent.core.errors import TransientError
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_SURE = 8  #: refused alone, one after the other, with nothing answered: then all of it is refused
_CALM = 30.0  #: seconds until a server that refused everything is asked in parts again


class Dividing:
    """Of one service of a connection. `log` names the device."""

    def __init__(self, limit: ChunkLimit, clock: Clock, device: str) -> None:
        self._limit, self._clock, self._device = limit, clock, device
        self._calm = 0.0

    async def __call__(
        self,
        size: int,
        error: TransientError,
        ask: Callable[[range], Awaitable[None]],
        refuse: Callable[[range, TransientError], None],
        expected: type[TransientError] | tuple[type[TransientError], ...] = ServiceRefused,
    ) -> list[range]:
        """`size` things were refused together with this error. Returns the parts to ask for from now on.

        `ask` raises one of the `expected` where a part is refused too; what stays so is handed to `refuse`.
        """
        whole = range(size)
        if size == 1 or self._clock.monotonic() < self._calm:
            refuse(whole, error)
            return [whole]
        left, parts = _halves(whole), []
        answered = alone = 0
        while left:
            part = left.pop()
            try:
                await ask(part)
            except expected as again:
                if len(part) > 1:
                    left += _halves(part)
                    continue
                refuse(part, again)
                alone += 1
                if alone == _SURE and not answered:
                    self._calm = self._clock.monotonic() + _CALM
                    for rest in reversed(left):
                        refuse(rest, error)
                    return [whole]
            else:
                answered = max(answered, len(part))
            parts.append(part)
        if alone:
            return parts
        if size <= self._limit.proven:  # it was a moment
            return [whole]
        self._limit.refused(2 * answered)
        log.info("opcua.limit_lowered", device=self._device, limit=self._limit.wide, reason=error.reason)
        return parts


def _halves(part: range) -> list[range]:
    """The first one is the last of the list."""
    middle = part.start + (len(part) + 1) // 2
    return [range(middle, part.stop), range(part.start, middle)]
