from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.opcua.wire.errors import WireViolation
from agent.collectors.opcua.wire.frames import Frames
from agent.collectors.opcua.wire.limits import BUFFER_BYTES, WireLimits

LIMITS = WireLimits(message_bytes=100_000)


def chunk(size: int, part: bytes = b"F", kind: bytes = b"MSG") -> bytes:
    return kind + part + struct.pack("<I", size) + bytes(size - 8)


@given(st.lists(st.tuples(st.integers(24, 3000), st.sampled_from([b"F", b"A", b"C"])), max_size=20), st.data())
def test_chunks_come_whole_however_they_arrive(sizes: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """Cut anywhere, in any number of pieces; nothing is kept of what was handed on."""
    chunks = [chunk(*each) for each in sizes]
    stream = b"".join(chunks)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=30)))
    frames, found = Frames(LIMITS), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += list(frames.feed(stream[start:end]))
    assert found == chunks
    assert not frames._held


@pytest.mark.parametrize(
    "header",
    [
        b"MSGF" + struct.pack("<I", BUFFER_BYTES + 1),
        b"MSGC\xff\xff\xff\xff",
        b"MSGF\0\0\0\0",
        b"MSGF\x17\0\0\0",
        b"ACKF\x08\0\0\0",
        b"CLOF\x20\0\0\0",
        b"HELF\x20\0\0\0",
        b"MSGX\x20\0\0\0",
        b"HTTP/1.1",
    ],
)
def test_a_header_nobody_agreed_to(header: bytes) -> None:
    """It is enough to see it: nothing is waited for."""
    with pytest.raises(WireViolation):
        list(Frames(LIMITS).feed(header))
    frames = Frames(LIMITS)
    assert list(frames.feed(header[:7])) == []
    with pytest.raises(WireViolation):
        list(frames.feed(header[7:]))


def test_less_than_was_announced_may_be_agreed() -> None:
    """The server's own buffer counts once it has said it."""
    frames = Frames(LIMITS)
    frames.most = 8192
    assert len(list(frames.feed(chunk(8192)))) == 1
    with pytest.raises(WireViolation, match="24 to 8192 were agreed"):
        list(frames.feed(chunk(8193)[:8]))


@pytest.mark.parametrize("size", [24, 8192, 60_000])
def test_a_message_has_an_end(size: int) -> None:
    """By its bytes or by its chunks; and the next one starts from nothing."""
    frames = Frames(LIMITS)
    fits = min(LIMITS.message_bytes // size, LIMITS.chunks) - 1
    for _ in range(3):
        for _ in range(fits):
            assert len(list(frames.feed(chunk(size, b"C")))) == 1
        assert len(list(frames.feed(chunk(size)))) == 1
    with pytest.raises(WireViolation, match="larger than 100000 bytes in 13 chunks"):
        list(frames.feed(chunk(size, b"C") * (fits + 2)))
