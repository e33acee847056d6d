"""The whole of a running agent at a glance: early warnings, the hourly line of the log, and the status for people.

Looks at the routes every five seconds, so that rates are known when somebody asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from agent.core.clock import Clock, to_beat
from agent.core.image import Image
from agent.core.ports import OutboxStats
from agent.core.text import without_credentials
from agent.outbox.file.causes import no_inodes
from agent.outbox.orphans import Orphan, orphans, tell
from agent.runtime.control import Nothing
from agent.runtime.north.route import Route
from agent.runtime.south.device import Device
from agent.runtime.status.room import Disk, Rate, Room, outage
from agent.runtime.status.status import AgentFigures, DeviceFigures, RouteFigures, describe, without_devices
from agent.runtime.status.summary import Summary, enabled_devices
from agent.runtime.status.wrong import Finding, FirstSeen, wrong
from agent.settings.devices import DeviceConfig
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Flapping

#: Between two looks, and between two lines of `agent.summary`, seconds.
LOOK, HOUR = 5.0, 3600.0
#: Outboxes without a publisher are looked for whenever publishers came or went, and this often, seconds.
ORPHANS = 300.0

log = get_logger("agent")


class _Watched:
    """What is remembered of one route."""

    def __init__(self, name: str, stats: OutboxStats, now: float) -> None:
        self.room = Room()
        self.records = Rate()
        self.lost, self.lost_at = 0, None if not stats.lost.records else now
        # What earlier runs put aside waits for somebody, and this run does not know since when.
        self.quarantined, self.quarantined_at = 0, now if stats.quarantined else None
        self._gauges = metrics.OUTBOX_FILL.labels(name), metrics.OUTBOX_TIME_LEFT.labels(name)
        self._name = name

    def look(self, stats: OutboxStats, now: float) -> None:
        """Measure, count, warn."""
        if stats.lost.records > self.lost:
            self.lost_at = now
        if stats.quarantined > self.quarantined:
            self.quarantined_at = now
        self.lost, self.quarantined = stats.lost.records, stats.quarantined
        self.records.look(now, stats.records)
        news = self.room.look(now, held=stats.bytes, limit=stats.limit, appended=stats.appended_bytes)
        fill, lasts = self._gauges
        fill.set(self.room.filled)
        lasts.set(float("inf") if self.room.lasts is None else self.room.lasts)
        if news:
            left = self.room.full_in if self.room.full_in is not None else self.room.lasts
            log.warning(
                "outbox.filling", publisher=self._name, percent=round(self.room.filled * 100), bytes=stats.bytes,
                limit_bytes=stats.limit, full_in_s=left,
            )  # fmt: skip
        elif news == 0:
            log.info("outbox.eased", publisher=self._name, percent=round(self.room.filled * 100))

    def end(self) -> None:
        """The route is gone."""
        metrics.OUTBOX_FILL.remove(self._name)
        metrics.OUTBOX_TIME_LEFT.remove(self._name)


class Overview:
    """`routes` and `devices`: those that run, as of each call."""

    def __init__(
        self,
        image: Image,
        data_dir: Path,
        *,
        clock: Clock,
        routes: Callable[[], Iterable[Route]],
        devices: Callable[[], Iterable[Device]],
        publishers: Callable[[], Iterable[str]],
        configured: Callable[[str], DeviceConfig | None] = lambda _device: None,
        history: Callable[[], bool] = lambda: False,
    ) -> None:
        self._image = image
        self._data_dir = data_dir
        self._clock = clock
        self._routes = routes
        self._devices = devices
        self._publishers = publishers  # those configured: a route is away while it is replaced, or ends
        self._configured = configured
        self._history = history
        self.unserved: str | None = None  #: why the HTTP port could not be opened, or was closed
        self._told: dict[str, tuple[DeviceConfig, DeviceFigures]] = {}  # what is of its configuration
        self._started = clock.monotonic()
        self._watched: dict[str, _Watched] = {}
        self._disk = Disk()
        self._summary = Summary()
        self._first_seen = FirstSeen()
        self._full = False  #: no inode is left
        self._no_inodes = Flapping()
        self._orphans: list[Orphan] = []
        self._orphans_of: frozenset[str] | None = None  #: the publishers there were when they were looked for
        self._orphans_at = 0.0

    async def run(self) -> None:
        """Look every few seconds, and tell every hour, until cancelled."""
        told = self._clock.monotonic()
        while True:
            self.look()
            await self._look_around()
            about, routes = self._about()
            self._date(wrong(without_devices(self._image, about, routes, self._orphans), about.unserved))
            if self.unanswered or any(one.causes and one.state == "online" for one in self._image.devices.values()):
                self._first_seen.last = self._clock.monotonic()  # all other trouble of a device is a state
            await self._clock.sleep(to_beat(self._clock.monotonic(), LOOK))
            if self._clock.monotonic() - told >= HOUR:
                told = self._clock.monotonic()
                self._tell()

    def _tell(self) -> None:
        backlog = sum(route.outbox.stats.records for route in self._routes())
        log.info("agent.summary", **self._summary.take(self._image, backlog))

    def look(self) -> None:
        """Measure fill, room and disk, and warn where they get short."""
        now = self._clock.monotonic()
        found = {route.name: route.outbox.stats for route in self._routes()}
        for name in self._watched.keys() - found.keys():
            self._watched.pop(name).end()
        for name, stats in found.items():
            watched = self._watched.get(name)
            if watched is None:
                watched = self._watched[name] = _Watched(name, stats, now)
            watched.look(stats, now)
        self._look_at_disk(found.values(), now)

    async def _look_around(self) -> None:
        """At the folder, in a thread: a disk may be slow."""
        used, now = frozenset(self._publishers()), self._clock.monotonic()
        self._full = await asyncio.to_thread(no_inodes, self._data_dir)
        if not self._full:
            if self._no_inodes.ended():
                log.info("disk.ok", no_inodes=False)
        elif (repeats := self._no_inodes.lasts(now)) is not None:
            log.warning("disk.low", no_inodes=True, repeats=repeats)
        if used != self._orphans_of or now - self._orphans_at >= ORPHANS:
            self._orphans_of, self._orphans_at = used, now
            known = {one.publisher for one in self._orphans}
            self._orphans = await asyncio.to_thread(orphans, self._data_dir, used)
            tell([one for one in self._orphans if one.publisher not in known])

    def _look_at_disk(self, outboxes: Iterable[OutboxStats], now: float) -> None:
        seen = [(one.free_disk, one.min_free_disk) for one in outboxes if one.free_disk is not None]
        if not seen:
            return
        disk = self._disk
        news = disk.look(now, free=min(free for free, _ in seen), floor=max(floor for _, floor in seen))
        metrics.DISK_FREE.set(disk.free or 0)
        metrics.DISK_FLOOR.set(disk.floor)
        metrics.DISK_TIME_LEFT.set(float("inf") if disk.floor_in is None else disk.floor_in)
        figures = {"free_bytes": disk.free, "floor_bytes": disk.floor}
        if news:
            log.warning("disk.low", **figures, below=disk.low, floor_in_s=disk.floor_in)
        elif news == 0:
            log.info("disk.ok", **figures)

    def of_agent(self) -> dict[str, float | int]:
        """What the device `_agent` tells of outboxes and devices."""
        now, stats = self._clock.now_ms(), [route.outbox.stats for route in self._routes()]
        oldest = min((one.oldest_ts for one in stats if one.oldest_ts), default=now)
        devices = enabled_devices(self._image)
        return {
            "outbox_records": sum(one.records for one in stats),
            "outbox_bytes": sum(one.bytes for one in stats),
            "publish_age_s": max(0, now - oldest) / 1000,
            "devices_online": sum(one.state == "online" for one in devices),
            "devices": len(devices),
        }

    @property
    def unanswered(self) -> int:
        """Devices that are asked in vain."""
        return sum(device.unanswered is not None for device in self._devices())

    # --- the status ---------------------------------------------------------------------------------------------------

    async def answer(self, _: Nothing) -> dict[str, Any]:
        """The status, for the agent's socket."""
        self.look()
        await self._look_around()
        return self.status()

    def status(self) -> dict[str, Any]:
        """The whole status, as of now (status.py)."""
        self.look()
        about, routes = self._about()
        devices = {device.name: self._known(device) for device in self._devices()}
        for gone in self._told.keys() - devices.keys():
            del self._told[gone]
        document = describe(self._image, about, routes, devices, self._orphans)
        self._date(document["wrong"])
        return document

    def _date(self, found: Iterable[Finding]) -> None:
        self._first_seen.look(found, self._clock.monotonic(), self._instant)

    def _about(self) -> tuple[AgentFigures, list[RouteFigures]]:
        """The process and the routes, as of the last look."""
        now, disk = self._clock.now_ms(), self._disk
        about = AgentFigures(
            now=now,
            started=self._instant(self._started) or now,
            synced=self._clock.synced,
            free_disk=disk.free,
            disk_floor=disk.floor,
            floor_seconds=disk.floor_in,
            no_inodes=self._full,
            history=self._history(),
            unserved=self.unserved,
            last_wrong=self._instant(self._first_seen.last),
        )
        return about, [self._figures(route) for route in self._routes()]

    def _known(self, device: Device) -> DeviceFigures:
        config, known = self._configured(device.name), self._told.get(device.name)
        if config is None:
            return DeviceFigures(self._instant(device.next_attempt), unanswered=self._instant(device.unanswered))
        if known is None or known[0] is not config:
            shared, polled = config.connection(), min(config.scan_intervals, default=None)
            bus = None if shared is None else without_credentials(shared[0])
            polled_ms = None if polled is None else round(polled * 1000)
            known = self._told[device.name] = config, DeviceFigures(None, config.type, bus, polled_ms)
        next_attempt, unanswered = self._instant(device.next_attempt), self._instant(device.unanswered)
        return known[1]._replace(next_attempt=next_attempt, unanswered=unanswered)

    def _figures(self, route: Route) -> RouteFigures:
        watched, stats, now = self._watched[route.name], route.outbox.stats, self._clock.now_ms()
        return RouteFigures(
            name=route.name,
            state=route.state,
            reason=route.reason,
            since=self._instant(route.standing.since) or 0,
            next_attempt=self._instant(route.next_attempt),
            protocol=route.standing.protocol,
            conflict=route.conflict,
            stats=stats,
            streams=route.outbox.streams(),
            room_seconds=outage(watched.room.lasts, stats.max_age, (now - (stats.oldest_ts or now)) / 1000),
            lost_at=self._instant(watched.lost_at),
            quarantined_at=self._instant(watched.quarantined_at),
            growth=watched.records.per_second,
            refused=route.standing.refusals.lately,
        )

    def _instant(self, monotonic: float | None) -> int | None:
        """An instant of the monotonic clock by the wall clock as it is set now, so that a step makes nothing older."""
        if monotonic is None:
            return None
        return self._clock.now_ms() + round((monotonic - self._clock.monotonic()) * 1000)
