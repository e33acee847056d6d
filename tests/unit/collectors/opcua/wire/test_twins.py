"""Our decoder of the common answers says what the library's says, of whatever bytes; or it leaves them to it."""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import example, given
from hypothesis import strategies as st

from agent.collectors.opcua.values import exact
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.times import SourceClock
from agent.collectors.opcua.wire.answers import publish_answer, read_answer
from agent.collectors.opcua.wire.bounds import BoundedBuffer, Budget, install
from agent.collectors.opcua.wire.columns import ValueReader
from agent.collectors.opcua.wire.errors import LimitExceeded
from agent.collectors.opcua.wire.limits import WireLimits
from agent.collectors.opcua.wire.session import foreign_of
from agent.collectors.opcua.wire.slow import columns_of
from agent.core.flow import Answer

ua: Any = library
exact.install()
install()
NOW = 1_795_000_000_000
TICKS = (NOW + 11_644_473_600_000) * 10_000
LIMITS = WireLimits(message_bytes=1 << 20, array=300, string_bytes=200)

STRUCTS = {
    ua.VariantType.Boolean: st.booleans(), ua.VariantType.SByte: st.integers(-128, 127),
    ua.VariantType.Byte: st.integers(0, 255), ua.VariantType.Int16: st.integers(-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: st.integers(0, 2**16 - 1), ua.VariantType.Int32: st.integers(-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: st.integers(0, 2**32 - 1), ua.VariantType.Int64: st.integers(-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: st.integers(0, 2**64 - 1), ua.VariantType.Float: st.floats(width=32),
    ua.VariantType.Double: st.floats(), ua.VariantType.String: st.text(max_size=20) | st.none(),
    ua.VariantType.ByteString: st.binary(max_size=20), ua.VariantType.StatusCode: st.just(ua.StatusCode(0x80340000)),
    ua.VariantType.LocalizedText: st.builds(ua.LocalizedText, st.text(max_size=5)),
    ua.VariantType.DateTime: st.just(dt.datetime(2026, 11, 22, 1, 2, 3, 456_789, dt.UTC)),
    ua.VariantType.NodeId: st.just(ua.NodeId("x", 2)),
}  # fmt: skip
VALUES = st.one_of(
    [st.builds(ua.Variant, values, st.just(kind)) for kind, values in STRUCTS.items()]
    + [
        st.builds(ua.Variant, st.lists(values, max_size=4), st.just(kind), is_array=st.just(True))
        for kind, values in STRUCTS.items()
    ]
    + [st.just(ua.Variant([[1, 2], [3, 4]], ua.VariantType.Int32))]
    + [st.just(ua.Variant(ua.Variant(1), ua.VariantType.Variant))]
)  # fmt: skip


def data_value(parts: tuple[int, Any, int, int]) -> bytes:
    """As it lies on the wire, with what `mask` says there is."""
    mask, variant, status, ticks = parts
    made = bytes([mask])
    for bit, part in (
        (1, ua_binary.variant_to_binary(variant)), (2, struct.pack("<I", status)), (4, struct.pack("<q", ticks)),
        (16, b"\x07\0"), (8, struct.pack("<q", TICKS)), (32, b"\x09\0"),
    ):  # fmt: skip
        made += part if mask & bit else b""
    return made


MASKS = st.sampled_from([1, 5, 5, 5, 7, 13, 15, 2, 6, 0, 4, 9, 21, 23, 0x45, 0x8D])  # 13: the server's time too
PARTS = st.tuples(
    MASKS,
    VALUES,
    st.sampled_from([0, 0, 0x80340000, 0x40000000, 0x480, 0x80000000 | 0x480]),
    st.one_of(st.integers(TICKS - 10**9, TICKS + 10**7), st.sampled_from([0, -1, 1, 2**63 - 1, TICKS + 10**12])),
)
RUNS = st.lists(st.tuples(PARTS, st.integers(1, 40)), min_size=1, max_size=6)
ANSWERS = RUNS.map(lambda runs: [data_value(parts) for parts, count in runs for _ in range(count)])


def read_response(values: list[bytes]) -> bytes:
    """With the header nearly every server sends."""
    empty = struct_to_binary(ua.ReadResponse(Results=[]))
    return empty[:-8] + struct.pack("<i", len(values)) + b"".join(values) + struct.pack("<i", -1)


def swept(reader: ValueReader, slice_: int) -> ValueReader:
    while reader.left:
        reader.take(slice_)
    return reader


def slow(body: bytes) -> list[Any]:
    found: list[Any] = struct_from_binary(ua.ReadResponse, BoundedBuffer(body, Budget(WireLimits()))).Results
    return found


def told(decoder: Decoder, answer: Answer) -> str:
    """Everything that is known of an answer and after it: repr tells 1, 1.0 and True apart, and finds NaN equal."""
    after = (decoder.news(), decoder.losses(), decoder.overflows, decoder.first, sorted(decoder.unsupported))
    return repr((answer, after))


@given(ANSWERS, ANSWERS, st.sampled_from([1, 7, 1000]))
@example([data_value((5, ua.Variant(1.5, ua.VariantType.Double), 0, TICKS))] * 3, [], 2)
def test_a_read(first: list[bytes], second: list[bytes], slice_: int) -> None:
    """Two answers one after the other, in slices of whatever size: the same columns, types, losses and first times."""
    fast_decoder, slow_decoder = Decoder(300, SourceClock()), Decoder(300, SourceClock())
    for values in (first, second):
        body = read_response(values)
        reader = read_answer(body, len(values), LIMITS, foreign_of(body, WireLimits()))
        assert reader is not None
        tags = tuple(range(len(values)))
        fast = told(fast_decoder, fast_decoder.columns(tags, swept(reader, slice_).columns, NOW))
        assert fast == told(slow_decoder, slow_decoder.columns(tags, columns_of(slow(body)), NOW))


@given(ANSWERS, st.data())
def test_a_notification(values: list[bytes], data: st.DataObject) -> None:
    """With client handles, some of them more than once."""
    handles = data.draw(st.lists(st.integers(0, 299), min_size=len(values), max_size=len(values)))
    body = struct.pack("<i", len(values)) + b"".join(
        struct.pack("<I", handle) + value for handle, value in zip(handles, values, strict=True)
    )
    body += struct.pack("<i", -1)
    message = ua.PublishResponse()
    message.Parameters.SubscriptionId = 7
    message.Parameters.AvailableSequenceNumbers = [4, 5]
    message.Parameters.NotificationMessage.SequenceNumber = 5
    message.Parameters.NotificationMessage.NotificationData = [ua.ExtensionObject(ua.FourByteNodeId(811), body)]
    whole = struct_to_binary(message)
    found = publish_answer(whole, LIMITS, foreign_of(whole, WireLimits()))
    assert found is not None
    assert found.values is not None
    assert (found.subscription, found.sequence) == (7, 5)
    reader = swept(found.values, 10)
    assert reader.handles == handles
    slow_answer = struct_from_binary(ua.PublishResponse, BoundedBuffer(whole, Budget(WireLimits())))
    (part,) = slow_answer.Parameters.NotificationMessage.NotificationData
    fast_decoder, slow_decoder = Decoder(300, SourceClock()), Decoder(300, SourceClock())
    columns = columns_of([item.Value for item in part.MonitoredItems])
    fast = told(fast_decoder, fast_decoder.columns(tuple(handles), reader.columns, NOW))
    assert fast == told(slow_decoder, slow_decoder.columns(tuple(handles), columns, NOW))


@given(ANSWERS, st.data())
def test_broken_bytes(values: list[bytes], data: st.DataObject) -> None:
    """Cut short or with bytes exchanged: an error of ours or of the library's, or as many values as were asked for."""
    body = bytearray(read_response(values))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(28, len(body) - 1), st.integers(0, 255)), max_size=4)):
        body[at] = byte
    whole = bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        reader = read_answer(whole, len(values), LIMITS, foreign_of(whole, WireLimits()))
        read = 0 if reader is None else len(swept(reader, 50).columns.kinds)
    except Exception:  # noqa: BLE001 - the library raises whatever it likes; it is caught where it is called
        return
    assert read == (0 if reader is None else len(values))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (ua.Variant("x" * 201), "a string of 201; limits allow 200"),
        (ua.Variant([1] * 301, ua.VariantType.Int32), "an array of 301; limits allow 300"),
        (ua.Variant(["x" * 201, "y"], ua.VariantType.String), "a string of 201; limits allow 200"),
        (ua.Variant(["y"] * 301, ua.VariantType.String), "an array of 301; limits allow 300"),
    ],
)
def test_a_value_beyond_the_limits_is_bad_alone(value: Any, words: str) -> None:
    """Its neighbours stand."""
    one = data_value((5, ua.Variant(1.5, ua.VariantType.Double), 0, TICKS))
    body = read_response([one, data_value((5, value, 0, TICKS)), one])
    reader = read_answer(body, 3, LIMITS, foreign_of(body, WireLimits()))
    assert reader is not None
    answer = Decoder(3, SourceClock()).columns((0, 1, 2), swept(reader, 100).columns, NOW)
    assert (answer.values, answer.status) == ([1.5, None, 1.5], [0, 0x80080000, 0])
    assert answer.reason == {1: words}


