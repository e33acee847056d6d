from __future__ import annotations

import struct
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.opcua.wire.bounds import BoundedBuffer, Budget, install, reshape
from agent.collectors.opcua.wire.errors import LimitExceeded
from agent.collectors.opcua.wire.limits import WireLimits

ua: Any = library
install()
LIMITS = WireLimits(array=1000, string_bytes=100)


def bounded(data: bytes, limits: WireLimits = LIMITS) -> BoundedBuffer:
    return BoundedBuffer(data, Budget(limits))


def count(number: int) -> bytes:
    return struct.pack("<i", number)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x80" + count(2**31 - 1), "an array of 2147483647"),  # of nulls, which take no bytes
        (b"\x80" + count(999), "an array of 999 in 4 bytes"),
        (b"\x86" + count(1001), "an array of 1001; limits: {array: 1000}"),
        (b"\x86" + count(-2), "an array of -2"),
        (b"\x0c" + count(101), "a string of 101 bytes; limits: {string_bytes: 100}"),
        (b"\x0f" + count(-4), "a string of -4"),
        (b"\x18" * 200 + b"\0", "100 deep"),
        (b"\xc6" + count(1) + count(7) + count(1) + count(1_000_000), "dimensions"),
        (b"\x98" + count(600) + b"\x8c\0\0\0\0" * 400 + b"\x8c" + count(600) + count(0) * 800, "more than 1000"),
    ],
)  # fmt: skip
def test_what_is_refused(data: bytes, words: str) -> None:
    """A Variant of a few bytes that would be made into something large, or read backwards."""
    with pytest.raises(LimitExceeded, match=words.replace("{", r"\{")):
        ua_binary.variant_from_binary(bounded(data))


def test_what_a_server_of_ours_reads_is_as_before() -> None:
    """The simulator's and the tests' servers decode with the library's own buffer: nothing is changed for them."""
    variant = ua.Variant(["x" * 101] * 1001, ua.VariantType.String)
    assert ua_binary.variant_from_binary(Buffer(ua_binary.variant_to_binary(variant))).Value == variant.Value


def test_a_structure_within_a_structure_shares_the_allowance() -> None:
    """The library looks at the body of an extension object through a buffer of its own."""
    inner = ua.DataChangeNotification(MonitoredItems=[])
    body = struct_to_binary(inner)[:-8] + count(2**31 - 1)
    message = ua.NotificationMessage(NotificationData=[ua.ExtensionObject(ua.FourByteNodeId(811), body)])
    with pytest.raises(LimitExceeded, match="an array of 2147483647"):
        struct_from_binary(ua.NotificationMessage, bounded(struct_to_binary(message)))


@given(st.binary(max_size=300))
def test_whatever_comes_ends(data: bytes) -> None:
    """Something is decoded, or an error is raised: nothing else, and soon."""
    for kind in (ua.ReadResponse, ua.PublishResponse, ua.GetEndpointsResponse, ua.BrowseResponse, ua.DataValue):
        try:
            struct_from_binary(kind, bounded(data))
        except Exception:  # noqa: BLE001, S112 - the library raises whatever it likes
            continue


def test_matrices() -> None:
    """Row by row; dimensions that do not fit are an error."""
    assert reshape([1, 2, 3, 4, 5, 6], [2, 3]) == [[1, 2, 3], [4, 5, 6]]
    assert reshape(list(range(8)), [2, 2, 2]) == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert reshape([1, 2], [2]) == [1, 2]
    assert reshape([], [0, 3]) == []
    for wrong in ([7], [3, 3], [-1, -2], [2**31, 2**31]):
        with pytest.raises(LimitExceeded):
            reshape([1, 2], wrong)
