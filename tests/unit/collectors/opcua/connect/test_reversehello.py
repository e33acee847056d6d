from __future__ import annotations

import struct

import pytest

from agent.collectors.opcua.connect.reversehello import LONGEST_FIELD, Unacceptable, error_message, read_reverse_hello
from agent.collectors.opcua.connect.url import split_listen

URI, URL = "urn:acme:cnc-07", "opc.tcp://cnc-07.acme.local:4840/UA"


def text(said: bytes) -> bytes:
    return struct.pack("<i", len(said)) + said


def message(body: bytes, kind: bytes = b"RHEF") -> bytes:
    return kind + struct.pack("<I", 8 + len(body)) + body


GOOD = message(text(URI.encode()) + text(URL.encode()))


def test_it_may_come_byte_by_byte() -> None:
    """As long as it could still become one, more is waited for; then both names are there."""
    assert [read_reverse_hello(GOOD[:length]) for length in range(len(GOOD))] == [None] * len(GOOD)
    assert read_reverse_hello(GOOD) == (URI, URL)


def test_names_may_be_long_empty_or_null() -> None:
    """4096 bytes are allowed; null is no name."""
    longest = "ü" * (LONGEST_FIELD // 2)
    assert read_reverse_hello(message(text(longest.encode()) * 2)) == (longest, longest)
    assert read_reverse_hello(message(text(b"") + struct.pack("<i", -1))) == ("", "")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"G", "BadTcpMessageTypeInvalid"),
        (b"\x16\x03\x01", "BadTcpMessageTypeInvalid"),
        (b"HELF\x20\x00\x00\x00", "BadTcpMessageTypeInvalid"),
        (message(b"", kind=b"RHEC"), "BadTcpMessageTypeInvalid"),
        (b"RHEF\xff\xff\xff\xff", "BadTcpEndpointUrlInvalid"),
        (message(text(bytes(LONGEST_FIELD + 1)) + text(b"")), "BadTcpEndpointUrlInvalid"),
        (message(struct.pack("<i", -2) + text(b"")), "BadTcpEndpointUrlInvalid"),
        (GOOD + b"H", "BadTcpMessageTypeInvalid"),
        (b"RHEF\x00\x00\x00\x00", "BadTcpMessageTypeInvalid"),
        (message(b""), "BadDecodingError"),
        (message(text(b"urn:a")), "BadDecodingError"),
        (message(b"\xff\xff\xff"), "BadDecodingError"),
        (message(text(b"urn:a") + struct.pack("<i", 10) + b"opc"), "BadDecodingError"),
        (message(text(b"urn:a") + text(b"opc.tcp://a") + b"\x00"), "BadDecodingError"),
        (message(text(b"\xff\xfe") + text(b"opc.tcp://a")), "BadDecodingError"),
    ],
)
def test_anything_else_is_refused_as_soon_as_it_shows(said: bytes, code: str) -> None:
    """With the status the standard has for it, and never with another error."""
    with pytest.raises(Unacceptable) as caught:
        read_reverse_hello(said)
    assert caught.value.code == code


def test_what_who_is_turned_away_hears() -> None:
    """An Error message: type, size, status, reason."""
    said = error_message("BadTcpEndpointUrlInvalid", "no device expects it")
    assert said[:4] == b"ERRF"
    size, code, length = struct.unpack_from("<III", said, 4)
    assert (size, code, said[16:]) == (len(said), 0x80830000, b"no device expects it")
    assert length == len(said) - 16


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:4841", ("127.0.0.1", 4841)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("localhost:4841", ("localhost", 4841)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_addresses_to_listen_on(written: str, address: tuple[str, int]) -> None:
    """Host and port."""
    assert split_listen(written) == address


@pytest.mark.parametrize(
    "written",
    ["", "4841", ":4841", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:4841", "a:b", "a:1/x",
     "a:1?x", "a:1#x", "u@a:1", "opc.tcp://a:1"],
)  # fmt: skip
def test_what_is_no_address_is_said(written: str) -> None:
    """With an example of one."""
    with pytest.raises(ValueError, match=r"write HOST:PORT, 127\.0\.0\.1:4841"):
        split_listen(written)
