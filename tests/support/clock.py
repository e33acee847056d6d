"""A clock for tests that talk to real sockets, where waits are real but minutes are not waited for."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.clock import SystemClock, Timer


class Hasty(SystemClock):
    """The machine's clock; `skip` makes minutes pass."""

    ahead = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + round(self.ahead * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def call_at(self, instant: float, call: Callable[[], None], /) -> Timer:
        return super().call_at(instant - self.ahead, call)

    def skip(self, seconds: float) -> None:
        self.ahead += seconds
