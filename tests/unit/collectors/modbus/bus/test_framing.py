from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerAscii, FramerRTU
from pymodbus.pdu import DecodePDU

from agent.collectors.modbus.bus.framing import Ascii, Form, Framer, Garbage, Rtu, of_another_size
from agent.collectors.modbus.bus.transaction import ReadRequest

LIBRARY = {Rtu: FramerRTU(DecodePDU(is_server=False)), Ascii: FramerAscii(DecodePDU(is_server=False))}
FRAMERS = [Rtu(), Ascii()]
requests = st.builds(
    ReadRequest, st.integers(1, 4), st.integers(0, 0xFFFF), st.integers(1, 125), st.just(1.0)
)  # fmt: skip


def frame_of(framer: Framer, unit: int, pdu: bytes) -> bytes:
    """A frame as the library makes it."""
    return LIBRARY[type(framer)].encode(pdu, unit, 0)


def test_the_example_of_the_standard() -> None:
    """A frame of the literature: read 2 registers at 0 of unit 1."""
    read = ReadRequest(3, 0, 2, 1.0)
    assert Rtu().encode(1, read).hex() == "010300000002c40b"
    assert Ascii().encode(1, read) == b":010300000002FA\r\n"


@pytest.mark.parametrize("framer", FRAMERS)
@given(unit=st.integers(0, 255), request=requests, data=st.data())
def test_frames_are_those_of_the_library(framer: Framer, unit: int, request: ReadRequest, data: st.DataObject) -> None:
    """Requests are encoded, and answers and exceptions taken, as an independent implementation has them."""
    pdu = bytes([request.function]) + request.offset.to_bytes(2, "big") + request.count.to_bytes(2, "big")
    assert framer.encode(unit, request) == frame_of(framer, unit, pdu)
    form = Form.of(unit, request)
    values = data.draw(st.binary(min_size=request.size, max_size=request.size))
    answer = frame_of(framer, unit, bytes([request.function, request.size]) + values)
    assert len(answer) == framer.length(form)
    found = framer.find(answer, [form])
    assert found is not None
    assert (found.data, found.code, found.length) == (values, 0, len(answer))
    refusal = framer.find(frame_of(framer, unit, bytes([request.function | 0x80, 2])), [form])
    assert refusal is not None
    assert (refusal.data, refusal.code) == (b"", 2)


@pytest.mark.parametrize("framer", FRAMERS)
@given(unit=st.integers(0, 255), request=requests, cut=st.integers(0, 600))
def test_half_a_frame_is_none(framer: Framer, unit: int, request: ReadRequest, cut: int) -> None:
    """Whatever is missing at the end: it is waited for."""
    answer = frame_of(framer, unit, bytes([request.function, request.size]) + bytes(request.size))
    assert framer.find(answer[: min(cut, len(answer) - 1)], [Form.of(unit, request)]) is None


@pytest.mark.parametrize("framer", FRAMERS)
@given(request=requests, noise=st.binary(min_size=1, max_size=300))
def test_noise_is_never_an_answer(framer: Framer, request: ReadRequest, noise: bytes) -> None:
    """Random bytes are garbage, or the beginning of something; an answer with probability nil."""
    try:
        found = framer.find(noise, [Form.of(1, request)])
    except Garbage:
        return
    assert found is None or noise.startswith(frame_of(framer, 1, found.message[1:]))


@given(request=requests, sizes=st.sets(st.integers(1, 250), max_size=40))
def test_another_size(request: ReadRequest, sizes: set[int]) -> None:
    """The probe lies at the same place or before it, within the address space, and its answer has a size of its own."""
    probe = of_another_size(request, sizes)
    assert probe.size not in sizes | {request.size}
    assert probe.function == request.function
    assert 0 <= probe.offset <= request.offset
    assert probe.offset + probe.count <= 0x10000
