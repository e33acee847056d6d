"""The ReverseHello, by which a server that called says who it is (OPC 10000-6, 7.1.2.2 and 7.1.2.6). Pure.

    'R' 'H' 'E' 'F' · UInt32 size of all of it · String ServerUri · String EndpointUrl

Nothing in it is proved: it says which device is meant, and what the server wants to be called in the Hello.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from agent.core.quality import number_of

LONGEST_FIELD = 4096  #: bytes of either string (7.1.2.6)
_KIND = b"RHEF"
_HEADER = 8
_LENGTH = 4
_LONGEST = _HEADER + 2 * (_LENGTH + LONGEST_FIELD)
_NULL = 0xFFFFFFFF  #: the length of a string that is null (5.2.2.4)


class ReverseHello(NamedTuple):
    """What the server said."""

    server_uri: str
    endpoint_url: str  #: to be said back to it in the Hello, as it is


class Unacceptable(Exception):
    """These bytes are no ReverseHello we take. `code`: the status name to answer."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def read_reverse_hello(said: bytes) -> ReverseHello | None:
    """The message in the first bytes of a connection; None: more has to come. Raises Unacceptable."""
    if not _KIND.startswith(said[: len(_KIND)]):
        raise Unacceptable("BadTcpMessageTypeInvalid", "its first bytes are no ReverseHello")
    if len(said) < _HEADER:
        return None
    size = int.from_bytes(said[len(_KIND) : _HEADER], "little")
    if size > _LONGEST:
        raise Unacceptable("BadTcpEndpointUrlInvalid", f"its ReverseHello has {size} bytes, {_LONGEST} are the most")
    if len(said) > size:
        raise Unacceptable("BadTcpMessageTypeInvalid", "it did not wait for our Hello")
    if len(said) < size:
        return None
    server_uri, behind = _string(said, _HEADER)
    endpoint_url, behind = _string(said, behind)
    if behind != size:
        raise Unacceptable("BadDecodingError", f"its ReverseHello has {size - behind} bytes too many")
    return ReverseHello(server_uri, endpoint_url)


def _string(said: bytes, at: int) -> tuple[str, int]:
    begin = at + _LENGTH
    length = int.from_bytes(said[at:begin], "little")
    if begin <= len(said) and length == _NULL:
        return "", begin
    if begin <= len(said) and length > LONGEST_FIELD:
        raise Unacceptable("BadTcpEndpointUrlInvalid", f"a name in its ReverseHello has {length} bytes")
    if begin + length > len(said):
        raise Unacceptable("BadDecodingError", "its ReverseHello ends in the middle of a name")
    try:
        return said[begin : begin + length].decode(), begin + length
    except UnicodeDecodeError:
        raise Unacceptable("BadDecodingError", "a name in its ReverseHello is not UTF-8") from None


def error_message(code: str, reason: str) -> bytes:
    """An Error message (7.1.2.5): the answer to a caller that is refused."""
    text = reason.encode()[:LONGEST_FIELD]
    body = struct.pack("<II", number_of(code), len(text)) + text
    return b"ERRF" + (_HEADER + len(body)).to_bytes(4, "little") + body
