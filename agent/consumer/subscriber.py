"""An MQTT subscriber on the event loop that connects again by itself: the only file of this room that touches paho.

MQTT 5 with a session that outlives a broken connection, so that the broker keeps for us what comes meanwhile; 3.1.1
where the broker speaks nothing else. Subscribes at QoS 1.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.consumer.marks import UserProperties, is_marked
from agent.consumer.target import Target
from agent.core.backoff import Backoff
from agent.core.clock import Clock, SystemClock
from agent.core.errors import PermanentError
from agent.publishers.mqtt.hooks import upgrade

KEEP_ALIVE = 15  #: seconds
CONNECT_TIMEOUT = 5.0  #: seconds for TCP, TLS and CONNACK each
SESSION_EXPIRY = 300  #: seconds the broker keeps our session while we are away

_WRONG_VERSION = (1, 0x84)
_REFUSED = {0x04, 0x05, 0x85, 0x86, 0x87, 0x8A, 0x8C}  # MQTT 3.1.1: 3.2.2.3; MQTT 5: 3.2.2.2


class OnMessage(Protocol):
    """Takes one message, on the loop, at once."""

    def __call__(self, topic: str, payload: bytes, *, retained: bool) -> None: ...


class OnMarked(Protocol):
    """Takes one message whose user properties name it, on the loop, at once."""

    def __call__(self, topic: str, payload: bytes, properties: UserProperties, *, retained: bool) -> None: ...


@dataclass
class _Shared:
    """What outlives a connection."""

    target: Target
    topics: Sequence[str]
    on_message: OnMessage
    on_interrupted: Callable[[], None]
    on_marked: OnMarked | None
    identity: str
    version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    sessions: int = 0
    welcome: bool = False  #: our subscription stood at some time
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def five(self) -> bool:
        return self.version == MQTTProtocolVersion.MQTTv5

    def connected(self, *, resumed: bool) -> None:
        self.sessions += 1
        if self.sessions > 1 and not resumed:
            self.on_interrupted()

    def other_version(self) -> None:
        self.version = MQTTProtocolVersion.MQTTv311 if self.five else MQTTProtocolVersion.MQTTv5


class Subscriber:
    """`run` it; it calls `on_message` for everything on `topics`.

    Messages that only their user properties name (marks.py) go to `on_marked` instead, where there is one.

    `on_interrupted` is called when a connection stands again and the broker has forgotten us meanwhile: what was
    published in between was not heard.
    """

    def __init__(
        self, target: Target, topics: Sequence[str], on_message: OnMessage, *,
        on_interrupted: Callable[[], None] = lambda: None, on_marked: OnMarked | None = None,
        clock: Clock | None = None, name: str = "edge-consumer",
    ) -> None:  # fmt: skip
        identity = f"{name}-{secrets.token_hex(4)}"
        self._shared = _Shared(target, topics, on_message, on_interrupted, on_marked, identity)
        self._clock = clock or SystemClock()
        self.reason: str | None = None  #: why the last connection was lost

    @property
    def subscribed(self) -> asyncio.Event:
        """Set while the subscription stands."""
        return self._shared.subscribed

    async def run(self) -> None:
        """Until cancelled. Raises PermanentError where the broker refuses us from the start; else it tries again."""
        backoff = Backoff(first=0.3, cap=5.0)
        while True:
            began = self._clock.monotonic()
            connection = _Connection(self._shared)
            try:
                await connection.live()
            except PermanentError as error:
                if not self._shared.welcome:
                    raise
                connection.reason = str(error)  # it took us once: whoever listens for days waits until it does again
            finally:
                self._shared.subscribed.clear()
                connection.close()
            healthy = self._clock.monotonic() - began if connection.stood else 0.0
            self.reason = connection.reason
            await self._clock.sleep(backoff.failed(healthy))


class _Client(paho.Client):
    """Its TLS handshake closes the socket when it fails, and may expect another name than the URL's host."""

    server_name: str | None = None
    path: str | None = None  #: over WebSocket

    def _create_socket(self) -> Any:
        sock: Any = super()._create_socket()
        if self.path is None:
            return sock
        sock.settimeout(CONNECT_TIMEOUT)
        try:
            return upgrade(self._host, self._port, self.path, tls=self._ssl)(sock)
        except BaseException:
            sock.close()
            raise

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        context = self._ssl_context
        assert context is not None  # noqa: S101  # it is called for TLS only
        wrapped = context.wrap_socket(
            tcp_sock, server_hostname=self.server_name or self._host, do_handshake_on_connect=False
        )
        try:
            wrapped.settimeout(CONNECT_TIMEOUT)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


