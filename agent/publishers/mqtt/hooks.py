"""paho-mqtt's client with its hooks turned to us. Used by `client.py` and `driver.py` only."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket

from agent.publishers.mqtt.acks import Ack, take_acks
from agent.publishers.mqtt.dial import Dial
from agent.publishers.mqtt.oversize import Oversize, PacketHead, oversize
from agent.publishers.mqtt.packet import Packet
from agent.publishers.mqtt.strangers import ENOUGH
from agent.publishers.mqtt.tls import alert
from agent.publishers.mqtt.unasked import Unasked
from agent.publishers.mqtt.websocket import WebSocket

#: Bytes read at most before the loop may do something else, and of one call of the operating system.
TURN = 1 << 20
_READ = 1 << 16
_AHEAD = 1 << 12  #: bytes that are read at once, however few paho asks for
_TOGETHER = 32 << 10  #: bytes that are joined, and one packet more: what the network does not take is copied again
_SAID = paho.MQTTMessage()  #: stands for each of our messages in paho's list of those without an answer
_PUBLISH = 0x32  #: at QoS 1
_QOS_2 = 0x34  #: a PUBLISH at QoS 2 or 3, DUP and RETAIN aside

Version = Literal["5", "3.1.1"]
_PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


def unacknowledged(fd: int) -> int:
    """Bytes that we have written and the other end's TCP has not acknowledged; 0 where the system does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # closed, or another system
        return 0


