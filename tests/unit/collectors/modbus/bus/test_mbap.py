"""What one Modbus TCP connection makes of the bytes that come."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.transport import CommParams, CommType

from agent.collectors.modbus.bus.mbap import HEADER, MbapHabits, MbapTransactions
from agent.collectors.modbus.bus.mbap_read import MbapRead
from agent.collectors.modbus.bus.transaction import ReadRequest

REQUESTS = st.builds(ReadRequest, st.integers(1, 4), st.integers(0, 9), st.integers(1, 4), st.just(1.0))
HABITS = st.builds(MbapHabits, st.booleans(), st.booleans(), st.sampled_from([(), (b"\0",), (b"\xfe\xfe",)]))


async def made_of(pieces: list[bytes], request: ReadRequest, habits: MbapHabits) -> tuple[object, ...]:
    """What a request to unit 7 got, and what is left."""
    inner = MbapTransactions(CommParams(comm_name="test", comm_type=CommType.TCP, reconnect_delay=0.0), habits)
    inner.transport = Mock()
    ended: list[MbapRead] = []
    asked = MbapRead(7, request, 0.0, ended.append)
    inner.ask(asked)
    for piece in pieces:
        inner.data_received(piece)
    inner.forget(asked)
    error = (type(asked.error), str(asked.error))
    return len(ended), asked.data, asked.exception_code, error, inner.unclean, inner.recv_buffer, inner.stale


@settings(max_examples=300)
@given(st.data(), REQUESTS, HABITS)
def test_a_whole_answer_is_what_it_is_in_pieces(data: st.DataObject, request: ReadRequest, habits: MbapHabits) -> None:
    """The short look at a complete answer sees what the long one sees, which bytes in pieces get: damaged ones, too."""
    values = data.draw(st.binary(min_size=request.size, max_size=request.size))
    pdu = bytes([request.function, request.size]) + values
    frame = bytearray(HEADER.pack(1, 0, 1 + len(pdu), 7) + pdu)
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=2)):
        frame[at] = byte
    whole = bytes(frame[: data.draw(st.integers(8, len(frame)))]) + data.draw(st.binary(max_size=3))
    before = data.draw(st.binary(max_size=2))
    apart = asyncio.run(made_of([before + whole[:1], whole[1:]], request, habits))
    assert asyncio.run(made_of([before, whole], request, habits)) == apart
