"""How a route stands: online, degraded or offline, and why; in the metrics and in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from agent.core.clock import Clock
from agent.core.errors import AgentError
from agent.core.flow import Limits
from agent.core.ports import Outbox
from agent.runtime.north.refusals import Refusals
from agent.runtime.supervisor import Failure
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

#: A session that lasted so long ends the trouble before it; the next one is logged anew, seconds.
ENDS_TROUBLE = 60.0

log = get_logger("publisher")


class RouteState:
    """Of one route, over all its sessions."""

    def __init__(self, name: str, outbox: Outbox, clock: Clock) -> None:
        self.state: Literal["online", "degraded", "offline"] = "offline"
        self.reason: str | None = "not connected yet"
        self.protocol: str | None = None  #: what this session speaks
        self.refusals = Refusals(clock)
        self._name = name
        self._outbox = outbox
        self._clock = clock
        self._repeats = Repeats()
        self._troubles: set[tuple[str, str]] = set()  # said of the present trouble, each once
        self._up_since = 0.0
        self._failures = 0
        self._down_since = clock.monotonic()
        self._up = metrics.PUBLISHER_UP.labels(name)
        self._up.set(0)

    @property
    def since(self) -> float:
        """When it came into its state, monotonic seconds."""
        return self._up_since if self.state == "online" else self._down_since

    @contextmanager
    def waiting(self, why: str) -> Iterator[None]:
        """Meanwhile it is not even tried."""
        before, self.reason = self.reason, why
        yield
        self.reason = before

    def online(self, limits: Limits) -> None:
        """Records flow to a broker with these `limits`."""
        if self.state == "online":
            return
        self.state, self.reason, self.protocol = "online", None, limits.protocol
        self._up.set(1)
        self._up_since = self._clock.monotonic()
        log.info(
            "publisher.online",
            publisher=self._name,
            broker=limits.server,
            protocol=limits.protocol,
            window=limits.window,
            max_packet_bytes=limits.max_packet_bytes,
            backlog=self._outbox.stats.records,
            down_for=round(self._clock.monotonic() - self._down_since, 1),
            attempts=self._failures,
        )
        self._failures = 0

    def held(self, why: str) -> None:
        """The broker is there, but nothing may be said yet."""
        if self.reason != why:
            log.info("publisher.held", publisher=self._name, reason=why)
        self.offline(why)

    def offline(self, reason: str, *, degraded: bool = False) -> None:
        """Nothing is published. `degraded`: the broker is there all the same."""
        now = self._clock.monotonic()
        if self.state == "online":
            self._down_since = now
            if now - self._up_since >= ENDS_TROUBLE:  # else it is the same one going on: a rival under our name, say
                for known in self._troubles:
                    self._repeats.over(known)
                self._troubles.clear()
        self.state = "degraded" if degraded else "offline"
        self.reason, self.protocol = reason, None
        self._up.set(0)

    def lost(self, failure: Failure, *, degraded: bool = False) -> None:
        """An attempt to publish has ended."""
        self.offline(failure.reason, degraded=degraded)
        self._failures += 1
        trouble = ("down", failure.reason)
        self._troubles.add(trouble)
        if (repeats := self._repeats.due(trouble, self._clock.monotonic())) is not None:
            waiting = self._outbox.stats.records
            log.warning(
                "publisher.offline", publisher=self._name, reason=failure.reason, waiting=waiting,
                retry_in_s=failure.retry_in_s, repeats=repeats,
            )  # fmt: skip

    def refused(self, error: AgentError, device: str = "") -> None:
        """The broker refused a message, of a `device` perhaps. One cause is one line, whatever the topic."""
        reason = str(error)
        self.refusals.met(device, reason)
        cause = getattr(error, "code", None) or reason
        if (repeats := self._repeats.due(("refused", cause), self._clock.monotonic())) is not None:
            log.warning(
                "publisher.refused", publisher=self._name, device=device or None, reason=reason, repeats=repeats
            )
