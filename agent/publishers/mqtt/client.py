"""One MQTT connection: what goes out as packets, and what paho's callbacks tell. Used once.

paho does packets and keep-alive; we own the socket's making (dial.py), its turns on the event loop (driver.py), the
window and what a reason code means. paho's callbacks all run on the loop. Only this file, hooks.py and websocket.py
touch paho-mqtt.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Incoming, Limits, Message
from agent.publishers.mqtt.acks import Ack
from agent.publishers.mqtt.dial import Dial
from agent.publishers.mqtt.driver import Driver
from agent.publishers.mqtt.hooks import Client, Version
from agent.publishers.mqtt.link import HUNG_UP, LOCAL, Connack, Disconnection, Handler, said
from agent.publishers.mqtt.oversize import MAX_INCOMING, Oversize
from agent.publishers.mqtt.packet import Packet, prepare
from agent.publishers.mqtt.strangers import stranger
from agent.publishers.mqtt.wire import Packed
from agent.settings.tls import TLS_RETRY

#: Seconds for the broker to take a DISCONNECT.
_GOODBYE = 1.0


class Connection:
    """`connect`, then `attach`, `subscribe`, `publish`; `leave` or `abort` ends it.

    Whoever resumes a session attaches before it connects: what the broker kept comes right behind its CONNACK.
    """

    def __init__(
        self, version: Version, client_id: str, dial: Dial, *,
        max_incoming: int = MAX_INCOMING, keeps_session: bool = False, consumes: bool = False,
    ) -> None:  # fmt: skip
        """`keeps_session`: it outlives the connection at the broker, and what comes is acknowledged by hand.

        `consumes`: reading is what the process is for; else devices are read in the same loop, and come first.
        """
        self._loop = asyncio.get_running_loop()
        self._client = client = Client(version, client_id, dial, max_incoming=max_incoming, by_hand=keeps_session)
        self._keeps_session = keeps_session
        self._max_incoming = max_incoming
        self._session_expiry = 0
        self._receive_maximum: int | None = None
        if dial.tls is not None:
            # only says that it is TLS; the context that counts is the dial's
            client.tls_set_context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._five = version == "5"
        self._handler: Handler | None = None
        self._connack: asyncio.Future[Connack] = self._loop.create_future()
        self._suback: asyncio.Future[list[int]] | None = None
        self._gone = asyncio.Event()
        self._loss: Disconnection | None = None
        self._early = self._answered = False
        self._driver = Driver(client, self._unreadable, self._moved, rests=not consumes)

    def prepare(
        self, username: str | None, password: str | None, *,
        session_expiry: int = 0, receive_maximum: int | None = None,
    ) -> None:  # fmt: skip
        """What CONNECT carries beside the client id and the will. `session_expiry`: seconds, MQTT 5 only.

        `receive_maximum`: so many messages may be sent to us before one of them is acknowledged (MQTT 5 only).
        """
        self._client.username, self._client.password = username, password
        self._session_expiry = session_expiry
        self._receive_maximum = receive_maximum

    async def connect(
        self, keep_alive: float, will: Callable[[], Awaitable[Message | None]] | None = None, *, clean: bool = True
    ) -> Connack:
        """Dial, send CONNECT, wait for CONNACK. Bound it with a timeout; cancelled, it leaves nothing behind.

        `will` is asked for when the way stands, right before CONNECT is sent. Not `clean` (MQTT 5): the session of
        this client id is to be resumed, if the broker has it.

        Raises what the dial raises, and ConnectionLost when the link breaks. A refusal is a Connack like any other.
        """
        client, dial = self._client, self._client.dial
        try:
            await dial.reach()
            if will is not None and (said_last := await will()) is not None:
                client.will_set(said_last.topic, said_last.payload, said_last.qos, said_last.retain)
            self._say_connect(dial, max(1, round(keep_alive)), clean=clean)
            sock = client.socket()
            if sock is None:
                self._early = True
                raise ConnectionLost(HUNG_UP)
            self._listen()
            self._driver.begin(sock)
            connack = await self._connack
        except BaseException as error:
            client.drop()
            self.abort("gave up connecting")
            dial.distrust()
            if client.refusal is not None and isinstance(error, ConnectionLost):
                raise TransientError(_refusal(client.refusal), retry_after=TLS_RETRY) from None
            if not self._answered and (words := stranger(client.first)) is not None:
                raise TransientError(f"{dial.host}:{dial.port}: {words}", retry_after=TLS_RETRY) from None
            raise
        if connack.code:
            dial.distrust()
        else:
            # the broker's word bounds our silence from above; nothing forbids to look more often
            self._driver.watch(min(connack.keep_alive or keep_alive, keep_alive))
        return connack

    def _say_connect(self, dial: Dial, keep_alive: int, *, clean: bool) -> None:
        """Nothing blocks: the socket is connected."""
        if self._five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = self._max_incoming
            if self._session_expiry:
                properties.SessionExpiryInterval = self._session_expiry
            if self._receive_maximum:
                properties.ReceiveMaximum = self._receive_maximum
            self._client.connect(dial.host, dial.port, keep_alive, clean_start=clean, properties=properties)
        else:  # clean session, by default
            self._client.resume(clean=clean or not self._keeps_session)
            start = paho.MQTT_CLEAN_START_FIRST_ONLY
            self._client.connect(dial.host, dial.port, keep_alive, clean_start=start)

    @property
    def expiry(self) -> dict[str, float]:
        """When certificates run out (own, server), epoch seconds."""
        return self._client.dial.expiry

    @property
    def closed_early(self) -> bool:
        """The socket was open, and the broker closed it without a CONNACK."""
        return self._early or (self._driver.began and self._loss is not None and not self._answered)

    @property
    def flooded(self) -> bool:
        """It was left because it floods."""
        return self._client.unasked.breach is not None

    def _listen(self) -> None:
        client = self._client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = lambda _client, _data, mid, _reason, _properties: self._acknowledged([(mid, 0)])  # QoS 0
        client.acknowledged = self._acknowledged
        client.pinged = lambda: self._handler.pinged() if self._handler is not None else None
        client.ponged = lambda: self._handler.ponged() if self._handler is not None else None
        client.refused = lambda code: self._answer(Connack(code))
        client.oversized = self._oversized

    def _unreadable(self, error: Exception) -> None:
        self._end(Disconnection(f"a packet of the broker could not be read: {error!r}"))

    def _moved(self) -> None:
        if self._handler is not None:
            self._handler.moved()

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, found: Properties | None) -> None:
        self._answer(Connack.of(reason.value, found, session_present=bool(flags.session_present)))

    def _answer(self, connack: Connack) -> None:
        self._answered = True
        if not self._connack.done():
            self._connack.set_result(connack)

    def _on_disconnect(
        self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        # paho dresses its own errors in the same reason codes
        outside = reason.value not in LOCAL
        ours = Disconnection(LOCAL.get(reason.value, HUNG_UP), hung_up=outside)
        if (refusal := self._client.refusal) is not None:
            ours = Disconnection(_refusal(refusal), retry_after=TLS_RETRY)
        elif (breach := self._client.unasked.breach) is not None:
            ours = Disconnection(breach)
        theirs = Disconnection(said(properties), reason.value)
        self._end(theirs if flags.is_disconnect_packet_from_server else ours, close=False)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Sequence[ReasonCode], _found: Any) -> None:
        if self._suback is not None and not self._suback.done():
            self._suback.set_result([reason.value for reason in reasons])

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if self._handler is not None:
            pairs = getattr(message.properties, "UserProperty", ()) if message.properties is not None else ()
            incoming = Incoming(
                topic=message.topic, payload=bytes(message.payload), retain=message.retain, properties=pairs,
                mid=message.mid if message.qos else 0,
            )  # fmt: skip
            self._handler.received(incoming)

    def _oversized(self, found: Oversize) -> None:
        if self._handler is not None:
            self._handler.oversized(found)

    def _acknowledged(self, acks: Sequence[Ack]) -> None:
        if self._handler is not None:
            self._handler.acknowledged(acks)

    def _end(self, loss: Disconnection, *, close: bool = True) -> None:
        """The end, reported once. Under paho's own callback its lock is held: there paho closes the socket itself."""
        if self._gone.is_set():
            return
        self._loss = loss
        self._gone.set()
        self._driver.end()
        if close:
            self._client.close()
        for answer in (self._connack, self._suback):
            if answer is not None and not answer.done():
                answer.set_exception(ConnectionLost(loss.text))
                answer.exception()  # seen, also where nobody waits any more
        if self._handler is not None:
            self._handler.lost(loss)

    def attach(self, handler: Handler) -> None:
        """From now on `handler` is told; at once, if the connection is gone already."""
        self._handler = handler
        if self._loss is not None:
            handler.lost(self._loss)

    async def subscribe(self, topics: Sequence[str]) -> list[int]:
        """SUBACK codes, one per topic. ConnectionLost when the link breaks."""
        self._suback = self._loop.create_future()
        if self._loss is not None:
            raise ConnectionLost(self._loss.text)
        self._client.subscribe([(topic, 1) for topic in topics])
        return await self._suback

    def publish(self, packet: Packet, payload: bytes) -> int:
        """Queue one PUBLISH for the next turn of the loop; its packet identifier. ValueError where it cannot be."""
        if packet.qos == 1:
            return self._client.say(packet, payload)
        properties = cast("Properties", Packed(packet.block)) if len(packet.block) > 1 else None
        return self._client.publish(packet.topic, payload, packet.qos, packet.retain, properties).mid

    def say(self, message: Message) -> None:
        """Publish it whatever the broker's limits are, and ask for no answer."""
        limits = Limits(protocol="5" if self._five else "3.1.1", window=1, properties=self._five)
        self.publish(prepare(message, limits), message.payload)

    def ping(self) -> None:
        """Send a PINGREQ, unless one waits for its answer."""
        if not self._gone.is_set():
            self._driver.guard(self._client.probe)

    def acknowledge(self, mid: int) -> None:
        """PUBACK of a message that is safe now; nothing where the connection is gone: it comes again."""
        if mid and not self._gone.is_set():
            self._driver.guard(lambda: self._client.ack(mid, 1))

    def hold(self, held: bool) -> None:
        """Read nothing until it is called with false; what comes meanwhile waits in the network and at the broker."""
        self._driver.hold(held)

    async def leave(self, *, with_will: bool) -> None:
        """Disconnect. `with_will` (MQTT 5: 0x04, 3.1.1: without DISCONNECT): the broker publishes our will."""
        if self._loss is None and not (with_will and not self._five):
            code = ReasonCode(PacketTypes.DISCONNECT, identifier=4) if with_will else None
            properties = None
            if self._session_expiry and self._five and not self._keeps_session:  # our session ends here
                properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
                properties.SessionExpiryInterval = 0
            self._client.disconnect(code, properties)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._gone.wait()
        self.abort("closed by us")

    def abort(self, why: str = "closed by us") -> None:
        """Close the connection at once."""
        self._end(Disconnection(why))
        self._client.close()


def _refusal(words: str) -> str:
    return f"the broker refuses us in TLS: {words}"
