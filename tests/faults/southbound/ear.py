"""What a consumer at the broker hears of devices: every reading, and every word about their state.

async with hearing(mosquitto.url) as ear:
    await ear.hears("press", "offline")
    assert ear.readings("press", "pressure", why="offline") == [...]
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from tests.support.consumer import Consumer, Said, subscribed
from tests.support.mqtt import observing
from tests.support.waiting import PATIENCE, eventually


class Reading:
    """One reading as it came, with what its message says about it."""

    _FIELDS = ("code", "label", "quality", "reason", "src", "status", "tag", "ts", "unit", "value", "why")
    __slots__ = (*_FIELDS, "again", "historical", "seq")

    def __init__(self, body: dict[str, Any], record: Said) -> None:
        for name in self._FIELDS:
            setattr(self, name, body.get(name))
        self.seq = record.seq
        self.historical = record.historical
        self.again = record.again  #: its record came before: after a kill some do, and nobody counts them twice

    value: Any
    tag: str
    ts: int
    quality: str
    src: int | None
    code: str | None
    status: int | None
    reason: str | None
    why: str | None

    def __repr__(self) -> str:
        said = {name: getattr(self, name) for name in self._FIELDS if name not in ("tag", "quality")}
        words = " ".join(f"{name}={value!r}" for name, value in said.items() if value is not None or name == "value")
        return f"<{self.tag} {self.quality} {words}>"


class Ear(Consumer):
    """A consumer that also keeps each reading and each state, by device. Snapshots only repeat, so they stand apart."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, list[Reading]] = {}
        self.snapshots: dict[str, list[Reading]] = {}
        self.states: dict[str, list[dict[str, Any]]] = {}

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> None:
        super().hear(topic, payload, retained=retained)
        levels = topic.split("/")
        if levels[-1] == "readings":
            message = json.loads(payload)
            where = self.snapshots if message.get("snapshot") else self._said
            where.setdefault(message["device"], []).extend(
                Reading(body, self.records[-1]) for body in message["readings"]
            )
        elif levels[-1] == "status" and levels[1] != "agents" and payload:
            self.states.setdefault(levels[-2], []).append(json.loads(payload))

    # --- asked --------------------------------------------------------------------------------------------------------

    def readings(self, device: str, tag: str | None = None, *, since: int = 0, **having: object) -> list[Reading]:
        """Readings of a device (and tag), without snapshots, from time `since` on, whose fields have these values."""
        return [
            one
            for one in self._said.get(device, ())
            if tag in (None, one.tag)
            and one.ts >= since
            and all(getattr(one, field) == value for field, value in having.items())
        ]

    def newest(self, device: str, tag: str) -> Reading | None:
        """The last word on a tag."""
        return next((one for one in reversed(self._said.get(device, ())) if one.tag == tag), None)

    def qualities(self, device: str) -> dict[str, str]:
        """Newest quality of each tag of a device."""
        return {one.tag: one.quality for one in self._said.get(device, ())}

    def state(self, device: str) -> dict[str, Any]:
        """The last word on a device."""
        return self.states[device][-1] if device in self.states else {"state": None}

    def scans(self, device: str, tag: str, since: int, until: int) -> list[int]:
        """When a tag was read within these times."""
        return [one.ts for one in self.readings(device, tag, since=since) if one.ts <= until]

    # --- waiting ------------------------------------------------------------------------------------------------------

    async def hears(self, device: str, *states: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait until the device is said to be in one of these states."""
        await eventually(lambda: self.state(device)["state"] in states, timeout, f"{device} is {states}")
        return self.state(device)

    async def good(self, device: str, tags: Iterable[str], timeout: float = PATIENCE) -> None:
        """Wait until the newest reading of each tag is good."""
        wanted = dict.fromkeys(tags, "good")
        await eventually(
            lambda: wanted.items() <= self.qualities(device).items(), timeout, f"every tag of {device} is good"
        )

    async def why(self, device: str, why: str, tags: Sequence[str], timeout: float = PATIENCE) -> None:
        """Wait until each of the tags has been said for this reason."""
        await eventually(
            lambda: {one.tag for one in self.readings(device, why=why)} >= set(tags), timeout, f"{device}: all {why}"
        )

    async def goes_on(self, device: str, tag: str, times: int, timeout: float = PATIENCE) -> None:
        """Wait until a tag has been said so many times more."""
        before = len(self.readings(device, tag))
        await eventually(
            lambda: len(self.readings(device, tag)) >= before + times, timeout, f"{times} more of {device} {tag}"
        )

    # --- the contract -------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Also: the time of a tag rises, a bad value is null and says why it is bad, a good one is a value."""
        await super().check()
        for device, said in self._said.items():
            past = {record.seq for record in self.fresh if record.device == device and record.historical}
            by_tag: dict[str, list[Reading]] = {}
            for one in said:
                if one.seq not in past and not one.again:  # times rise within the live lane
                    by_tag.setdefault(one.tag, []).append(one)
                assert (one.value is None) == (one.quality == "bad"), (device, one)
                assert (one.code is None) == (one.status is None), (device, one)
                assert one.quality == "good" or (one.code and one.status), (device, one)
            for tag, readings in by_tag.items():
                assert all(a.ts < b.ts for a, b in pairwise(readings)), (device, tag, readings)


def keeps_pace(times: Sequence[int], interval_ms: int) -> None:
    """Scans at these times came at the interval. A busy machine may cost some of them, not two thirds."""
    assert len(times) > 4, times
    mean = (times[-1] - times[0]) / (len(times) - 1)
    assert interval_ms * 0.7 <= mean <= interval_ms * 3, f"{mean:.0f} ms instead of {interval_ms} ms"


async def retained(port: int, topic: str) -> dict[str, Any]:
    """What a consumer that comes only now finds at the broker."""
    async with observing(port, topic) as observer:
        await eventually(lambda: observer.seen, what=f"something is retained at {topic}")
        first = observer.seen[0]
    assert first.retain
    status: dict[str, Any] = json.loads(first.payload)
    return status


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[Ear]:
    """Listen to everything from before the body runs until it is over; then the contract must have held."""
    async with subscribed(url, Ear()) as ear:
        yield ear
        await ear.check()
