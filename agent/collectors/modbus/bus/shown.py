"""Errors of the network, and bytes that are no Modbus, for people. Pure."""

from __future__ import annotations

import os
import ssl


def shown(data: bytes) -> str:
    """The first bytes in hexadecimal."""
    return data[:12].hex(" ") + (" …" if len(data) > 12 else "")


def words_in(data: bytes) -> str | None:
    """What somebody says who speaks another protocol in plain text (HTTP, SSH, a login prompt); None: no text."""
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
    number = error.errno or 0  # below zero: a resolver's
    return os.strerror(number) if number > 0 else error.strerror or str(error)


def ending_of(error: Exception | None) -> str:
    """Why a connection that stood is gone."""
    if error is None:
        return "closed by the peer"
    return f"connection lost: {reason_of(error) if isinstance(error, OSError) else error}"
