"""The process image: newest state, catalogue, readings and notes of every device.

Southbound writes it, northbound and web read it. Everything happens on the event loop and nothing here awaits, so a
look at the image is consistent by construction: a snapshot and the cut of an outbox belong together when no await
stands between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Literal

from msgspec import Struct, structs

from agent.core.flow import MAX_BATCH_READINGS, Batch, Reading
from agent.core.quality import BAD_WAITING_FOR_INITIAL_DATA, name_of

#: The device that an agent is to itself; it is not counted among devices. No other name of a device begins with `_`.
SELF = "_agent"

DeviceState = Literal["online", "degraded", "offline"]
#: Why a device is not simply online: it is slow, a neighbour on its bus holds it up, it says itself that it is not
#: well, it has bad tags, it does not answer, it cannot work as configured, it is not to be read.
Cause = Literal["late", "neighbour", "complaint", "tags", "silent", "misconfigured", "disabled"]


class TagInfo(Struct, frozen=True, omit_defaults=True, gc=False):
    """What the catalogue says about one tag."""

    tag: str
    type: str | None = None
    unit: str | None = None
    description: str | None = None
    interval: int | str | None = None  #: milliseconds, or "once"
    node: str | None = None  #: of a tag the device was found to have: where it is, as a configuration would have it


class AgentInfo(Struct, frozen=True):
    """Who speaks."""

    id: str
    version: str
    config: str  #: hash of the configuration in force
    attempted: str | None = None  #: hash of the one that was tried last, where it is another
    error: str | None = None  #: why that one is not in force, short
    shard: str = "0/1"  #: which of how many agents that share this configuration


class Elsewhere(Struct, frozen=True):
    """A device that another agent with the same configuration reads."""

    agent: str  #: id of that agent
    location: tuple[str, ...]


class DeviceImage(Struct):
    """One device as of now. Written only through :class:`Image`."""

    name: str
    location: tuple[str, ...]
    tags: tuple[TagInfo, ...]
    cat: int
    description: str | None = None
    state: DeviceState = "offline"
    reason: str | None = "not connected yet"
    causes: tuple[Cause, ...] = ()  #: of `reason`, for programs
    since: int = 0  #: when the state began
    last_good: int | None = None  #: newest ts of a good reading
    heard: int | None = None  #: when it last answered: its values are as old as this, not as their readings
    achieved_ms: int | None = None
    newest: dict[str, Reading] = {}
    awaited: int = 0  #: when (epoch ms) a snapshot last said that a tag waits for its first value
    bad: int = 0  #: enabled tags whose newest reading is bad
    notes: dict[str, object] = {}  #: what its collector has to say, for status and people: JSON-able


_tag = attrgetter("tag")


def void(_: object) -> None:
    """Nothing: for an undo that is a lambda."""


def _log_bug(error: Exception) -> None:
    logging.getLogger(__name__).error("a listener of the image raised", exc_info=error)


class Image:
    """All devices. `listen` callbacks run at once, on the loop, after a state, catalogue or existence changed.

    What a callback raises goes to `bug`, never to whoever made the change, and the other callbacks are called.
    """

    def __init__(self, agent: AgentInfo, *, bug: Callable[[Exception], None] = _log_bug) -> None:
        self.agent = agent
        self.devices: dict[str, DeviceImage] = {}
        self.elsewhere: Mapping[str, Elsewhere] = {}  #: configured, but read by another shard
        self._bug = bug
        self._listeners: dict[object, Callable[[str], None]] = {}
        self._settlers: dict[object, Callable[[], None]] = {}

    def listen(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback(device)` on every change; the returned function ends that."""
        key = object()
        self._listeners[key] = callback
        return lambda: void(self._listeners.pop(key, None))

    def settles(self, hand_on: Callable[[], None]) -> Callable[[], None]:
        """`hand_on()` gives what a device's batches still hold back (`batch.max_delay`) to the outboxes, at once.

        The returned function ends that.
        """
        key = object()
        self._settlers[key] = hand_on
        return lambda: void(self._settlers.pop(key, None))

    def settle(self) -> None:
        """Before a cut: nothing older than the snapshot may follow it."""
        for hand_on in tuple(self._settlers.values()):
            try:
                hand_on()
            except Exception as error:  # noqa: BLE001 - costs its device, not the cut
                self._bug(error)

    def _changed(self, device: str) -> None:
        for callback in tuple(self._listeners.values()):
            try:
                callback(device)
            except Exception as error:  # noqa: BLE001 - costs the listener, not whoever made the change
                self._bug(error)

    def add(
        self,
        name: str,
        *,
        location: Sequence[str],
        tags: Iterable[TagInfo],
        cat: int,
        now: int,
        description: str | None = None,
    ) -> DeviceImage:
        """A device exists from now on (again, with another catalogue, after a reload)."""
        device = DeviceImage(
            name=name, location=tuple(location), tags=tuple(tags), cat=cat, description=description, since=now
        )
        self.devices[name] = device
        self._changed(name)
        return device

    def renew(
        self,
        name: str,
        *,
        location: Sequence[str],
        tags: Iterable[TagInfo],
        cat: int,
        description: str | None = None,
        keep: Callable[[str], bool],
    ) -> None:
        """The device is configured otherwise from now on. Its state stays until somebody knows better.

        The newest readings of the tags that `keep` names stay; the others wait for their first value.
        """
        device = self.devices[name]
        tags = tuple(tags)
        device.newest = {
            info.tag: device.newest[info.tag] for info in tags if info.tag in device.newest and keep(info.tag)
        }
        device.bad = sum(map(_counts, device.newest.values()))
        device.location, device.tags, device.cat, device.description = tuple(location), tags, cat, description
        self._changed(name)

    def remove(self, name: str) -> None:
        """The device is no longer configured."""
        if self.devices.pop(name, None) is not None:
            self._changed(name)

    def update(self, batch: Batch) -> None:
        """Take over the newest readings. Called for every batch, so it says nothing to the listeners."""
        device = self.devices[batch.device]
        newest = device.newest
        if batch.bad or device.bad:
            for reading in batch.readings:
                device.bad += _counts(reading) - _counts(newest.get(reading.tag))
                newest[reading.tag] = reading
        else:
            tags = map(_tag, batch.readings) if batch.columns is None else batch.columns.layout.tags
            newest.update(zip(tags, batch.readings, strict=True))
        if len(batch.readings) > batch.bad + batch.uncertain:
            device.last_good = batch.ts

    def set_back(self, by: int, now: int) -> None:
        """The wall clock was set back by so many milliseconds (below zero): times still to come move along."""

        def moved(ts: int) -> int:
            return ts + by if ts > now else ts

        for device in self.devices.values():
            device.since = moved(device.since)
            device.last_good = None if device.last_good is None else moved(device.last_good)
            device.heard = None if device.heard is None else moved(device.heard)
            device.awaited = moved(device.awaited)
            for tag, reading in device.newest.items():
                if reading.ts > now:
                    device.newest[tag] = structs.replace(reading, ts=moved(reading.ts))

    def set_state(
        self, name: str, state: DeviceState, *, now: int, reason: str | None = None, achieved_ms: int | None = None,
        causes: tuple[Cause, ...] = (),
    ) -> bool:  # fmt: skip
        """Move a device to `state`; True where anything changed. `since` moves only with the state."""
        device = self.devices[name]
        device.causes = causes
        if (device.state, device.reason, device.achieved_ms) == (state, reason, achieved_ms):
            return False
        if device.state != state:
            device.since = now
        device.state, device.reason, device.achieved_ms = state, reason, achieved_ms
        self._changed(name)
        return True

    def describe(self, name: str, types: Mapping[int, str]) -> bool:
        """Types learned from the device (position → name); True, and a new catalogue version, where that is new."""
        tags = self.devices[name].tags
        return self.revise(name, {at: structs.replace(tags[at], type=type_name) for at, type_name in types.items()})

    def revise(self, name: str, infos: Mapping[int, TagInfo]) -> bool:
        """What is now known of tags, by position; True, and a new catalogue version, where that is new."""
        device = self.devices[name]
        tags = list(device.tags)
        for position, info in infos.items():
            tags[position] = info
        if tuple(tags) == device.tags:
            return False
        device.tags = tuple(tags)
        device.cat += 1
        self._changed(name)
        return True

    def extend(self, name: str, tags: Iterable[TagInfo]) -> None:
        """Tags a device was found to have follow those it is configured with; a new catalogue version."""
        device = self.devices[name]
        device.tags = (*device.tags, *tags)
        device.cat += 1
        self._changed(name)

    def note(self, name: str, key: str, value: object) -> None:
        """Keep what a collector has to say; None takes it back. Shown in /api/v1/status."""
        notes = self.devices[name].notes
        if value is None:
            notes.pop(key, None)
        else:
            notes[key] = value

    def told(self, name: str, now: int) -> None:
        """Consumers are told the newest of all tags, as of now: no first value may be said for a time before."""
        device = self.devices[name]
        if any(info.tag not in device.newest for info in device.tags):
            device.awaited = now

    def snapshot(self, name: str, now: int, *, clock: Literal["unsynced"] | None = None) -> list[Batch]:
        """All tags of the device, newest value and quality, in batches; a tag not yet read waits for initial data."""
        device = self.devices[name]
        readings = [device.newest.get(info.tag) or _waiting(info, now) for info in device.tags]
        self.told(name, now)
        cuts = range(0, len(readings), MAX_BATCH_READINGS)
        batches = [
            Batch(device=name, ts=now, readings=readings[cut : cut + MAX_BATCH_READINGS], cat=device.cat)
            for cut in cuts
        ]
        for batch in batches:
            batch.snapshot = True
            batch.clock = clock
            batch.bad = sum(reading.quality == "bad" for reading in batch.readings)
            batch.uncertain = sum(reading.quality == "uncertain" for reading in batch.readings)
        return batches


def _counts(reading: Reading | None) -> bool:
    """Whether this reading makes its tag one of the bad ones."""
    return reading is not None and reading.quality == "bad" and reading.why != "disabled"


def _waiting(info: TagInfo, now: int) -> Reading:
    return Reading(
        tag=info.tag,
        value=None,
        ts=now,
        quality="bad",
        unit=info.unit,
        code=name_of(BAD_WAITING_FOR_INITIAL_DATA),
        status=BAD_WAITING_FOR_INITIAL_DATA,
        why="initial",
    )
