"""PUBACK 0x10: the broker took a message, and nobody subscribes to it."""

from __future__ import annotations

from agent.core.errors import Refused
from agent.publishers.mqtt.flying import Flying
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import PUBLISHED

log = get_logger("mqtt")

#: We are to hold: the device waits this long, seconds.
_RETRY = 30.0
_HELD = "start what is to receive it, or write on_no_subscriber: accept"


class Unheard:
    """Of one session: counted, logged once, and held where that is wanted."""

    def __init__(self, publisher: str, *, hold: bool) -> None:
        self._publisher = publisher
        self._hold = hold
        self._said = False
        self._count = PUBLISHED.labels(publisher, "no_subscriber")

    def met(self, flying: Flying) -> None:
        """One of them; a retained message waits at the broker for whoever comes."""
        self._count.value += 1
        if not self._said:
            self._said = True
            log.info("mqtt.no_subscriber", publisher=self._publisher, topic=flying.packet.topic)
        if self._hold and not flying.packet.retained:
            reason = f"nobody subscribes to {flying.packet.topic}, and on_no_subscriber is hold -> {_HELD}"
            flying.bundle.fail(Refused(reason, retry_after=_RETRY))