@pytest.mark.parametrize(
    "value",
    [
        ua.Variant([1] * 40_000, ua.VariantType.Byte),
        ua.Variant([""] * 40_000, ua.VariantType.String),
        ua.Variant("x" * 900_000),
        ua.Variant(b"x" * 900_000, ua.VariantType.ByteString),
        ua.Variant([b"x"] * 40_000, ua.VariantType.ByteString),
    ],
)
def test_an_answer_holds_only_so_much(value: Any) -> None:
    """Each value is within its limits; so many of them are asked for in smaller groups."""
    limits = WireLimits()
    body = read_response([data_value((5, value, 0, TICKS))] * 12)
    reader = read_answer(body, 12, limits, foreign_of(body, limits))
    assert reader is not None
    with pytest.raises(LimitExceeded, match="more than"):
        swept(reader, 100)
    body = read_response([data_value((5, value, 0, TICKS))])
    reader = read_answer(body, 1, limits, foreign_of(body, limits))
    assert reader is not None
    assert len(swept(reader, 100).columns.values) == 1


@pytest.mark.parametrize("count", [0, 1, 3, 300_000, -1, 2**31 - 1])
def test_not_as_many_as_were_asked_for(count: int) -> None:
    """Refused before one of them is looked at."""
    body = bytearray(read_response([b"\0"] * 2))
    body[24 + 4 : 24 + 8] = struct.pack("<i", count)
    with pytest.raises(LimitExceeded, match=f"{count} answers for 2 nodes"):
        read_answer(bytes(body), 2, LIMITS, foreign_of(bytes(body), LIMITS))


def test_unusual_headers_are_left_to_the_library() -> None:
    """A bad result, diagnostics, a string table, events."""
    assert read_answer(b"", 1, LIMITS, foreign_of(b"", LIMITS)) is None
    refused = ua.ReadResponse(Results=[])
    refused.ResponseHeader.ServiceResult = ua.StatusCode(0x80100000)
    body = struct_to_binary(refused)
    assert read_answer(body, 1, LIMITS, foreign_of(body, WireLimits())) is None
    events = ua.PublishResponse()
    events.Parameters.NotificationMessage.NotificationData = [ua.EventNotificationList()]
    body = struct_to_binary(events)
    assert publish_answer(body, LIMITS, foreign_of(body, WireLimits())) is None
    empty = struct_to_binary(ua.PublishResponse())
    found = publish_answer(empty, LIMITS, foreign_of(empty, LIMITS))
    assert found is not None
    assert found.values is None
