"""The devices that are read: begun, ended, replaced and given other tags one by one."""

from __future__ import annotations

import asyncio
from asyncio import Task, TaskGroup
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.config.diff import DeviceChange
from agent.config.secret_files import secret_files
from agent.core.clock import Clock
from agent.core.image import DeviceImage, Image
from agent.core.ports import Bus, Collector, Heir, Normalizer
from agent.runtime.buses import Buses
from agent.runtime.catalogue import Version, learned
from agent.runtime.drafts import DeviceDraft, unchanged
from agent.runtime.ending import end, let_go
from agent.runtime.outlet import Outlet
from agent.runtime.south.device import Device
from agent.runtime.south.work import Work
from agent.runtime.steps import Steps
from agent.telemetry import metrics
from agent.telemetry.bugs import Bugs

#: Devices are left within this, seconds.
LEAVE_WITHIN = 2.0
#: The cycle under way when tags change may take so long, seconds; then the device is replaced after all.
CYCLE_WITHIN = 10.0


@dataclass
class _Read:
    device: Device
    draft: DeviceDraft
    task: Task[None]


class Southbound:
    """All devices of one agent. Belongs to the event loop."""

    def __init__(self, group: TaskGroup, image: Image, outlet: Outlet, steps: Steps, clock: Clock) -> None:
        self.buses = Buses(group, clock)
        self._group = group
        self._image = image
        self._outlet = outlet
        self._steps = steps
        self._clock = clock
        self._read: dict[str, _Read] = {}
        self._left: dict[str, _Read] = {}  #: each has a successor, which has not begun yet
        self._times: dict[str, Mapping[str, int]] = {}  #: of devices that are no longer configured

    @property
    def devices(self) -> Mapping[str, Device]:
        """Those that are read, by name."""
        return {name: one.device for name, one in self._read.items()}

    def running(self) -> list[Device]:
        """The same, as of now."""
        return [one.device for one in self._read.values()]

    def leaving(self, names: Iterable[str]) -> list[Mapping[str, Bus]]:
        """The buses that these devices take."""
        return [self._read[name].draft.context.buses for name in names if name in self._read]

    def begin(self, draft: DeviceDraft) -> None:
        """Read a device from now on. Where it was read before in this run, no tag's time goes back."""
        name = draft.name
        cat, tags = draft.version
        if name not in self._image.devices:
            self._image.add(
                name,
                location=draft.location,
                tags=tags,
                cat=cat,
                now=self._clock.now_ms(),
                description=draft.config.description,
            )
        if (times := self._times.pop(name, None)) is not None:
            draft.work.normalizer.begin_after(times)
        self._start(draft)

    async def remove(self, names: Sequence[str]) -> None:
        """Read these no more: their state is removed, their streams stay for the case that they come again."""
        for one in await self._end(names):
            name = one.draft.name
            self._times[name] = one.device.normalizer.times()
            self._outlet.forget(name)
            self._image.remove(name)
            metrics.forget("device", name)
            metrics.forget("component", f"device {name}")
            let_go(one.device, one.task)

    async def leave(self, names: Sequence[str]) -> None:
        """Close the connections of these, which are read otherwise from now on: :meth:`succeed` says how."""
        self._left |= {one.draft.name: one for one in await self._end(names)}

    def succeed(self, changes: Mapping[str, tuple[DeviceChange, DeviceDraft]]) -> None:
        """Read those that were left over new connections, and go on where they were left."""
        for name, (change, draft) in changes.items():
            one = self._left.pop(name, None)  # None: a bug ended an earlier reload in its middle
            if one is not None:
                _inherit(name, draft.work.collector, one.device.collector)
                self._succeed(draft, change, one.device.normalizer, tags_only=change.tags_only)
            self._start(draft)
            if one is not None:
                let_go(one.device, one.task)

    async def retag(self, changes: Mapping[str, tuple[DeviceChange, DeviceDraft]]) -> None:
        """Read other tags over the connections there are, of all devices at once: each waits for its own cycle only.

        A device for which that cannot be is replaced.
        """
        async with TaskGroup() as group:
            for name, (change, draft) in changes.items():
                group.create_task(self._retag(change, draft), name=f"device {name}: other tags")

    async def _retag(self, change: DeviceChange, draft: DeviceDraft) -> None:
        one = self._read[draft.name]

        def before(old: Work) -> None:
            self._succeed(draft, change, old.normalizer, tags_only=True)

        try:
            async with asyncio.timeout(CYCLE_WITHIN):
                if draft.work.reads_any(len(draft.config.tag_table)):  # else nobody needs a connection
                    await one.device.retag(draft.work._replace(before=before))
        except TimeoutError:
            pass  # it may have taken them over at that very moment
        except Exception as error:  # noqa: BLE001 - costs this device its connection, not the others their change
            Bugs(f"device {draft.name}").met(error)
        if one.device.normalizer is not draft.work.normalizer:
            buses = draft.context.buses  # what it shares with nobody else outlives the moment between the two
            self.buses.use(buses)
            await self.leave([draft.name])
            self.succeed({draft.name: (change, draft)})
            await self.buses.release(buses)
            return
        one.draft = DeviceDraft(draft.name, draft.config, draft.location, one.draft.context, draft.work, draft.version)

    def set_back(self, by: int) -> None:
        """The wall clock was set back: times of removed devices that are still to come move along."""
        now = self._clock.now_ms()
        self._times = {
            name: {tag: ts + by if ts > now else ts for tag, ts in times.items()} for name, times in self._times.items()
        }

    def wake(self, files: Collection[Path] | None) -> None:
        """Let those who use one of these files (None: all) try again now, where they wait."""
        for one in self._read.values():
            if files is None or any(file in files for _, file in secret_files(one.draft.config)):
                one.device.wake()

    async def end(self) -> None:
        """Leave all devices."""
        await self._end(list(self._read))

    def _succeed(self, draft: DeviceDraft, change: DeviceChange, normalizer: Normalizer, *, tags_only: bool) -> None:
        same = unchanged(change)
        draft.work.normalizer.resume(normalizer, same if tags_only else unchanged(None))
        cat, tags = _newest(draft.version, self._image.devices[draft.name])
        description = draft.config.description
        self._image.renew(draft.name, location=draft.location, tags=tags, cat=cat, description=description, keep=same)

    def _start(self, draft: DeviceDraft) -> None:
        self.buses.use(draft.context.buses)
        draft.context.begin()
        device = Device(
            draft.name,
            draft.work,
            self._image,
            self._outlet.at(draft.name),
            scanned=partial(self._outlet.at(draft.name).scanned, draft.name),
            clock=self._clock,
            steps=self._steps,
            max_delay=draft.config.batch.max_delay,
            files=list(secret_files(draft.config)),
        )
        task = self._group.create_task(_guarded(device), name=f"device {draft.name}")
        self._read[draft.name] = _Read(device, draft, task)

    async def _end(self, names: Sequence[str]) -> list[_Read]:
        ended = [self._read.pop(name) for name in names if name in self._read]
        await end([one.task for one in ended], LEAVE_WITHIN)
        for one in ended:
            one.device.end()
            one.draft.context.end()
            await self.buses.release(one.draft.context.buses)
            one.draft.context.buses.clear()  # a bus may know the context that it was made with
        return ended


def _newest(version: Version, now: DeviceImage) -> Version:
    """The version that was drafted, after what the device has told since: no number may come to mean two things."""
    known = {info.tag: info for info in now.tags}
    tags = tuple(learned(known.get(info.tag), info) for info in version[1])
    if tags == now.tags:
        return now.cat, tags
    return max(version[0], now.cat + 1), tags


def _inherit(name: str, collector: Collector, before: Collector) -> None:
    if isinstance(collector, Heir):
        try:
            collector.inherit(before)
        except Exception as error:  # noqa: BLE001 - it begins as at a start, and the others as they should
            Bugs(f"device {name}").met(error)


async def _guarded(device: Device) -> None:
    """What is outside of any attempt may have bugs, too; they cost this device."""
    try:
        await device.run()
    except Exception as error:  # noqa: BLE001 - costs the device, not the others
        Bugs(f"device {device.name}").met(error)
