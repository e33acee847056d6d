"""Opens sessions: version fallback, secrets read anew, what the broker cannot do left out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Limits, Message
from agent.core.ports import WillMaker
from agent.publishers.mqtt import reasons
from agent.publishers.mqtt.client import Connection
from agent.publishers.mqtt.dial import Dial
from agent.publishers.mqtt.hangups import SMALLEST, End, Hangups
from agent.publishers.mqtt.hooks import Version, upgrade
from agent.publishers.mqtt.link import Connack, Loss
from agent.publishers.mqtt.proxy import Proxy
from agent.publishers.mqtt.session import MqttSession
from agent.settings.base import TLSSettings
from agent.settings.values import read_secret
from agent.telemetry.logging import get_logger

log = get_logger("mqtt")

_SILENT_CLOSES = 3
"""Closes without a CONNACK after which 3.1.1 is tried: old brokers hang up on a version they do not know."""


class Server(Struct, frozen=True):
    """One broker. `tls` None: not encrypted; `path`: over WebSocket."""

    host: str
    port: int
    tls: TLSSettings | None = None
    path: str | None = None


class Options(Struct, frozen=True, kw_only=True):
    """What a configuration says, ready for use."""

    publisher: str
    servers: tuple[Server, ...]
    version: Literal["auto", "5", "3.1.1"]
    client_id: str
    username: str | None
    password: str | None
    password_file: Path | None
    keep_alive: float
    connect_timeout: float
    window: int
    hold_unheard: bool = False
    proxy: Proxy | None = None


class _VersionRefused(TransientError):
    """CONNACK 0x84 (0x01): the broker does not speak this version."""


class _Silent(ConnectionLost):
    """The broker closed the connection without a CONNACK."""


class MqttPublisher:
    """See `agent.core.ports.Publisher`. Remembers from one session to the next what this broker cannot do."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._silent = 0
        self._without: set[reasons.Without] = set()
        self._window = options.window
        self._max_packet: int | None = None
        self._deaf_drops = 0
        self._hangups = Hangups()
        self._blind_said = False
        self._turn = 0  # of the servers

    @property
    def _server(self) -> Server:
        return self._options.servers[self._turn % len(self._options.servers)]

    @asynccontextmanager
    async def open(self, will: Message | WillMaker | None, listens: Sequence[str], /) -> AsyncIterator[MqttSession]:
        """See the port. Each time it ends, well or badly, the next of the servers has its turn."""
        try:
            try:
                connection, session = await self._connect(will, listens)
            except TransientError:
                self._hangups.failed()
                raise
            broken = True
            try:
                yield session
                broken = False
            finally:
                await connection.leave(with_will=broken)
        finally:
            self._turn += 1

    async def _connect(
        self, will: Message | WillMaker | None, listens: Sequence[str]
    ) -> tuple[Connection, MqttSession]:
        options = self._options
        if options.version == "3.1.1":
            opened = await self._attempt("3.1.1", will, listens)
            if not self._blind_said:
                self._blind_said = True
                log.warning("mqtt.version_fallback", publisher=options.publisher, reason="version is set to 3.1.1")
            return opened
        try:
            opened = await self._attempt("5", will, listens)
        except _VersionRefused as refused:
            trouble: TransientError = refused
        except _Silent as silent:
            self._silent += 1
            if self._silent < _SILENT_CLOSES:
                raise
            trouble = silent
        else:
            self._silent = 0
            return opened
        if options.version == "5":
            raise trouble
        try:
            opened = await self._attempt("3.1.1", will, listens)
        except _Silent:
            raise trouble from None
        log.warning("mqtt.version_fallback", publisher=options.publisher, reason=str(trouble))
        return opened

    async def _attempt(
        self, version: Version, will: Message | WillMaker | None, listens: Sequence[str]
    ) -> tuple[Connection, MqttSession]:
        options, server = self._options, self._server
        dial = Dial(
            server.host,
            server.port,
            timeout=options.connect_timeout,
            tls=server.tls,
            synced=lambda: self._clock.synced,
            proxy=options.proxy,
            upgrade=upgrade(server.host, server.port, server.path, tls=server.tls is not None) if server.path else None,
        )
        connection = Connection(version, options.client_id, dial, tls=server.tls is not None)
        connection.prepare(options.username, self._password())
        session: MqttSession | None = None
        try:
            async with asyncio.timeout(options.connect_timeout):
                connack = await connection.connect(
                    server.host, server.port, options.keep_alive, partial(self._will, will)
                )
                self._judge(connack)
                session = MqttSession(
                    connection, self._limits(version, connack), options.publisher, hold_unheard=options.hold_unheard
                )
                connection.attach(_Watch(self, session))
                await self._listen(connection, listens)
        except TimeoutError:
            connection.abort()
            waited = f"{options.connect_timeout:g} s"
            raise ConnectionLost(f"{server.host}:{server.port} did not answer within {waited}") from None
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

    def _password(self) -> str | None:
        path = self._options.password_file
        if path is None:
            return self._options.password
        try:
            return read_secret(path)
        except (OSError, UnicodeError) as error:
            raise TransientError(f"password_file {path}: {error}", retry_after=30.0) from None

    async def _will(self, will: Message | WillMaker | None) -> Message | None:
        if will is None:
            return None
        if not isinstance(will, Message):
            will = await will()
        return structs.replace(
            will,
            qos=0 if "qos" in self._without else will.qos,
            retain=will.retain and "retain" not in self._without,
        )

    def _judge(self, connack: Connack) -> None:
        row = reasons.reaction(reasons.CONNACK, connack.code)
        if row.kind == "accepted":
            return
        if row.without is not None:
            self._without.add(row.without)
        error = reasons.error(row, connack.code, connack.said)
        if row.kind == "version":
            raise _VersionRefused(str(error), retry_after=row.retry_after)
        raise error

    def _limits(self, version: Version, connack: Connack) -> Limits:
        sizes = [size for size in (connack.max_packet, self._max_packet) if size is not None]
        return Limits(
            mqtt=version,
            window=max(1, min(self._window, connack.receive_maximum)),
            max_packet_bytes=min(sizes, default=None),
            max_qos=0 if "qos" in self._without else connack.max_qos,
            retain_available=connack.retain_available and "retain" not in self._without,
            keep_alive=connack.keep_alive or self._options.keep_alive,
            client_id=connack.client_id or self._options.client_id,
            server=f"{self._server.host}:{self._server.port}",
            servers=len(self._options.servers),
        )

    async def _listen(self, connection: Connection, listens: Sequence[str]) -> None:
        """Subscribe. A refusal costs what we would have heard, never the data."""
        if not listens or self._deaf_drops >= _SILENT_CLOSES:
            return
        try:
            codes = await connection.subscribe(listens)
        except ConnectionLost:
            self._deaf_drops += 1
            if self._deaf_drops >= _SILENT_CLOSES:  # some brokers hang up instead of saying no
                self._say_deaf(listens, "the broker hangs up when we subscribe")
            raise
        self._deaf_drops = 0
        refused = [topic for topic, code in zip(listens, codes, strict=False) if code >= 0x80]
        if refused:
            self._say_deaf(refused, "refused")

    def _say_deaf(self, topics: Sequence[str], reason: str) -> None:
        log.warning("mqtt.subscribe_refused", publisher=self._options.publisher, topics=list(topics), reason=reason)

    def learn(self, code: int, largest: int) -> None:
        """The broker ended a session with this DISCONNECT: what the next one does without."""
        row = reasons.reaction(reasons.DISCONNECT, code)
        if row.without in ("retain", "qos"):
            self._without.add(row.without)
        elif row.without == "window":
            self._window = max(1, self._window // 2)
        elif row.without == "size" and largest:
            self._max_packet = max(SMALLEST, largest // 2)

    def ended(self, end: End) -> float | None:
        """A session is over: what is learned where the broker said nothing, and how long to keep away."""
        verdict, options = self._hangups.ended(end), self._options
        if verdict.limit is not None:
            self._max_packet = verdict.limit
            log.warning("mqtt.limit_learned", publisher=options.publisher, max_packet_bytes=verdict.limit)
        if verdict.rival:
            log.error("mqtt.taken_over", publisher=options.publisher, client_id=options.client_id)
        return verdict.keep_away


class _Watch:
    """Between connection and session: the publisher learns from how a session ended."""

    def __init__(self, publisher: MqttPublisher, session: MqttSession) -> None:
        self._publisher = publisher
        self._session = session
        self._since = time.monotonic()
        self.acknowledged = session.acknowledged
        self.received = session.received
        self.pinged = session.pinged
        self.ponged = session.ponged

    def lost(self, loss: Loss, /) -> None:
        if loss.code is not None:
            self._publisher.learn(loss.code, self._session.largest_flying)
        lasted, flying = time.monotonic() - self._since, self._session.largest_flying
        keep_away = self._publisher.ended(End(loss.hung_up, lasted, flying, self._session.largest_taken))
        if keep_away is not None:
            text = f"{loss.text}, again and again: another client probably uses our client_id; give each its own"
            loss = loss._replace(text=text, retry_after=keep_away)
        self._session.lost(loss)
