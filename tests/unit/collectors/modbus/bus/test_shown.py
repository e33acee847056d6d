"""What somebody says who speaks another protocol."""

from __future__ import annotations

import pytest

from agent.collectors.modbus.bus.shown import words_in


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n", "HTTP/1.1 answered, this is no Modbus device"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "'SSH-2.0-OpenSSH_9.2p1' answered, this is no Modbus device"),
        (b"login: ", "'login:' answered, this is no Modbus device"),
        (b"\0\1\0\0\0\3\1\x83\2", "a Modbus TCP frame answered, is it `tcp://`?"),
        (b":01030203E80F\r\n", "a Modbus ASCII frame answered, is it `ascii+tcp://`?"),
        (b"\x15\3\1\0\2\2\x46", "TLS answered, is it `tls://`?"),
        (b"\xff\xfb\0\xff\xfd\0", "telnet options came (RFC 2217), set the port of the serial server to raw TCP"),
        (b"\1\3\2\3\xe8\xb8\xfa", None),
        (b"\r\n", None),
        (b"ab\r\n", None),
    ],
)
def test_words(data: bytes, words: str | None) -> None:
    """The protocol, where it is known; else its first line, where it is text."""
    assert words_in(data) == words
