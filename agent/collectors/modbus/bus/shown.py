"""Errors of the network, and bytes that are no Modbus, for people. Pure."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable

from agent.core.dial import words_of

OWN_UNIT = "a gateway that answers for all its units with one id needs `workarounds: {ignore_unit: true}`"


def shown(data: bytes) -> str:
    """The first bytes in hexadecimal."""
    return data[:12].hex(" ") + (" …" if len(data) > 12 else "")


def _is_mbap(data: bytes) -> bool:
    return len(data) > 8 and data[2:4] == b"\0\0" and int.from_bytes(data[4:6], "big") == len(data) - 6


#: What is no text, or no other protocol.
_OTHERS: tuple[tuple[Callable[[bytes], object], str], ...] = (
    (_is_mbap, "a Modbus TCP frame answered, is it `tcp://`?"),
    (re.compile(rb":(?:[0-9A-F]{2}){4,}\r").match, "a Modbus ASCII frame answered, is it `ascii+tcp://`?"),
    (re.compile(rb"[\x15\x16]\x03[\0-\4]").match, "TLS answered, is it `tls://`?"),
    (
        re.compile(rb"\xff[\xfb-\xfe]").match,
        "telnet options came (RFC 2217), set the port of the serial server to raw TCP",
    ),
)


def words_in(data: bytes) -> str | None:
    """What somebody says who speaks another protocol: another form of Modbus, TLS, or plain text (HTTP, SSH, a login
    prompt); None: nothing that is known.
    """
    for is_it, words in _OTHERS:
        if is_it(data):
            return words
    line = data[:64].splitlines()[0] if data.strip() else b""
    if len(line) < 4 or not all(0x20 <= byte < 0x7F or byte == 0x09 for byte in line):
        return None
    text = line.decode("ascii").strip()
    return f"{text.split()[0] if text.startswith('HTTP/') else repr(text)} answered, this is no Modbus device"


def reason_of(error: OSError) -> str:
    """What an operator should read of an error of the network or of a port."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return words_of(error)


def ending_of(error: Exception | None) -> str:
    """Why a connection that stood is gone."""
    if error is None:
        return "closed by the peer"
    return f"connection lost: {reason_of(error) if isinstance(error, OSError) else error}"