class _Connection:
    """One connection: a fresh client, driven by the loop through its socket callbacks."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()
        self._failure: BaseException | None = None
        self._wakeups: set[Any] = set()
        self._abandoned = False
        self._answered = False
        self.stood = False
        self.reason = "not connected"
        self._client = client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=shared.identity,
            protocol=shared.version,
            clean_session=None if shared.five else True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.path = shared.target.path
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    async def live(self) -> None:
        """Connect and stay until the connection is gone."""
        target = self._shared.target
        secret, context = target.secret(), target.context()
        if target.username is not None:
            self._client.username_pw_set(target.username, secret)
        if context is not None:
            self._client.tls_set_context(context)
            self._client.server_name = target.tls.server_name if target.tls is not None else None
        try:
            await asyncio.to_thread(self._connect)
        except (OSError, ValueError) as error:
            self.reason = f"{target.host}:{target.port}: {error}"
            return
        except asyncio.CancelledError:
            self._abandoned = True  # the thread hangs up when it is done
            raise
        self._watch()
        waited = 0.0
        while not self._gone.is_set():
            try:
                async with asyncio.timeout(1):
                    await self._gone.wait()
            except TimeoutError:
                waited += 1
                self._client.loop_misc()
                if not self.stood and waited > CONNECT_TIMEOUT:
                    self.reason = "no answer from the broker"
                    return
        if self._failure is not None:
            raise self._failure

    def _connect(self) -> None:
        shared = self._shared
        kwargs: dict[str, Any] = {}
        if shared.five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY
            kwargs = {"clean_start": shared.sessions == 0, "properties": properties}
        self._client.connect(shared.target.host, shared.target.port, KEEP_ALIVE, **kwargs)
        if self._abandoned:
            self._client.disconnect()

    def _watch(self) -> None:
        """Let the loop serve the client's socket from now on."""
        client, loop = self._client, self._loop
        sock = client.socket()
        if sock is None:
            self._gone.set()
            return
        client.on_socket_close = lambda _client, _data, closing: self._unwatch(closing)
        client.on_socket_register_write = self._want_write
        client.on_socket_unregister_write = self._enough_written
        self._wakeups.add(sock)
        loop.add_reader(sock, self._readable, sock)
        if client.want_write():
            loop.add_writer(sock, client.loop_write)

    def _want_write(self, _client: object, _data: object, sock: Any) -> None:
        self._loop.add_writer(sock, self._client.loop_write)

    def _enough_written(self, _client: object, _data: object, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _unwatch(self, sock: Any) -> None:
        if sock in self._wakeups:
            self._wakeups.discard(sock)
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _readable(self, sock: Any) -> None:
        try:
            while self._client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                # what TLS has decrypted already makes no socket readable
                if not (sock in self._wakeups and getattr(sock, "pending", int)()):
                    return
        except Exception as error:  # noqa: BLE001  # out of our own callback: `live` raises it where it belongs
            self._failure = error
        self._gone.set()

    def close(self) -> None:
        """Say goodbye (our session ends with it, where the end is ours) and let go of the socket."""
        for sock in tuple(self._wakeups):
            self._unwatch(sock)
        client = self._client
        client.on_socket_close = client.on_socket_register_write = client.on_socket_unregister_write = None
        if client.is_connected() and not self._gone.is_set():
            properties = None
            if self._shared.five:
                properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
                properties.SessionExpiryInterval = 0
            client.disconnect(properties=properties)
        left = client.socket()
        if left is not None:
            left.close()

    # --- paho's callbacks, all on the loop ----------------------------------------------------------------------------

    def _on_connect(self, _client: object, _data: object, flags: Any, reason: Any, _properties: object) -> None:
        self._answered = True
        if reason.is_failure:
            self.reason = f"refused by the broker: {reason}"
            if reason.value in _WRONG_VERSION:
                self._shared.other_version()
            elif reason.value in _REFUSED:
                self._failure = PermanentError(f"the broker refuses us: {reason}")
            self._gone.set()
            return
        self.stood = True
        self._shared.connected(resumed=bool(flags.session_present))
        self._client.subscribe([(topic, 1) for topic in self._shared.topics])

    def _on_subscribe(self, _client: object, _data: object, _mid: int, reasons: Any, _properties: object) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        if refused:
            self._failure = PermanentError(f"the broker refuses the subscription: {refused[0]}")
            self._gone.set()
            return
        self._shared.welcome = True
        self._shared.subscribed.set()

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        shared, payload = self._shared, bytes(message.payload)
        properties = getattr(message.properties, "UserProperty", ())  # paho has what was in the packet only
        if shared.on_marked is not None and is_marked(properties):
            shared.on_marked(message.topic, payload, properties, retained=message.retain)
        else:
            shared.on_message(message.topic, payload, retained=message.retain)

    def _on_disconnect(self, _client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        if not self._answered:
            self._shared.other_version()  # a broker that speaks one version only may just hang up
        if self.stood or not self._answered:
            self.reason = f"connection lost: {reason}"
        self._gone.set()
