"""Lines of which only one may be connected: a gateway that takes one connection, reached under several hosts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turnstile:
    """Implements `core.ports.Bus`, so that buses may share it; what is asked for is to be let in."""

    def __init__(self) -> None:
        self._wake: Callable[[], None] | None = None  #: of the one inside
        self._waiting: deque[tuple[Callable[[], None], asyncio.Future[None]]] = deque()

    async def run(self) -> None:
        """Nothing to own."""
        await asyncio.get_running_loop().create_future()

    async def ask(self, unit: int, wake: Callable[[], None], /) -> None:  # noqa: ARG002 - the port's
        """Wait to be let in. `wake` is called when others want to be; then, or soon, call :meth:`leave`."""
        if self._wake is None:
            self._wake = wake
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wake, turn))
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    @property
    def wanted(self) -> bool:
        """Whether others want to be let in."""
        return any(not turn.done() for _, turn in self._waiting)

    def leave(self) -> None:
        """Let in who waits longest."""
        self._wake = None
        while self._waiting:
            wake, turn = self._waiting.popleft()
            if not turn.done():
                self._wake = wake
                turn.set_result(None)
                if self.wanted:
                    wake()
                return
