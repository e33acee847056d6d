"""One attempt to open a session: one server, one version of the protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from msgspec import structs

from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Message
from agent.core.ports import WillMaker
from agent.publishers.mqtt import reasons
from agent.publishers.mqtt.access import Server
from agent.publishers.mqtt.broker import TRIES, Broker
from agent.publishers.mqtt.client import Connection
from agent.publishers.mqtt.hooks import Version
from agent.publishers.mqtt.link import Connack, Disconnection
from agent.publishers.mqtt.options import Options
from agent.publishers.mqtt.pace import Pace
from agent.publishers.mqtt.session import MqttSession
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import PUBLISHER_CERT_EXPIRY

#: The dial has the same deadline and knows what it waited for (name, address, TLS): it gets to tell, seconds.
_GRACE = 0.5

log = get_logger("mqtt")


class VersionRefusedError(TransientError):
    """CONNACK 0x84 (0x01): the broker does not speak this version."""


class SilentError(ConnectionLost):
    """The broker closed the connection without a CONNACK."""


class LoggedFacts:
    """What has been logged of brokers, so that it is logged once."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def first(self, fact: str) -> bool:
        """Whether it is new."""
        new = fact not in self._known
        self._known.add(fact)
        return new

    def over(self, fact: str) -> None:
        """It is no longer true."""
        self._known.discard(fact)


class OpenedSession(NamedTuple):
    """A session, and what it stands on."""

    connection: Connection
    session: MqttSession
    version: Version
    connack: Connack


Ended = Callable[[MqttSession, Disconnection, float], float | None]
"""Told how a session ended, and after how many seconds; how long to keep away, if at all."""


class ConnectAttempt:
    """At one server, with the secrets as they are now. `ended` is called at the session's end."""

    def __init__(
        self, options: Options, server: Server, broker: Broker, clock: Clock, facts: LoggedFacts, ended: Ended
    ) -> None:
        self._options = options
        self._server = server
        self._broker = broker
        self._clock = clock
        self._facts = facts
        self._ended = ended

    def retains(self, will: Message) -> bool:
        """Whether the broker is asked to retain it."""
        given = will.retain and self._options.will == "retained"
        return given and not self._broker.without("retain") and not self._broker.without("will")

    async def open(self, version: Version, will: Message | WillMaker | None, listens: Sequence[str]) -> OpenedSession:
        """Connect and subscribe. Raises what the port does, VersionRefusedError and SilentError among that."""
        options, server, broker = self._options, self._server, self._broker
        dial = options.access.dial(server, timeout=options.connect_timeout, synced=lambda: self._clock.synced)
        connection = Connection(version, options.client_id, dial, max_incoming=options.max_incoming_bytes)
        connection.prepare(*options.access.credentials())
        session: MqttSession | None = None
        try:
            async with asyncio.timeout(options.connect_timeout + _GRACE):
                try:
                    connack = await connection.connect(options.keep_alive, partial(self._will, will))
                finally:  # a certificate that has run out is refused
                    for which, end in connection.expiry.items():
                        PUBLISHER_CERT_EXPIRY.labels(options.publisher, which).set(end)
                self._judge(connack)
                limits = broker.limits(version, connack, options)
                if not limits.max_qos and self._facts.first(f"qos {broker.name}"):
                    log.warning("mqtt.qos_lowered", publisher=options.publisher, broker=broker.name)
                session = MqttSession(
                    connection, limits, options.publisher, hold_unheard=options.hold_unheard,
                    pace=Pace(limits.max_rate, ramp=not broker.learned.fast), taken=broker.hangups.taken,
                    wary=version == "5" and broker.hangups.large == 1,
                )  # fmt: skip
                connection.attach(_Watch(session, self._ended))
                await self._listen(connection, listens)
        except TimeoutError:
            connection.abort()
            waited = f"{options.connect_timeout:g} s"
            raise ConnectionLost(f"{broker.name} did not answer within {waited}") from None
        except ConnectionLost as lost:
            connection.abort()
            if session is not None:
                await session.closed()  # raises what the broker said
            if connection.closed_early:
                hint = "is it an MQTT listener, does it want TLS or a client certificate?"
                raise SilentError(f"the broker disconnected without an answer ({lost}); {hint}") from None
            raise
        except BaseException:
            connection.abort()
            raise
        return OpenedSession(connection, session, version, connack)

    async def _will(self, will: Message | WillMaker | None) -> Message | None:
        # No Will Delay Interval (MQTT 5: 3.1.3.2.2): our session expires with its connection, and the will is due
        # then whatever the delay. A will of an older session no longer counts: consumers see its session id.
        if will is None or self._options.will == "none":
            return None
        if not isinstance(will, Message):
            will = await will()
        return structs.replace(
            will,
            qos=0 if self._broker.without("qos") else will.qos,
            retain=self.retains(will),
        )

    def _judge(self, connack: Connack) -> None:
        row = reasons.reaction(reasons.CONNACK, connack.code)
        if row.kind == "accepted":
            return
        self._broker.refused(connack, self._clock.now_ms())
        error = reasons.error(row, connack.code, connack.said)
        if row.kind == "version":
            raise VersionRefusedError(str(error), retry_after=row.retry_after)
        raise error

    async def _listen(self, connection: Connection, listens: Sequence[str]) -> None:
        """Subscribe. A refusal costs what we would have heard, never the data."""
        broker = self._broker
        if not listens or broker.deaf >= TRIES:
            return
        try:
            codes = await connection.subscribe(listens)
        except ConnectionLost:
            if connection.flooded:  # says nothing of the subscription
                raise
            broker.deaf += 1
            if broker.deaf >= TRIES:  # some brokers disconnect instead of refusing
                self._say_deaf(listens, "the broker disconnects at the subscription")
            raise
        broker.deaf = 0
        refused = [topic for topic, code in zip(listens, codes, strict=False) if code >= 0x80]
        if refused:
            self._say_deaf(refused, "refused")
        else:
            self._facts.over(f"deaf {broker.name}")

    def _say_deaf(self, topics: Sequence[str], reason: str) -> None:
        if self._facts.first(f"deaf {self._broker.name}"):
            log.warning("mqtt.subscribe_refused", publisher=self._options.publisher, topics=list(topics), reason=reason)


class _Watch:
    """Between connection and session: the publisher learns from how a session ended."""

    def __init__(self, session: MqttSession, ended: Ended) -> None:
        self._session = session
        self._ended = ended
        self._since = time.monotonic()
        self.acknowledged = session.acknowledged
        self.received = session.received
        self.oversized = session.oversized
        self.pinged = session.pinged
        self.ponged = session.ponged
        self.moved = session.moved

    def lost(self, loss: Disconnection, /) -> None:
        lasted = time.monotonic() - self._since
        keep_away = self._ended(self._session, loss, lasted)
        if keep_away is not None:
            text = f"{loss.text}, again and again: another client probably uses our client_id; give each its own"
            loss = loss._replace(text=text, retry_after=keep_away)
        self._session.lost(loss)
