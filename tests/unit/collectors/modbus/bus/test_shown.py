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
        (b"\0\1\0\0\0\3\1\x83\2", None),
        (b"\r\n", None),
        (b"ab\r\n", None),
    ],
)
def test_words(data: bytes, words: str | None) -> None:
    """Its first line, where it is text; the protocol alone where that says all."""
    assert words_in(data) == words
