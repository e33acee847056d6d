"""Opens sessions, at one server after the other: which version is spoken, and what each end of a session teaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from msgspec import structs

from agent.core.clock import Clock
from agent.core.errors import PermanentError, TransientError
from agent.core.flow import Message
from agent.core.ports import Memo, Publisher, WillMaker
from agent.publishers.mqtt.access import Server
from agent.publishers.mqtt.attempt import ConnectAttempt, LoggedFacts, OpenedSession, SilentError, VersionRefusedError
from agent.publishers.mqtt.broker import TRIES, Broker, Brokers
from agent.publishers.mqtt.hangups import End
from agent.publishers.mqtt.link import Disconnection
from agent.publishers.mqtt.options import Options
from agent.publishers.mqtt.session import MqttSession
from agent.publishers.mqtt.turns import next_one, of_broker
from agent.telemetry.logging import get_logger

log = get_logger("mqtt")

_TAKEN_OVER = 0x8E
#: A session this long ends what was said of a rival, seconds.
_CALM = 600.0
#: What nobody can tell with MQTT 3.1.1, for the log.
_BLIND = (
    "a message that access rules or a size limit forbid is acknowledged and dropped; limits and reasons are not told"
)


class MqttPublisher:
    """See `agent.core.ports.Learning`. Remembers from one session to the next what each broker cannot do."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._brokers = Brokers([server.name for server in options.access.servers], options.publisher, clock)
        self._facts = LoggedFacts()
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
                options, opened = self._options, await self._connect(will, listens)
            except (TransientError, PermanentError) as error:
                self._broker.hangups.failed()
                self._refusals += 1
                if len(self._options.access.servers) > 1:
                    error = of_broker(self._server.name, error)
                if self._refusals % len(self._options.access.servers):
                    raise next_one(error) from None
                raise error from None
            self._refusals = 0
            self._adjust = partial(self._resize, self._broker, opened)
            if self._options is not options:  # they changed meanwhile
                self._adjust()
            broken = True
            try:
                yield opened.session
                broken = False
            finally:
                self._adjust = _nothing
                await opened.connection.leave(with_will=broken)
        finally:
            self._turn += 1
            self._brokers.keep()

    async def _connect(self, will: Message | WillMaker | None, listens: Sequence[str]) -> OpenedSession:
        """As configured; after silent closes one try without retaining the will, which some brokers do not take."""
        broker = self._broker
        attempt = ConnectAttempt(
            self._options, self._server, broker, self._clock, self._facts, partial(self._ended, broker)
        )
        try:
            return await self._connect_any(attempt, will, listens)
        except SilentError:
            if broker.learned.silent < TRIES or not (isinstance(will, Message) and attempt.retains(will)):
                raise
            opened = await self._connect_any(attempt, structs.replace(will, retain=False), listens)
        broker.no_retained_will(self._clock.now_ms())
        log.warning("mqtt.will_not_retained", publisher=self._options.publisher, broker=broker.name)
        return opened

    async def _connect_any(
        self, attempt: ConnectAttempt, will: Message | WillMaker | None, listens: Sequence[str]
    ) -> OpenedSession:
        version, broker = self._options.version, self._broker
        if version == "3.1.1":
            try:
                opened = await attempt.open("3.1.1", will, listens)
            except SilentError:
                broker.silently_closed(self._clock.now_ms())
                raise
            self._say_blind("version is set to 3.1.1")
            return opened
        try:
            opened = await attempt.open("5", will, listens)
        except VersionRefusedError as refused:
            trouble: TransientError = refused
        except SilentError as silent:
            if not broker.silently_closed(self._clock.now_ms()):
                raise
            trouble = silent
        else:
            broker.learned.silent = 0
            self._facts.over(f"blind {broker.name}")
            return opened
        if version == "5":
            raise trouble
        try:
            opened = await attempt.open("3.1.1", will, listens)
        except SilentError:
            raise trouble from None
        self._say_blind(str(trouble))
        return opened

    def _say_blind(self, reason: str) -> None:
        """Once for each broker, until it speaks 5."""
        broker = self._broker.name
        if self._facts.first(f"blind {broker}"):
            log.warning(
                "mqtt.version_fallback", publisher=self._options.publisher, broker=broker, reason=reason, blind=_BLIND
            )

    def _resize(self, broker: Broker, opened: OpenedSession) -> None:
        limits = broker.limits(opened.version, opened.connack, self._options)
        opened.session.resize(limits.window)
        opened.session.pace.allow(limits.max_rate)

    def _ended(self, broker: Broker, session: MqttSession, loss: Disconnection, lasted: float) -> float | None:
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
        if session.too_large:
            broker.too_large(session.too_large, session.largest_taken, now)
        if session.pace.learned is not None:
            broker.too_fast(session.pace.learned, now)
        elif session.pace.complained:
            broker.learned.fast = False
        elif session.pace.fast:
            broker.kept_up(now)
        end = End(loss.hung_up, lasted, session.largest_flying, session.largest_taken, session.sole)
        rival, keep_away = broker.ended(end, now)
        if lasted >= _CALM:
            self._facts.over(f"rival {broker.name}")
        if (rival or loss.code == _TAKEN_OVER) and self._facts.first(f"rival {broker.name}"):
            log.error("mqtt.taken_over", publisher=self._options.publisher, client_id=self._options.client_id)
        self._brokers.keep()
        return keep_away


def _nothing() -> None:
    """There is no session."""
