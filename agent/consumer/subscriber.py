"""An MQTT subscriber that connects again by itself, over the connection that publishers have, too.

MQTT 5 with a session that outlives a broken connection, so that the broker keeps for us what comes meanwhile; 3.1.1
where the broker speaks nothing else. Subscribes at QoS 1. Of several brokers it listens to all at once: who publishes
uses the first that works, and nobody else knows which one that is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from agent.consumer.marks import UserProperties, is_marked
from agent.core.backoff import Backoff
from agent.core.clock import Clock, SystemClock
from agent.core.errors import ConnectionLost, PermanentError, TransientError
from agent.core.flow import Incoming
from agent.publishers.mqtt import reasons
from agent.publishers.mqtt.access import Access, Server
from agent.publishers.mqtt.acks import Ack
from agent.publishers.mqtt.client import Connection
from agent.publishers.mqtt.hooks import Version
from agent.publishers.mqtt.link import Disconnection
from agent.publishers.mqtt.oversize import Oversize
from agent.telemetry.logging import get_logger

KEEP_ALIVE = 15.0  #: seconds
CONNECT_TIMEOUT = 5.0  #: seconds for name, TCP, TLS and CONNACK together
SESSION_EXPIRY = 300  #: seconds the broker keeps our session while we are away
#: The largest packet we announce: a broker drops what is larger, and counts it as delivered.
MAX_INCOMING = 16 << 20

_REFUSED = {0x85, 0x86, 0x87, 0x8A, 0x8C}  # MQTT 5: 3.2.2.2; those of 3.1.1 come as the same

log = get_logger("consumer")


class OnMessage(Protocol):
    """Takes one message, on the loop, at once."""

    def __call__(self, topic: str, payload: bytes, *, retained: bool) -> None: ...


class OnMarked(Protocol):
    """Takes one message whose user properties name it, on the loop, at once."""

    def __call__(self, topic: str, payload: bytes, properties: UserProperties, *, retained: bool) -> None: ...


class Terms(NamedTuple):
    """How a consumer stands with its broker."""

    identity: str
    version: Literal["auto", "5", "3.1.1"] = "auto"
    keep_alive: float = KEEP_ALIVE
    connect_timeout: float = CONNECT_TIMEOUT
    session_expiry: int = SESSION_EXPIRY
    max_incoming: int = MAX_INCOMING
    receive_maximum: int | None = None  #: messages sent to us and not acknowledged (MQTT 5 only)


class Keeper(Protocol):
    """A consumer whose session outlives it, and who acknowledges by hand. Called on the loop, at once."""

    terms: Terms

    def stands(self, server: Server, connection: Connection, *, resumed: bool) -> None:
        """A subscription stands. Not `resumed`: the broker knows nothing of an earlier session."""

    def delivered(self, connection: Connection, incoming: Incoming) -> None:
        """A message; `connection.acknowledge(incoming.mid)` when it is safe."""

    def gone(self, server: Server, reason: str) -> None:
        """A connection was lost, or none came about."""

    def oversized(self, found: Oversize) -> None:
        """A message larger than announced was read past."""


class Subscriber:
    """`run` it; it calls `on_message` for everything on `topics`.

    Messages that only their user properties name (marks.py) go to `on_marked` instead, where there is one.

    `on_interrupted` is called when a connection stands again and the broker has forgotten us meanwhile: what was
    published in between was not heard.
    """

    def __init__(
        self, access: Access, topics: Sequence[str], on_message: OnMessage, *,
        on_interrupted: Callable[[], None] = lambda: None, on_marked: OnMarked | None = None,
        clock: Clock | None = None, name: str = "edge-consumer", keeper: Keeper | None = None,
    ) -> None:  # fmt: skip
        self.access = access
        self.topics = topics
        self.on_message = on_message
        self.on_interrupted = on_interrupted
        self.on_marked = on_marked
        self.clock = clock or SystemClock()
        self.keeper = keeper
        self.terms = keeper.terms if keeper is not None else Terms(f"{name}-{secrets.token_hex(4)}")
        self.reason: str | None = None  #: why the last connection was lost
        self.subscribed = asyncio.Event()  #: set while a subscription stands
        self._standing: set[str] = set()
        self._refused: set[str] = set()  # brokers that refuse us from the start

    async def run(self) -> None:
        """Until cancelled. Raises PermanentError where all refuse us from the start; else it tries again."""
        async with asyncio.TaskGroup() as group:  # what it raises comes in a group
            for server in self.access.servers:
                group.create_task(_Listening(self, server).run(), name=f"listen to {server.name}")

    def stands(self, server: Server, *, here: bool) -> None:
        """A subscription stands, or no longer does."""
        (self._standing.add if here else self._standing.discard)(server.name)
        if self._standing:
            self.subscribed.set()
        else:
            self.subscribed.clear()

    def refused(self, server: Server) -> bool:
        """A broker refuses us; whether that is so at all of them."""
        self._refused.add(server.name)
        return self._refused >= {one.name for one in self.access.servers}


class _Listening:
    """One broker, connection after connection."""

    def __init__(self, owner: Subscriber, server: Server) -> None:
        self._owner = owner
        self._server = server
        self._version: Version = "3.1.1" if owner.terms.version == "3.1.1" else "5"
        self._sessions = 0
        self._welcome = False  # our subscription stood at some time

    async def run(self) -> None:
        owner, backoff = self._owner, Backoff(first=0.3, cap=5.0)
        while True:
            began, ear = owner.clock.monotonic(), _Ear(owner)
            try:
                await self._live(ear)
            except PermanentError as error:
                if not self._welcome and owner.keeper is None and owner.refused(self._server):
                    raise
                self._failed(error)  # it took us once: whoever listens for days waits until it does again
            except TransientError as error:
                self._failed(error)
            finally:
                owner.stands(self._server, here=False)
            await owner.clock.sleep(backoff.failed(owner.clock.monotonic() - began if ear.stood else 0.0))

    def _failed(self, error: Exception) -> None:
        self._owner.reason = str(error)
        if self._owner.keeper is not None:
            self._owner.keeper.gone(self._server, str(error))

    async def _live(self, ear: _Ear) -> None:
        """Connect and stay until the connection is gone. Raises why it is, and what `on_message` raised."""
        owner = self._owner
        try:
            credentials = owner.access.credentials()
        except TransientError as error:
            raise PermanentError(str(error)) from None
        terms = owner.terms
        dial = owner.access.dial(self._server, timeout=terms.connect_timeout, synced=lambda: owner.clock.synced)
        keeps = owner.keeper is not None
        connection = Connection(
            self._version, terms.identity, dial, max_incoming=terms.max_incoming, keeps_session=keeps, consumes=True
        )
        connection.prepare(*credentials, session_expiry=terms.session_expiry, receive_maximum=terms.receive_maximum)
        connection.attach(ear)  # before all else: what was kept for us comes right behind the CONNACK
        ear.connection = connection
        try:
            resumed = await self._connect(connection)
            if resumed and keeps:  # what was kept for us comes before the SUBACK, and may take us any time
                self._stands(ear, connection, resumed=True)
                await self._subscribe(connection, None)
            else:
                await self._subscribe(connection, terms.connect_timeout)
                self._stands(ear, connection, resumed=resumed)
            await ear.gone.wait()
            ear.explain()
        finally:
            await connection.leave(with_will=False)

    def _stands(self, ear: _Ear, connection: Connection, *, resumed: bool) -> None:
        owner = self._owner
        ear.stood = self._welcome = True
        owner.stands(self._server, here=True)
        if owner.keeper is not None:
            owner.keeper.stands(self._server, connection, resumed=resumed)

    async def _connect(self, connection: Connection) -> bool:
        """Whether the broker has kept our session."""
        owner = self._owner
        terms = owner.terms
        try:
            async with asyncio.timeout(terms.connect_timeout):
                clean = owner.keeper is None and self._sessions == 0
                connack = await connection.connect(terms.keep_alive, clean=clean)
        except TimeoutError:
            raise self._late() from None
        except ConnectionLost as lost:
            if connection.closed_early:
                self._other_version()  # a broker that knows one version only may just disconnect
            raise ConnectionLost(f"{self._server.name}: {lost}") from None
        row = reasons.reaction(reasons.CONNACK, connack.code)
        if row.kind == "version":
            self._other_version()
        if connack.code in _REFUSED:
            raise PermanentError(f"the broker refuses us: {reasons.error(row, connack.code, connack.said)}")
        if row.kind != "accepted":
            raise reasons.error(row, connack.code, connack.said)
        self._sessions += 1
        if self._sessions > 1 and not connack.session_present:
            owner.on_interrupted()
        return connack.session_present

    async def _subscribe(self, connection: Connection, within: float | None) -> None:
        """To all topics, also in a session that was kept: they may be others than before."""
        try:
            async with asyncio.timeout(within):
                refused = [code for code in await connection.subscribe(self._owner.topics) if code >= 0x80]
        except TimeoutError:
            raise self._late() from None
        except ConnectionLost as lost:
            raise ConnectionLost(f"{self._server.name}: {lost}") from None
        if refused:
            raise PermanentError(f"the broker refuses the subscription (0x{refused[0]:02X})")

    def _late(self) -> ConnectionLost:
        return ConnectionLost(f"{self._server.name} did not answer within {self._owner.terms.connect_timeout:g} s")

    def _other_version(self) -> None:
        if self._owner.terms.version != "auto":
            return
        self._version = "3.1.1" if self._version == "5" else "5"


class _Ear:
    """What a connection tells us (`link.Handler`); it knows nothing of publishing."""

    def __init__(self, owner: Subscriber) -> None:
        self.stood = False
        self.gone = asyncio.Event()
        self.connection: Connection | None = None
        self._owner = owner
        self._bug: Exception | None = None
        self._why = ""

    def received(self, incoming: Incoming, /) -> None:
        owner = self._owner
        try:
            if owner.keeper is not None and self.connection is not None:
                owner.keeper.delivered(self.connection, incoming)
            elif owner.on_marked is not None and is_marked(incoming.properties):
                owner.on_marked(incoming.topic, incoming.payload, incoming.properties, retained=incoming.retain)
            else:
                owner.on_message(incoming.topic, incoming.payload, retained=incoming.retain)
        except Exception as bug:  # noqa: BLE001 - `explain` raises it where it belongs
            self._bug = self._bug or bug
            self.gone.set()

    def oversized(self, found: Oversize, /) -> None:
        if self._owner.keeper is not None:
            self._owner.keeper.oversized(found)
            return
        log.warning("mqtt.incoming_too_large", topic=found.topic[:200], bytes=found.size, repeats=0)

    def lost(self, loss: Disconnection, /) -> None:
        self._why = self._why or loss.text or f"the broker ended the connection (0x{loss.code or 0:02X})"
        self.gone.set()

    def explain(self) -> None:
        """Raise why it is gone."""
        if self._bug is not None:
            raise self._bug
        raise ConnectionLost(f"connection lost: {self._why}")

    def acknowledged(self, acks: Sequence[Ack], /) -> None:
        pass

    def pinged(self) -> None:
        pass

    def ponged(self) -> None:
        pass

    def moved(self) -> None:
        pass
