"""A recording: what is written is what is read, and a file may be anybody's."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest

from agent.collectors.modbus.bus.recording import LINE_BYTES, Exchange, Taps, read_recording
from agent.collectors.modbus.bus.transaction import NoAnswer, ReadRequest, Unanswered, WrongSize
from agent.core.errors import ConfigError
from agent.testing.clock import ManualClock

HEADER = b'{"recording":"edge-agent modbus 1","device":"press-01","unit":3,"from":1763760000000}'


class Wire:
    """Answers what it is told, and takes 20 ms for it."""

    def __init__(self, clock: ManualClock, *answers: tuple[bytes, int] | Exception) -> None:
        self._clock = clock
        self._answers = list(answers)

    async def transact(self, _unit: int, _request: ReadRequest) -> tuple[bytes, int]:
        await self._clock.advance(0.02)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_what_is_written_is_read() -> None:
    """Values, exceptions, silence, an answer of the wrong size and a closed connection, each with its time."""
    clock = ManualClock()
    taps, lines = Taps(clock), list[bytes]()
    undo = taps.add("press-01", 3, lines.append)
    wire = Wire(clock, (b"\0\1", 0), (b"", 2), NoAnswer("-"), WrongSize("-"), Unanswered("-"), (b"\0\2", 0))
    request = ReadRequest(3, 7, 1, 1.0)
    for _ in range(5):
        with suppress(NoAnswer, WrongSize, Unanswered):
            await taps.transact(wire, 3, request)  # type: ignore[arg-type]  # of a wire it takes this
    undo()
    await taps.transact(wire, 3, request)  # type: ignore[arg-type]
    header, found = read_recording(lines, "a.rec")
    assert (header.device, header.unit, header.from_ms) == ("press-01", 3, clock.now_ms() - 120)
    assert [(one.at, one.ms, one.data, one.code, one.end) for one in found] == [
        (0, 20, "0001", 0, ""), (20, 20, "", 2, ""), (40, 20, "", 0, "silent"), (60, 20, "", 0, "garbled"),
        (80, 20, "", 0, "closed"),
    ]  # fmt: skip


async def test_only_the_unit_that_is_recorded() -> None:
    """Neighbours on the bus are not in it, nor what is no read of values."""
    clock = ManualClock()
    taps, lines = Taps(clock), list[bytes]()
    taps.add("press-01", 3, lines.append)
    wire = Wire(clock, (b"\0\1", 0), (b"\0\1", 0))
    await taps.transact(wire, 4, ReadRequest(3, 7, 1, 1.0))  # type: ignore[arg-type]
    await taps.transact(wire, 3, ReadRequest(43, 0, 1, 1.0))  # type: ignore[arg-type]
    assert len(lines) == 1


def test_no_line_is_longer_than_a_replay_reads() -> None:
    """The largest answer, with the largest numbers."""
    longest = Exchange(2**40, 3, 65535, 125, 3_600_000, "ff" * 250)
    assert len(msgspec.json.encode(longest)) < LINE_BYTES


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "a.rec:1: no recording"),
        ([b"{}"], "a.rec:1: no recording"),
        ([HEADER.replace(b"modbus 1", b"modbus 9")], "a.rec:1: no recording"),
        ([HEADER.replace(b"press-01", b"../../etc")], "a.rec:1: no recording"),
        ([HEADER.replace(b":3,", b":300,")], "a.rec:1: no recording"),
        ([HEADER, b"nothing"], "a.rec:2: no recording"),
        ([HEADER, b"[" * 1000], "a.rec:2: no recording"),
        ([HEADER, b'{"at":0,"function":6,"offset":0,"count":1,"ms":1,"data":"0001"}'], "a.rec:2: no recording"),
        ([HEADER, b'{"at":0,"function":3,"offset":0,"count":9999,"ms":1,"code":2}'], "a.rec:2: no recording"),
        ([HEADER, b'{"at":0,"function":3,"offset":0,"count":1,"ms":9999999,"code":2}'], "a.rec:2: no recording"),
        ([HEADER, b'{"at":0,"function":3,"offset":0,"count":2,"ms":1,"data":"0001"}'], "a.rec:2: 2 data bytes, and 2"),
        ([HEADER, b'{"at":0,"function":3,"offset":0,"count":1,"ms":1,"data":"00zz"}'], "a.rec:2: no recording"),
    ],
)
def test_a_strangers_file(lines: list[bytes], told: str) -> None:
    """What no recorder wrote is refused with its line; nothing of it is taken on trust."""
    with pytest.raises(ConfigError) as raised:
        read_recording(lines, "a.rec")
    assert str(raised.value).startswith(told)
