"""What a connection and a session say to each other. No I/O, no library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from agent.core.flow import Incoming
from agent.publishers.mqtt.acks import Ack
from agent.publishers.mqtt.oversize import Oversize
from agent.publishers.mqtt.packet import Packet

#: What paho means when it is not the broker that ended a connection.
LOCAL: dict[int, str] = {
    0x00: "closed by us",
    0x82: "the broker sent a packet that breaks the protocol",
    0x8D: "the broker does not answer: the link is dead",
}

HUNG_UP = "the broker closed the connection without a word"


def said(found: object) -> str:
    """The broker's own words in the properties of a packet: why, or which server to use instead."""
    return str(getattr(found, "ReasonString", "") or getattr(found, "ServerReference", ""))


class Connack(NamedTuple):
    """What the broker answered to CONNECT."""

    code: int
    said: str = ""
    receive_maximum: int = 65535
    max_packet: int | None = None
    max_qos: int = 2
    retain_available: bool = True
    keep_alive: int | None = None
    client_id: str | None = None
    session_present: bool = False  #: the broker has kept our session

    @classmethod
    def of(cls, code: int, found: object, *, session_present: bool = False) -> Connack:
        """From the properties the library decoded; attributes are there where the broker sent them."""
        return cls(
            code=code,
            said=said(found),
            receive_maximum=getattr(found, "ReceiveMaximum", 65535),
            max_packet=getattr(found, "MaximumPacketSize", None),
            max_qos=getattr(found, "MaximumQoS", 2),
            retain_available=bool(getattr(found, "RetainAvailable", 1)),
            keep_alive=getattr(found, "ServerKeepAlive", None),
            client_id=getattr(found, "AssignedClientIdentifier", None),
            session_present=session_present,
        )


class Disconnection(NamedTuple):
    """Why a connection ended: the broker's DISCONNECT (`code`), or something on our side (`code` is None)."""

    text: str
    code: int | None = None
    hung_up: bool = False  #: the other side closed the connection without a word
    retry_after: float | None = None


class Handler(Protocol):
    """Called with what happens on a connection. Called on the loop; must not raise."""

    def acknowledged(self, acks: Sequence[Ack], /) -> None:
        """PUBACKs arrived; or, at QoS 0, the message is written."""

    def received(self, incoming: Incoming, /) -> None:
        """A message on a topic we listen to."""

    def oversized(self, found: Oversize, /) -> None:
        """A message larger than we take was read past."""

    def pinged(self) -> None:
        """A PINGREQ is on its way, behind everything published so far."""

    def ponged(self) -> None:
        """Its PINGRESP came."""

    def moved(self) -> None:
        """The other side has received more of what we sent, as the operating system tells."""

    def lost(self, loss: Disconnection, /) -> None:
        """The connection is gone. Said once."""


class SessionLink(Protocol):
    """What a session needs of its connection."""

    def publish(self, packet: Packet, payload: bytes) -> int:
        """Queue one PUBLISH; its packet identifier."""

    def ping(self) -> None:
        """Send a PINGREQ, unless one waits for its answer."""

    def abort(self, why: str = ...) -> None:
        """Close the connection at once."""
