"""Traffic of one unit as text: what it was asked, what it answered and how long that took. Pure.

    {"recording":"edge-agent modbus 1","device":"press-01","unit":3,"from":1763760000000,"note":"…"}
    {"at":12,"function":3,"offset":0,"count":4,"ms":8,"data":"000100020003ffff"}
    {"at":30,"function":3,"offset":900,"count":1,"ms":7,"code":2}
    {"at":51,"function":4,"offset":0,"count":2,"ms":1000,"end":"silent"}

A line a transaction, in the order they ended; `at` is when the request was sent, milliseconds since the beginning.
What came garbled is recorded as such, without its bytes; so is a connection that ended before the answer (`closed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from agent.collectors.modbus.bus.transaction import BadReply, NoAnswer, ReadRequest, Wire
from agent.core.clock import Clock
from agent.core.errors import ConfigError, ConnectionLost

FORMAT: Literal["edge-agent modbus 1"] = "edge-agent modbus 1"
NOTE = "holds the process values of this device: hand it only to people who may see them"

#: What a recording may take. A file that is larger was not made here.
MOST_BYTES = 256 << 20
MOST_LINES = 1_000_000
#: Longer than any line: 250 data bytes in hexadecimal, and the rest.
LINE_BYTES = 1024
_HOUR = 3_600_000

T = TypeVar("T")
_Place = Annotated[int, Meta(ge=0, le=0xFFFF)]


class Header(Struct, forbid_unknown_fields=True):
    """The first line."""

    recording: Literal["edge-agent modbus 1"]
    device: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    unit: Annotated[int, Meta(ge=0, le=255)]
    from_ms: int = msgspec.field(name="from")  #: epoch milliseconds
    note: str = NOTE


class Exchange(Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One transaction: `data` is what came, `code` an exception, `end` what came instead of an answer."""

    at: Annotated[int, Meta(ge=0)]
    function: Annotated[int, Meta(ge=1, le=4)]
    offset: _Place
    count: Annotated[int, Meta(ge=1, le=2000)]
    ms: Annotated[int, Meta(ge=0, le=_HOUR)]
    data: Annotated[str, Meta(max_length=500, pattern=r"^([0-9a-f]{2})*$")] = ""
    code: Annotated[int, Meta(ge=0, le=255)] = 0
    end: Literal["", "silent", "closed", "garbled"] = ""

    @property
    def answer(self) -> bytes:
        """The data bytes."""
        return bytes.fromhex(self.data)


class Taps:
    """Who records what, on one bus."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.taken: dict[int, list[Callable[[bytes], None]]] = {}  #: by unit
        self._began: dict[int, float] = {}

    def add(self, device: str, unit: int, take: Callable[[bytes], None]) -> Callable[[], None]:
        """Hand `take` the lines of a recording, the header at once, until the undo is called."""
        self._began.setdefault(unit, self._clock.monotonic())
        self.taken.setdefault(unit, []).append(take)
        take(msgspec.json.encode(Header(FORMAT, device, unit, self._clock.now_ms())))

        def undo() -> None:
            taken = self.taken.get(unit, [])
            if take in taken:
                taken.remove(take)
            if not taken:
                self.taken.pop(unit, None)
                self._began.pop(unit, None)

        return undo

    async def transact(self, wire: Wire, unit: int, request: ReadRequest) -> tuple[bytes, int]:
        """`wire.transact`, and a line of it where the unit is recorded."""
        if unit not in self.taken or not 1 <= request.function <= 4:
            return await wire.transact(unit, request)
        asked_at = self._clock.monotonic()
        data, code, end = b"", 0, ""
        try:
            data, code = await wire.transact(unit, request)
        except NoAnswer:
            end = "silent"
            raise
        except BadReply:
            end = "garbled"
            raise
        except ConnectionLost:
            end = "closed"
            raise
        else:
            return data, code
        finally:
            if data or code or end:  # else it was cancelled
                self._say(unit, request, asked_at, (data, code, end))

    def _say(self, unit: int, request: ReadRequest, asked_at: float, came: tuple[bytes, int, str]) -> None:
        if unit not in self.taken:
            return
        data, code, end = came
        took = min(_HOUR, round((self._clock.monotonic() - asked_at) * 1000))
        at = round((asked_at - self._began[unit]) * 1000)
        line = msgspec.json.encode(
            Exchange(max(0, at), request.function, request.offset, request.count, took, data.hex(), code, end)  # type: ignore[arg-type]  # one of its words
        )
        for take in tuple(self.taken[unit]):
            take(line)


def read_recording(lines: Iterable[bytes], file: str) -> tuple[Header, list[Exchange]]:
    """What stands in a recording, which may be anybody's. Raises ConfigError with the line."""
    numbered = enumerate(lines, 1)
    header = _decoded(next(numbered, (1, b"")), Header, file)
    return header, list(_exchanges(numbered, file))


def _exchanges(lines: Iterator[tuple[int, bytes]], file: str) -> Iterator[Exchange]:
    for number, line in lines:
        if number > MOST_LINES + 1:
            raise ConfigError(file, number, f"more than {MOST_LINES:,} transactions", "cut the recording")
        found = _decoded((number, line), Exchange, file)
        if not (found.end or found.code) and len(found.answer) != _size(found):
            reason = f"{len(found.answer)} data bytes, and {found.count} were asked for"
            raise ConfigError(file, number, reason, "this line was changed or damaged; take it out")
        yield found


def _size(one: Exchange) -> int:
    return one.count * 2 if one.function > 2 else (one.count + 7) // 8


def _decoded(numbered: tuple[int, bytes], kind: type[T], file: str) -> T:
    number, line = numbered
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        hint = "record it again with `edge-agent record`" if kind is Header else "take this line out"
        raise ConfigError(file, number, f"no recording of a Modbus device: {error}", hint) from None
