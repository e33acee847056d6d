"""What a configuration says about a connection besides its URL."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.settings.model import Model
from agent.settings.values import Duration, Name


def parse_bytes(text: str) -> bytes:
    """`0x01ff` as bytes, any other text as its UTF-8. ValueError says what to write instead."""
    if text[:2].lower() != "0x":
        return text.encode()
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError(
            f'{text!r} is not bytes; write pairs of hexadecimal digits, for example "0x0102ff", or plain text'
        ) from None


def _check_bytes(text: str) -> str:
    if len(parse_bytes(text)) > 128:
        raise ValueError("at most 128 bytes")
    return text


_Bytes = Annotated[str, AfterValidator(_check_bytes), Field(min_length=1)]


class Dtu(Model):
    """What a 4G data terminal unit says that dials in. Text, or bytes as `0x0102ff`."""

    registration: _Bytes | None = None
    """What it sends first; tells several DTUs at one port apart. Default: any device may connect."""
    heartbeat: _Bytes | None = None
    """What it sends now and then; thrown away."""

    @property
    def registration_bytes(self) -> bytes:
        """The registration on the wire; empty where none is given."""
        return parse_bytes(self.registration or "")

    @property
    def heartbeat_bytes(self) -> bytes:
        """The heartbeat on the wire; empty where none is given."""
        return parse_bytes(self.heartbeat or "")


class Workarounds(Model):
    """What devices need that do not do as the standard says."""

    pause_after_connect: Duration = 0.0
    """Wait this long after connecting before the first request."""
    pause_between_requests: Duration = 0.0
    """Leave at least this long between requests, before and after this unit's."""
    close_after_cycle: bool = False
    """Close the connection after each cycle, for gateways that serve one master at a time."""
    one_connection: Name | None = None
    """Devices that say the same name are never connected at the same time, whatever their hosts: for a gateway that
    takes one connection and is reached under several addresses or ports."""
    echo: bool = False
    """What is sent comes back first (two-wire adapters); serial lines and byte streams only."""
    ignore_unit: bool = False
    """Take answers that name another unit id than was asked."""
    transaction_ids: Literal["check", "ignore"] = "check"
    """`ignore`: take answers under any transaction id, for gateways that count their own. Modbus TCP, UDP and TLS."""
    mbap_length: Literal["check", "ignore"] = "check"
    """`ignore`: an answer ends where its own byte count says, for devices whose header announces another length."""
    extra_zeros: Literal["check", "skip"] = "check"
    """`skip`: throw away zero bytes before and after an answer, for adapters that let the bus float. RTU only."""
