"""Time, injected: monotonic for intervals, wall time only to stamp readings."""

from __future__ import annotations

import asyncio
import ctypes
import platform
import struct
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

#: Wall clocks before this instant (2025-01-01 UTC) were never set: a gateway without RTC boots at its build date.
NEVER_SET_BEFORE_MS = 1_735_689_600_000
#: The kernel is asked again this often until the clock is set, seconds.
_LOOK_EVERY = 1.0
#: Bit of `status` in struct timex (adjtimex(2)): the clock is not synchronized.
STA_UNSYNC = 0x40


class Timer(Protocol):
    """What waits for its time."""

    def cancel(self) -> None:
        """It is not wanted any more."""


class Clock(Protocol):
    """Everything that waits or stamps takes one of these; tests hand in `agent.testing.clock.ManualClock`."""

    def now_ms(self) -> int:
        """Wall clock, epoch milliseconds UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds since some fixed instant. Never jumps."""

    async def sleep(self, seconds: float, /) -> None:
        """Wait; zero or less only yields."""

    def call_at(self, instant: float, call: Callable[[], None], /) -> Timer:
        """Call it at this monotonic time, without a task that waits, or in the next turn where that is over.

        Those who name one instant are called in one turn, whenever they named it: `sleep` counts from the time at which
        it is called, but the loop from the beginning of its turn.
        """

    @property
    def synced(self) -> bool:
        """False while the wall clock is known not to be set."""


def to_beat(now: float, seconds: float, soonest: float | None = None) -> float:
    """Seconds of monotonic time until the beat that all who look every so often share.

    It is `soonest` away at least, half of `seconds` where that is not said.

    Waking an idle process costs more than most of what it is woken for: looks that fall together cost one waking.
    """
    rest = seconds - now % seconds
    return rest if rest >= (seconds / 2 if soonest is None else soonest) else rest + seconds


def kernel_synced() -> bool | None:
    """Whether the kernel's clock is disciplined (adjtimex(2): STA_UNSYNC is clear); None where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        timex = (ctypes.c_char * 256)()  # struct timex is 208 bytes at most; modes = 0 only reads
        if libc.adjtimex(timex) < 0:
            return None
    except (OSError, AttributeError):
        return None
    # modes, offset, freq, maxerror, esterror, status: an int, four longs, an int, in the machine's own alignment
    status: int = struct.unpack_from("@illlli", timex)[5]
    return not status & STA_UNSYNC


def battery_clock() -> bool:
    """Whether the machine has a clock of its own that set the kernel's at boot: every PC has, few boards do."""
    if platform.machine().lower() in {"x86_64", "amd64", "i686", "i386"}:
        return True
    for told in Path("/sys/class/rtc").glob("rtc*/hctosys"):
        try:
            if told.read_text().strip() == "1":
                return True
        except OSError:
            continue
    return False


class SystemClock:
    """The machine's clocks and the running loop's sleep.

    The wall clock counts as set once the kernel says that somebody disciplines it, or where the machine has a battery
    clock (or the kernel cannot be asked); never before :data:`NEVER_SET_BEFORE_MS`. Once set it stays so: a time server
    that is away for a day does not make the clock wrong.
    """

    def __init__(
        self, *, kernel: Callable[[], bool | None] = kernel_synced, battery: Callable[[], bool] = battery_clock
    ) -> None:
        self._kernel = kernel
        self._battery = battery
        self._is_set = False
        self._look_at = float("-inf")

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)  # asked a dozen times a scan: no function around it

    def sleep(self, seconds: float, /) -> Coroutine[Any, Any, None]:
        return asyncio.sleep(seconds)  # zero or less yields; itself, no coroutine around it

    def call_at(self, instant: float, call: Callable[[], None], /) -> Timer:
        return asyncio.get_running_loop().call_at(instant, call)  # its time is the monotonic clock's, too

    @property
    def synced(self) -> bool:
        if time.time_ns() < NEVER_SET_BEFORE_MS * 1_000_000:
            return False
        if not self._is_set and self.monotonic() >= self._look_at:
            self._look_at = self.monotonic() + _LOOK_EVERY
            self._is_set = self._kernel() is not False or self._battery()
        return self._is_set
