"""Bytes that are no Modbus, for people. Pure."""

from __future__ import annotations


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
