"""The common answers to Read and Publish, up to where their values begin (OPC 10000-4, 5.11.2 and 5.14.5).

What is not as nearly every server says it (diagnostics, events, several notifications in one message) is None: then the
library decodes the whole.
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import NamedTuple

from agent.collectors.opcua.wire.columns import Foreign, ValueReader
from agent.collectors.opcua.wire.errors import LimitExceeded
from agent.collectors.opcua.wire.limits import WireLimits

_READ, _PUBLISH, _DATA_CHANGE = (b"\x01\x00" + number.to_bytes(2, "little") for number in (634, 829, 811))
_HEADER = Struct("<4s8x4xIBi3s")  # type, timestamp, handle; result, diagnostics, string table, additional header
_COUNT = Struct("<i")
_MESSAGE = Struct("<?Iqi")  # more follow, sequence number, publish time, notifications
_CHANGE = Struct("<4sBii")  # of one notification: type, encoding, bytes, values


class Published(NamedTuple):
    """One notification."""

    subscription: int
    sequence: int
    made: int  #: when, by the server's clock, 100 ns since 1601
    values: ValueReader | None  #: None: a keep-alive


def read_answer(data: bytes, asked: int, limits: WireLimits, foreign: Foreign) -> ValueReader | None:
    """The values of a Read. Raises LimitExceeded where they are not as many as were asked for."""
    at = _body(data, _READ)
    if at is None or len(data) < at + _COUNT.size:
        return None
    (count,) = _COUNT.unpack_from(data, at)
    if count != asked:
        raise LimitExceeded(f"{count} answers for {asked} nodes")
    return ValueReader(data, at + _COUNT.size, count, limits, foreign)


def publish_answer(data: bytes, limits: WireLimits, foreign: Foreign) -> Published | None:
    """A notification of data changes, or a keep-alive."""
    at = _body(data, _PUBLISH)
    if at is None:
        return None
    try:
        subscription, available = struct.unpack_from("<Ii", data, at)
        if available < -1 or available > limits.array:
            raise LimitExceeded(f"{available} sequence numbers")
        at += 8 + 4 * max(available, 0)
        _, sequence, made, count = _MESSAGE.unpack_from(data, at)
        at += _MESSAGE.size
        if count <= 0:
            return Published(subscription, sequence, made, None)
        kind, encoding, size, values = _CHANGE.unpack_from(data, at)
    except struct.error:
        return None
    if count != 1 or kind != _DATA_CHANGE or encoding != 1 or size < _COUNT.size or values < 0:
        return None
    if values > limits.array:
        raise LimitExceeded(f"{values} values in one notification; limits: {{array: {limits.array}}}")
    at += _CHANGE.size
    end = at - _COUNT.size + size  # what stands behind it is not its own
    if end > len(data):
        return None
    reader = ValueReader(data, at, values, limits, foreign, end=end)
    return Published(subscription, sequence, made, reader)


def _body(data: bytes, kind: bytes) -> int | None:
    """Where it begins behind the header of a good response of this kind; None where anything is unusual."""
    if len(data) < _HEADER.size:
        return None
    found, result, diagnostics, strings, additional = _HEADER.unpack_from(data)
    usual = found == kind and not result and not diagnostics and strings <= 0 and additional == b"\0\0\0"
    return _HEADER.size if usual else None
