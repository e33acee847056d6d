"""Machines as pure functions of time: state = f(seed, t). No clock, no randomness, no I/O.

The same seed and the same t give the same values, whoever asks and however often; counters only grow. What a machine
*is* on the wire (registers, nodes) stands in `points.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Protocol

Value = bool | int | float | str | datetime
State = Mapping[str, Any]  #: name → Value; Any, because who asks by name knows the type

TAU = 2 * math.pi


class Machine(Protocol):
    """Something whose whole state follows from the seconds since it was switched on."""

    def state(self, t: float) -> State:
        """All values at `t` seconds (t >= 0), by name."""


def chance(seed: int, *key: object) -> float:
    """A number in [0, 1) that belongs to (seed, key) for ever."""
    digest = blake2b(repr((seed, *key)).encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56


def wave(seed: int, name: str, t: float, *, period: float) -> float:
    """A smooth wobble in [-1, 1]: two sines whose phases belong to the seed."""
    first = math.sin(TAU * (t / period + chance(seed, name, 1)))
    second = math.sin(TAU * (t * 2.7 / period + chance(seed, name, 2)))
    return 0.7 * first + 0.3 * second


class Press:
    """A stamping press: strokes while it runs, a tool change at the end of every plan, oil that warms and cools."""

    CYCLE = 2.4  #: seconds per stroke
    STROKES = 40  #: strokes between two tool changes
    CHANGE = 24.0  #: seconds a tool change takes
    RATED_KN = 1600.0
    TRAVEL_MM = 250.0

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._first_part = 180_000 + int(chance(seed, "parts") * 20_000)

    def state(self, t: float) -> State:
        plans, into = divmod(t, self.CYCLE * self.STROKES + self.CHANGE)
        running = into < self.CYCLE * self.STROKES
        stroke = int(plans) * self.STROKES + (int(into / self.CYCLE) if running else self.STROKES)
        phase = (into / self.CYCLE) % 1.0 if running else 0.0
        peak = self.RATED_KN * (0.8 + 0.3 * chance(self._seed, "peak", stroke - 1)) if stroke else 0.0
        oil = 46.0 + 5.0 * wave(self._seed, "oil", t, period=300) + 0.3 * wave(self._seed, "oil-fast", t, period=11)
        return {
            "running": running,
            "guard_closed": running,
            "emergency_stop": False,
            "state": 1 if running else 2,
            "part_count": self._first_part + stroke,
            "total_strokes": 7_000_000_000 + self._first_part + stroke,
            "tonnage": peak,
            "oil_temperature": oil,
            "stroke_position": self.TRAVEL_MM * (1 + math.cos(TAU * phase)) / 2,
            "strokes_per_minute": round(60 / self.CYCLE) if running else 0,
            "overload": peak > self.RATED_KN * 1.07,
            "oil_low": False,
            "lubrication_due": stroke % 200 > 180,
            "vibration": 1.2 + 0.4 * wave(self._seed, "vibration", t, period=7) + (0.8 if running else 0.0),
            "serial_number": f"PR-2019-{int(chance(self._seed, 'serial') * 10_000):04d}",
        }


class Meter:
    """An energy meter: power wobbles and never falls to nothing, so the counters only grow."""

    BASE_W = 42_000.0
    SWINGS = ((9_000.0, 31.0), (6_000.0, 173.0), (3_000.0, 7.3))  #: watts, seconds; their sum stays below BASE_W
    REACTIVE = 0.31  #: of the active power

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._phases = [TAU * chance(seed, "swing", index) for index in range(len(self.SWINGS))]
        self._first_wh = 5_000_000_000 + int(chance(seed, "energy") * 1_000_000_000)

    def _power(self, t: float) -> float:
        swings = zip(self.SWINGS, self._phases, strict=True)
        return self.BASE_W + sum(watts * math.sin(TAU * t / period + phase) for (watts, period), phase in swings)

    def _joules(self, t: float) -> float:
        """The integral of the power, in closed form."""
        swings = zip(self.SWINGS, self._phases, strict=True)
        return self.BASE_W * t + sum(
            watts * period / TAU * (math.cos(phase) - math.cos(TAU * t / period + phase))
            for (watts, period), phase in swings
        )

    def state(self, t: float) -> State:
        t = math.floor(t * 1000) / 1000  # a millisecond moves the integral by more than floating point may err
        power = self._power(t)
        volts = [230.0 + 2.5 * wave(self._seed, f"u{line}", t, period=60) for line in (1, 2, 3)]
        factor = 0.93 + 0.03 * wave(self._seed, "pf", t, period=90)
        shares = [
            1 / 3 + 0.03 * wave(self._seed, "i1", t, period=40),
            1 / 3 - 0.02 * wave(self._seed, "i2", t, period=50),
        ]
        shares.append(1 - sum(shares))
        watt_hours = self._joules(t) / 3600
        return {
            **{f"voltage_l{line}": volt for line, volt in enumerate(volts, 1)},
            **{
                f"current_l{line}": power * share / (volt * factor)
                for line, (share, volt) in enumerate(zip(shares, volts, strict=True), 1)
            },
            "power": power,
            "power_factor": factor,
            "frequency": 50.0 + 0.03 * wave(self._seed, "hz", t, period=20),
            "energy_import": self._first_wh + int(watt_hours * 1000) // 1000,
            "energy_reactive": int(self._first_wh / 100) % 1_000_000 + int(watt_hours * self.REACTIVE),
            "breaker_closed": True,
            "cabinet_temperature": 31.0 + 4.0 * wave(self._seed, "cabinet", t, period=600),
        }


class Cnc:
    """A machining centre: programs one after the other, a tool that warms while it cuts, an alarm now and then."""

    PROGRAMS = ("O1001 ROUGH HOUSING", "O1002 FINISH HOUSING", "O2040 DRILL FLANGE", "O3300 THREAD M8")
    LENGTH = 18.0  #: seconds per program
    LOADING = 3.0  #: of them: the door is open, a part is changed
    SINCE = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)  #: when t was 0, for its own date-time values

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._first_part = 9_000 + int(chance(seed, "cnc-parts") * 1_000)

    def state(self, t: float) -> State:
        run = int(t // self.LENGTH)
        into = t - run * self.LENGTH
        alarm = chance(self._seed, "alarm", run) < 0.12 and self.LENGTH / 2 < into < self.LENGTH / 2 + 4
        cutting = into >= self.LOADING and not alarm
        target = 3_000.0 + 500.0 * int(10 * chance(self._seed, "rpm", run))
        angle = TAU * into / 6.0
        heat = 1 - math.exp(-max(0.0, into - self.LOADING) / 8.0)
        return {
            "Mode": "AUTO" if cutting else "ALARM" if alarm else "LOADING",
            "Program": self.PROGRAMS[(run + int(4 * chance(self._seed, "first"))) % len(self.PROGRAMS)],
            "ProgramStarted": self.SINCE + timedelta(seconds=run * self.LENGTH),
            "Spindle.Speed": target + 15.0 * wave(self._seed, "rpm", t, period=2) if cutting else 0.0,
            "Spindle.Load": 35.0 + 20.0 * wave(self._seed, "load", t, period=5) if cutting else 0.0,
            "Spindle.Running": cutting,
            "Tool.Number": 1 + int(12 * chance(self._seed, "tool", run)),
            "Tool.Temperature": 28.0 + 40.0 * heat + 1.5 * wave(self._seed, "tool", t, period=3),
            "Axis.X": 120.0 * math.cos(angle) if cutting else 0.0,
            "Axis.Y": 80.0 * math.sin(angle) if cutting else 0.0,
            "Axis.Z": -40.0 * abs(math.sin(angle / 2)) if cutting else 150.0,
            "Feed.Override": 100 if chance(self._seed, "feed", run) < 0.8 else 80,
            "PartCount": self._first_part + run,
            "CuttingSeconds": int(run * (self.LENGTH - self.LOADING) + max(0.0, into - self.LOADING)),
            "Alarm.Active": alarm,
            "Alarm.Code": 4071 if alarm else 0,
            "Alarm.Text": "COOLANT PRESSURE LOW" if alarm else "",
        }
