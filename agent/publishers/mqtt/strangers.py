"""What answered, where it was no MQTT broker: told by its first bytes. Pure."""

from __future__ import annotations

#: So many bytes are enough to know.
ENOUGH = 64

_TLS = (b"\x15\x03", b"\x16\x03")  # an alert, a handshake (RFC 8446, 5.1)


def stranger(first: bytes) -> str | None:
    """What it is and what to write instead; None where it may be a broker."""
    line = first.split(b"\n", 1)[0].rstrip(b"\r").decode("ascii", "replace")
    shown = "".join(char if char.isprintable() else "?" for char in line)[:60]
    if first.startswith(b"HTTP/"):
        return f"a web server answered ({shown}): MQTT over WebSocket needs ws:// in url, else check the port"
    if first.startswith(_TLS):
        return "it answered in TLS: write mqtts:// in url"
    if first.startswith(b"AMQP"):
        return "it answered in AMQP: check the port (brokers of both have MQTT on another, mostly 1883)"
    if first.startswith((b"SSH-", b"220 ", b"+OK", b"* OK")):
        return f"another service answered ({shown}): check the port"
    return None