class Client(paho.Client):
    """paho with its socket made by our Dial, and PUBACKs read leniently.

    paho drops the connection at a reason code that the standard does not list for PUBACK; mosquitto 2.0 sends one
    (0x95 for a message over its size limit), and the reason would be lost.
    """

    def __init__(
        self, version: Version, client_id: str, dial: Dial, *, max_incoming: int, by_hand: bool = False
    ) -> None:
        self.dial = dial
        self.turn = TURN  #: bytes that may still be read in this turn of the loop, …
        self.until = 0.0  #: … and when it ends, monotonic seconds
        self.heard = 0  #: messages that came in it
        self.first = b""  #: bytes that came first
        self.ahead = b""  #: bytes that were read and not asked for yet
        self._pieces: list[bytes] = []  # of PUBLISH packets that are not in paho's line yet, …
        self._pieces_size = 0  # … and how many bytes they are
        self.cut = False  #: nothing can be written any more
        self.refusal: str | None = None  #: the broker's TLS alert, in words
        self.unasked = Unasked()
        self._max_incoming = max_incoming
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=_PROTOCOLS[version],
            reconnect_on_failure=False,  # else it reconnects in the middle of a callback, blocking the loop
            manual_ack=by_hand,
        )
        self.max_inflight_messages = 0  # the window is ours; with one of its own paho scans its queue at every PUBACK
        self.acknowledged: Callable[[Sequence[Ack]], None] = lambda _acks: None
        self.pinged: Callable[[], None] = lambda: None
        self.ponged: Callable[[], None] = lambda: None
        self.refused: Callable[[int], None] = lambda _code: None
        self.oversized: Callable[[Oversize], None] = lambda _found: None

    def _create_socket_connection(self) -> socket.socket:
        return cast("socket.socket", self.dial.take())

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> Any:
        return tcp_sock  # the dial has done the handshake

    def say(self, packet: Packet, payload: bytes) -> int:
        """Put a PUBLISH at QoS 1 in line; its packet identifier. What paho's `publish` does, without what we need not.

        Nothing is written before the next turn of the loop, and what is said until then is one packet to paho, which
        waits for answers and not for its end.
        """
        mid = self._last_mid = self._last_mid % 0xFFFF + 1
        if self._sock is None:
            return mid  # whoever waits for its answer is about to be told
        self._out_messages[mid] = _SAID
        self._pieces += (packet.head, mid.to_bytes(2, "big"), packet.block, payload)
        self._pieces_size += packet.size
        if self._pieces_size > _TOGETHER:
            self._line_up()
        if not self._registered_write:
            self._call_socket_register_write()
        return mid

    def _line_up(self) -> None:
        """What was said takes its place in paho's line."""
        if self._pieces:
            packet, self._pieces, self._pieces_size = b"".join(self._pieces), [], 0
            super()._packet_queue(_PUBLISH, packet, 0, 1)

    def _packet_queue(self, *packet: Any, **more: Any) -> MQTTErrorCode:
        self._line_up()  # nothing overtakes
        return super()._packet_queue(*packet, **more)

    def want_write(self) -> bool:
        """Whether something waits to be written, and can be."""
        return not self.cut and (bool(self._pieces) or super().want_write())

    def _packet_read(self) -> MQTTErrorCode:
        """One packet, or all the PUBACKs that stand in line (`acks.py`).

        paho asks for as many as it has messages without an answer: a thousand of them may take longer than a turn.
        """
        if time.monotonic() > self.until:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        if self._in_packet["command"] or isinstance(self._sock, WebSocket):  # it wants to be asked for what there is
            return super()._packet_read()
        try:
            read = self.ahead or self._read(_AHEAD)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        acks, used = take_acks(read)
        self.ahead = read[used:]
        if not read:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not acks:
            return super()._packet_read()
        self._last_bytes_received = time.monotonic()
        self._acknowledge(acks)
        if self.unasked.breach is not None:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return MQTTErrorCode.MQTT_ERR_SUCCESS if self.ahead else MQTTErrorCode.MQTT_ERR_AGAIN

    def _sock_recv(self, bufsize: int) -> bytes:
        """A little at a time; the body of a packet larger than we take is read past, but for its head."""
        packet = self._in_packet
        if packet["to_process"]:
            if self.turn <= 0:
                raise BlockingIOError
            if packet["remaining_length"] > self._max_incoming and not isinstance(packet["packet"], PacketHead):
                packet["packet"] = PacketHead()
        if self.ahead:
            data, self.ahead = self.ahead[:bufsize], self.ahead[bufsize:]
            return data
        return self._read(min(bufsize, _READ))

    def _read(self, most: int) -> bytes:
        try:
            data = super()._sock_recv(most)
        except OSError as error:
            self.refusal = alert(error) or self.refusal
            raise
        self.turn -= len(data)
        if len(self.first) < ENOUGH:
            self.first += data[: ENOUGH - len(self.first)]
        return data

    def _packet_write(self) -> MQTTErrorCode:
        self._line_up()
        result = super()._packet_write()
        if result != MQTTErrorCode.MQTT_ERR_CONN_LOST:
            return result
        self.cut = True
        return MQTTErrorCode.MQTT_ERR_SUCCESS  # what a broker says before it closes is still to be read, and its end

    def _packet_handle(self) -> MQTTErrorCode:
        packet = self._in_packet
        if packet["command"] & 0xF4 == _QOS_2:  # paho would keep each until it is released, and we subscribe at QoS 1
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if not self.unasked.lawful(packet["command"] & 0xF0, time.monotonic()):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL if self.unasked.breach else MQTTErrorCode.MQTT_ERR_SUCCESS
        if not isinstance(packet["packet"], PacketHead):
            return super()._packet_handle()
        found = oversize(packet["command"], packet["packet"], packet["remaining_length"])
        if found is None:  # only a PUBLISH may be so large
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self.oversized(found)
        # acknowledged: it would come again at every connection, and fill the broker's window meanwhile
        return MQTTErrorCode.MQTT_ERR_SUCCESS if found.mid is None else self._send_puback(found.mid)

    def _send_subscribe(self, *said: Any, **more: Any) -> Any:
        self.unasked.subscribed()
        return super()._send_subscribe(*said, **more)

    def _send_pingreq(self) -> MQTTErrorCode:
        self.unasked.pinged()
        self.pinged()
        return super()._send_pingreq()

    def _handle_pingresp(self) -> MQTTErrorCode:
        result = super()._handle_pingresp()
        self.ponged()
        return result

    def probe(self) -> None:
        """PINGREQ now, unless one is under way; paho takes care of the answer as of its own."""
        if not self._ping_t:
            self._send_pingreq()

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        if cmd != "PUBACK" or len(packet) < 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._acknowledge([(packet[0] << 8 | packet[1], packet[2] if len(packet) > 2 else 0)])
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _acknowledge(self, acks: Sequence[Ack]) -> None:
        waiting = self._out_messages
        known = [ack for ack in acks if waiting.pop(ack[0], None) is not None]
        if known:
            self.unasked.answered(len(known))
            self.acknowledged(known)
        for _ in range(len(acks) - len(known)):
            self.unasked.came(time.monotonic())

    def _handle_publish(self) -> MQTTErrorCode:
        self.heard += 1
        return super()._handle_publish()

    def _handle_connack(self) -> MQTTErrorCode:
        code = self._in_packet["packet"][1] if len(self._in_packet["packet"]) > 1 else 0
        if code == 1 and self._protocol == MQTTProtocolVersion.MQTTv311:
            self.refused(0x84)  # paho takes the connection down without telling why
        try:
            return super()._handle_connack()
        except MalformedPacket:
            if code >= 0x80:
                self.refused(code)  # a code paho does not know here, 0x99 for one
            raise

    @property
    def heard_at(self) -> float:
        """When the last packet came, a PINGREQ went, or life was shown otherwise; monotonic seconds."""
        return self._last_bytes_received

    def alive(self) -> None:
        """The other side shows life: a PINGREQ under way has all its time again."""
        now = self._last_bytes_received = time.monotonic()
        if self._ping_t:
            self._ping_t = now

    def excuse(self) -> None:
        """Nothing is read on purpose: that no answer comes to a PINGREQ means nothing, and more of them may go."""
        self._ping_t = 0
        self.alive()

    def pace(self, seconds: float) -> None:
        """Check the link this often. paho pings after `seconds` of silence and gives up after twice that."""
        self._keepalive = cast("int", seconds)

    def give_up(self) -> None:
        """The connection is gone, whatever reading would tell."""
        if self._sock is not None:
            self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)

    def close(self) -> None:
        """Close the socket without a word: the broker says our will."""
        self._sock_close()

    def resume(self, *, clean: bool) -> None:
        """MQTT 3.1.1: whether the session of this client id, if the broker has it, is to end."""
        self._clean_session = clean

    def drop(self) -> None:
        """Close whatever there is, connected or just reached."""
        self.dial.close()
        self._sock_close()
