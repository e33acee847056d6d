"""What the service manager is told: sd_notify(3), where `NOTIFY_SOCKET` says that somebody listens.

`READY=1` once every part is open, `STOPPING=1` at the end. In between `WATCHDOG=1`, from the event loop and only while
the writers of the outboxes come round as well: a loop or a writer that hangs for good ends with a restart.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from agent.core.clock import Clock
from agent.telemetry.logging import get_logger

#: A writer that has not finished a turn for so long hangs, seconds. A slow card, or a file that is salvaged, takes
#: minutes.
LONGEST_TURN = 600.0

log = get_logger("agent")


class ServiceManager:
    """Belongs to the event loop. Does nothing where nobody listens."""

    def __init__(
        self, turns: Callable[[], Mapping[str, float]], clock: Clock, environ: Mapping[str, str] = os.environ
    ) -> None:
        """`turns()`: seconds since the last turn of the writer of each publisher's outbox."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._turns = turns
        self._clock = clock
        self._interval = _interval(environ) if address else None
        self._stuck: set[str] = set()

    def ready(self) -> None:
        """Every part is open."""
        self._say("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._say("STOPPING=1")

    async def run(self) -> None:
        """Feed the watchdog three times in its interval, until cancelled; return at once where there is none."""
        if self._interval is None:
            return
        while True:
            self._feed()
            await self._clock.sleep(self._interval / 3)

    def _feed(self) -> None:
        turns = self._turns()
        stuck = {name for name, seconds in turns.items() if seconds > LONGEST_TURN}
        for name in stuck - self._stuck:
            log.error("agent.writer_stuck", publisher=name, seconds=round(turns[name]))
        self._stuck = stuck
        if not stuck:
            self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify:
                notify.sendto(text.encode(), self._address)
        except OSError as error:  # sent again soon, or no service manager listens
            log.debug("agent.notify_failed", reason=str(error))


def _interval(environ: Mapping[str, str]) -> float | None:
    """Seconds within which the watchdog wants to be fed; None where there is none, or it is another process's."""
    pid, usec = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if not usec.isdecimal() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1_000_000
