"""Opens sessions: version fallback, secrets read anew, what the broker cannot do left out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from msgspec import structs

from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, PermanentError, TransientError
from agent.core.flow import Message
from agent.core.ports import Memo, Publisher, WillMaker
from agent.publishers.mqtt import reasons
from agent.publishers.mqtt.access import Server
from agent.publishers.mqtt.broker import TRIES, Broker, Brokers
from agent.publishers.mqtt.client import Connection
from agent.publishers.mqtt.hangups import End
from agent.publishers.mqtt.hooks import Version
from agent.publishers.mqtt.link import Connack, Loss
from agent.publishers.mqtt.options import Options
from agent.publishers.mqtt.pace import Pace
from agent.publishers.mqtt.session import MqttSession
from agent.publishers.mqtt.turns import next_one, of_broker
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import PUBLISHER_CERT_EXPIRY

log = get_logger("mqtt")

_TAKEN_OVER = 0x8E
#: A session this long ends what was said of a rival, seconds.
_CALM = 600.0
#: What nobody can tell with MQTT 3.1.1, for the log.
_BLIND = (
    "a message that access rules or a size limit forbid is acknowledged and dropped; limits and reasons are not told"
)


class _VersionRefused(TransientError):
    """CONNACK 0x84 (0x01): the broker does not speak this version."""


class _Silent(ConnectionLost):
    """The broker closed the connection without a CONNACK."""


class MqttPublisher:
    """See `agent.core.ports.Learning`. Remembers from one session to the next what each broker cannot do."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._brokers = Brokers([server.name for server in options.access.servers], options.publisher, clock)
        self._said: set[str] = set()  # facts about the brokers that have been said
        self._turn = 0  # of the servers
        self._refusals = 0  # attempts that failed in a row
        self._adjust: Callable[[], None] = _nothing  # has the present session heed the options

    @property
    def _server(self) -> Server:
        servers = self._options.access.servers
        return servers[self._turn % len(servers)]

    @property
    def _broker(self) -> Broker:
        return self._brokers.of(self._turn)

    def recall(self, memo: Memo, /) -> None:
        """See the port."""
        self._brokers.recall(memo)

    @property
    def options(self) -> Options:
        """What it is configured with."""
        return self._options

    def adjust(self, successor: Publisher, /) -> None:
        """See the port: the window and the rate."""
        if isinstance(successor, MqttPublisher):
            self._options = successor.options
            self._adjust()

    @asynccontextmanager
    async def open(self, will: Message | WillMaker | None, listens: Sequence[str], /) -> AsyncIterator[MqttSession]:
        """See the port. Each time it ends, well or badly, the next of the servers has its turn."""
        try:
            try:
                connection, session = await self._connect(will, listens)
            except (TransientError, PermanentError) as error:
                self._broker.hangups.failed()
                self._refusals += 1
                if len(self._options.access.servers) > 1:
                    error = of_broker(self._server.name, error)
                if self._refusals % len(self._options.access.servers):
                    raise next_one(error) from None
                raise error from None
            self._refusals = 0
            broken = True
            try:
                yield session
                broken = False
            finally:
                self._adjust = _nothing
                await connection.leave(with_will=broken)
        finally:
            self._turn += 1
            self._brokers.keep()

    async def _connect(
        self, will: Message | WillMaker | None, listens: Sequence[str]
    ) -> tuple[Connection, MqttSession]:
        """As configured; after silent closes one try without retaining the will, which some brokers do not take."""
        broker = self._broker
        try:
            return await self._connect_any(will, listens)
        except _Silent:
            if broker.learned.silent < TRIES or not (isinstance(will, Message) and self._retains(broker, will)):
                raise
            opened = await self._connect_any(structs.replace(will, retain=False), listens)
        broker.no_retained_will(self._clock.now_ms())
        log.warning("mqtt.will_not_retained", publisher=self._options.publisher, broker=broker.name)
        return opened

    def _retains(self, broker: Broker, will: Message) -> bool:
        given = will.retain and self._options.will == "retained"
        return given and not broker.without("retain") and not broker.without("will")

    async def _connect_any(
        self, will: Message | WillMaker | None, listens: Sequence[str]
    ) -> tuple[Connection, MqttSession]:
        version, broker = self._options.version, self._broker
        if version == "3.1.1":
            try:
                opened = await self._attempt("3.1.1", will, listens)
            except _Silent:
                broker.silently_closed(self._clock.now_ms())
                raise
            self._say_blind("version is set to 3.1.1")
            return opened
        try:
            opened = await self._attempt("5", will, listens)
        except _VersionRefused as refused:
            trouble: TransientError = refused
        except _Silent as silent:
            if not broker.silently_closed(self._clock.now_ms()):
                raise
            trouble = silent
        else:
            broker.learned.silent = 0
            self._said.discard(f"blind {broker.name}")
            return opened
        if version == "5":
            raise trouble
        try:
            opened = await self._attempt("3.1.1", will, listens)
        except _Silent:
            raise trouble from None
        self._say_blind(str(trouble))
        return opened

    def _say_blind(self, reason: str) -> None:
        """Once for each broker, until it speaks 5."""
        broker = self._broker.name
        if self._first(f"blind {broker}"):
            log.warning(
                "mqtt.version_fallback", publisher=self._options.publisher, broker=broker, reason=reason, blind=_BLIND
            )

    def _first(self, fact: str) -> bool:
        new = fact not in self._said
        self._said.add(fact)
        return new

    async def _attempt(
        self, version: Version, will: Message | WillMaker | None, listens: Sequence[str]
    ) -> tuple[Connection, MqttSession]:
        options, server, broker = self._options, self._server, self._broker
        dial = options.access.dial(server, timeout=options.connect_timeout, synced=lambda: self._clock.synced)
        connection = Connection(version, options.client_id, dial, max_incoming=options.max_incoming_bytes)
        connection.prepare(*options.access.credentials())
        session: MqttSession | None = None
        try:
            async with asyncio.timeout(options.connect_timeout):
                connack = await connection.connect(options.keep_alive, partial(self._will, broker, will))
                for which, end in connection.expiry.items():
                    PUBLISHER_CERT_EXPIRY.labels(options.publisher, which).set(end)
                self._judge(broker, connack)
                limits = broker.limits(version, connack, options)
                if not limits.max_qos and self._first(f"qos {broker.name}"):
                    log.warning("mqtt.qos_lowered", publisher=options.publisher, broker=broker.name)
                session = MqttSession(
                    connection, limits, options.publisher, hold_unheard=options.hold_unheard,
                    pace=Pace(limits.max_rate, ramp=not broker.learned.fast),
                )  # fmt: skip
                connection.attach(_Watch(self, broker, session))
                self._adjust = partial(self._resize, session, broker, version, connack)
                await self._listen(connection, broker, listens)
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
                raise _Silent(f"the broker hung up without an answer ({lost}); {hint}") from None
            raise
        except BaseException:
            connection.abort()
            raise
        return connection, session

    async def _will(self, broker: Broker, will: Message | WillMaker | None) -> Message | None:
        # No Will Delay Interval (MQTT 5: 3.1.3.2.2): a session of ours expires with its connection, and the will is due
        # then whatever the delay. That a will of an older session counts no more is said by the session in it.
        if will is None or self._options.will == "none":
            return None
        if not isinstance(will, Message):
            will = await will()
        return structs.replace(
            will,
            qos=0 if broker.without("qos") else will.qos,
            retain=self._retains(broker, will),
        )

    def _resize(self, session: MqttSession, broker: Broker, version: Version, connack: Connack) -> None:
        limits = broker.limits(version, connack, self._options)
        session.resize(limits.window)
        session.pace.rate = limits.max_rate

    def _judge(self, broker: Broker, connack: Connack) -> None:
        row = reasons.reaction(reasons.CONNACK, connack.code)
        if row.kind == "accepted":
            return
        broker.refused(connack, self._clock.now_ms())
        error = reasons.error(row, connack.code, connack.said)
        if row.kind == "version":
            raise _VersionRefused(str(error), retry_after=row.retry_after)
        raise error

    async def _listen(self, connection: Connection, broker: Broker, listens: Sequence[str]) -> None:
        """Subscribe. A refusal costs what we would have heard, never the data."""
        if not listens or broker.deaf >= TRIES:
            return
        try:
            codes = await connection.subscribe(listens)
        except ConnectionLost:
            broker.deaf += 1
            if broker.deaf >= TRIES:  # some brokers hang up instead of saying no
                self._say_deaf(broker, listens, "the broker hangs up when we subscribe")
            raise
        broker.deaf = 0
        refused = [topic for topic, code in zip(listens, codes, strict=False) if code >= 0x80]
        if refused:
            self._say_deaf(broker, refused, "refused")
        else:
            self._said.discard(f"deaf {broker.name}")

    def _say_deaf(self, broker: Broker, topics: Sequence[str], reason: str) -> None:
        if self._first(f"deaf {broker.name}"):
            log.warning("mqtt.subscribe_refused", publisher=self._options.publisher, topics=list(topics), reason=reason)

    def ended(self, broker: Broker, session: MqttSession, loss: Loss, lasted: float) -> float | None:
        """A session is over: what is learned of the broker, and how long to keep away."""
        now = self._clock.now_ms()
        if loss.code is not None:
            broker.said_goodbye(
                loss.code,
                window=session.limits.window,
                largest=session.largest_flying,
                rate=session.pace.peak,
                now=now,
            )
        if session.pace.learned is not None:
            broker.too_fast(session.pace.learned, now)
        elif session.pace.fast:
            broker.kept_up(now)
        end = End(loss.hung_up, lasted, session.largest_flying, session.largest_taken)
        rival, keep_away = broker.ended(end, now)
        if lasted >= _CALM:
            self._said.discard(f"rival {broker.name}")
        if (rival or loss.code == _TAKEN_OVER) and self._first(f"rival {broker.name}"):
            log.error("mqtt.taken_over", publisher=self._options.publisher, client_id=self._options.client_id)
        self._brokers.keep()
        return keep_away


def _nothing() -> None:
    """There is no session."""


class _Watch:
    """Between connection and session: the publisher learns from how a session ended."""

    def __init__(self, publisher: MqttPublisher, broker: Broker, session: MqttSession) -> None:
        self._publisher = publisher
        self._broker = broker
        self._session = session
        self._since = time.monotonic()
        self.acknowledged = session.acknowledged
        self.received = session.received
        self.oversized = session.oversized
        self.pinged = session.pinged
        self.ponged = session.ponged
        self.moved = session.moved

    def lost(self, loss: Loss, /) -> None:
        lasted = time.monotonic() - self._since
        keep_away = self._publisher.ended(self._broker, self._session, loss, lasted)
        if keep_away is not None:
            text = f"{loss.text}, again and again: another client probably uses our client_id; give each its own"
            loss = loss._replace(text=text, retry_after=keep_away)
        self._session.lost(loss)
