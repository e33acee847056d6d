"""A recording of `edge-agent record` as a simulated device: the same answers, exceptions, delays and silences.

Each request goes through what it was answered, in order, and begins anew at the end. A request that was never recorded
(another block, because the tags are others now) is made of the registers known by then; else it is as silent as the
unit was, or as what it covers of requests that nobody answered, and at last refused with exception 02.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pymodbus.constants import ExcCodes

from agent.collectors.modbus.bus.recording import (
    LINE_BYTES,
    MOST_BYTES,
    Exchange,
    Header,
    read_recording,
)
from agent.core.errors import ConfigError
from agent.simulator.modbus import Disconnect, ModbusServer, Silence, Unit
from agent.simulator.plant import ModbusDevice, Plant, PlantClock
from agent.simulator.points import Area

_AREAS: dict[int, Area] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_BEGINNING = b'{"recording":'


class Replayed(Unit):
    """One unit out of a recording."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        super().__init__()
        self._heard: dict[tuple[int, int, int], list[Exchange]] = {}
        self._next: dict[tuple[int, int, int], int] = {}
        for one in exchanges:
            self._heard.setdefault((one.function, one.offset, one.count), []).append(one)
        self._silent = [key for key, heard in self._heard.items() if all(one.end == "silent" for one in heard)]
        self._mute = len(self._silent) == len(self._heard)
        for one in reversed(exchanges):  # what was there first is known from the beginning
            self._learn(one)

    def answer(self, code: int, address: int, count: int, t: float) -> list[int] | list[bool] | ExcCodes:
        """What was answered to this request the next time."""
        heard = self._heard.get((code, address, count))
        if heard is None:
            self.delay = 0.0
            made = super().answer(code, address, count, t)
            if isinstance(made, ExcCodes) and (self._mute or self._covers_silence(code, address, count)):
                raise Silence
            return made
        self.requests += 1
        turn = self._next.get((code, address, count), 0)
        self._next[code, address, count] = (turn + 1) % len(heard)
        one = heard[turn]
        self.delay = one.ms / 1000
        if one.end == "silent":
            raise Silence
        if one.end == "closed":
            raise Disconnect(self.delay)
        if one.code:
            return _exception(one.code)
        if one.end:
            return _garbled(code, count)
        self._learn(one)
        return _values(one)

    def _covers_silence(self, code: int, address: int, count: int) -> bool:
        return any(
            code == function and offset < address + count and address < offset + size
            for function, offset, size in self._silent
        )

    def _learn(self, one: Exchange) -> None:
        if not one.end and not one.code:
            self.memory.fill(_AREAS[one.function], one.offset, _values(one))


def _values(one: Exchange) -> list[int] | list[bool]:
    data = one.answer
    if one.function > 2:
        return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]
    return [bool(data[place // 8] >> place % 8 & 1) for place in range(one.count)]


def _garbled(function: int, count: int) -> list[int] | list[bool]:
    """An answer of another size than was asked for: what came was no answer, and is not recorded."""
    return [0] * (count - 1 if count > 1 else 2) if function > 2 else [False] * (count + 8)


def _exception(code: int) -> ExcCodes:
    try:
        return ExcCodes(code)
    except ValueError:  # of the vendor's own
        return ExcCodes.DEVICE_FAILURE


class ReplayedPlant(NamedTuple):
    """The plant of one recording, not yet open."""

    header: Header
    exchanges: int
    seconds: float
    plant: Plant


def is_recording(path: Path) -> bool:
    """Whether the file begins as a recording does. Raises nothing: who reads it says what is wrong."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False


def replay_of(path: Path, time: PlantClock) -> ReplayedPlant:
    """The device of a recording on loopback. Raises ConfigError where the file is none, or larger than one can be."""
    header, exchanges = read_recording(_lines(path), str(path))
    if not exchanges:
        raise ConfigError(str(path), 1, "nothing is recorded", "record again, for longer")
    server = ModbusServer({header.unit: Replayed(exchanges)}, elapsed=time)
    device = ModbusDevice(header.device, server, header.unit)
    last = max(exchanges, key=lambda one: one.at)
    return ReplayedPlant(header, len(exchanges), (last.at + last.ms) / 1000, Plant({header.device: device}, time))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_BYTES:
                raise ConfigError(str(path), None, f"no file of at most {MOST_BYTES >> 20} MiB", "cut the recording")
            number = 0
            while line := file.readline(LINE_BYTES + 1):
                number += 1
                if len(line) > LINE_BYTES:
                    raise ConfigError(str(path), number, "a line longer than any of a recording", "take it out")
                yield line
    except OSError as error:
        raise ConfigError(str(path), None, f"cannot be read: {error.strerror or error}", "name a recording") from None
