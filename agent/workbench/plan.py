"""What a configuration asks of devices, buses and disk, before anything runs: `edge-agent plan`. Pure.

A request costs the round trip, and on a serial bus the time its bytes take. Requests of devices on one connection
follow each other. What a consumer, a slow device or a busy network adds, nobody can tell from a file.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from agent.config.model import Config
from agent.config.shards import owners
from agent.core.flow import Batch, Reading
from agent.core.text import counted
from agent.outbox.file.pack import pack_batch
from agent.settings.devices import Cycle, DeviceConfig

DAY = 86_400
#: What a row of the outbox takes in its file beside the record. Measured: 45 with one reading, 51 with ten.
ROW_BYTES = 50
#: The file may take so many times its records (docs/outbox.md).
FILE_FACTOR = 2
#: Values of `max_gap` that are tried, and from which share of fewer requests on one is worth a word.
GAPS, WORTH = (2, 4, 8, 16, 32, 64, 120), 0.2
#: A cycle may take so much of its interval before it counts as late.
ENOUGH = 0.9


class CyclePlan(Struct):
    """One interval of a device."""

    interval: float | None
    tags: int
    requests: int
    wanted: int
    asked: int
    seconds: float  #: of the bus, for one cycle

    @property
    def wasted(self) -> int:
        """Registers, bits or nodes that are asked for and no tag has."""
        return self.asked - self.wanted

    @property
    def share(self) -> float:
        """Of all time."""
        return self.seconds / self.interval if self.interval else 0.0


class DevicePlan(Struct):
    """One device."""

    device: str
    type: str
    bus: str
    cycles: list[CyclePlan]
    blocks: list[str]
    readings_per_day: int
    bytes_per_day: int  #: of the outbox's records
    shard: int | None = None  #: that reads it, where several agents share the configuration
    gain: str | None = None  #: what another `max_gap` would save
    late: str | None = None  #: why its interval cannot be met
    finds_tags: bool = False  #: by `browse:`; what it finds is known at the connection only, and is not counted


class BusPlan(Struct):
    """One connection or bus."""

    bus: str
    devices: list[str]
    share: float
    late: bool
    shard: int | None = None


class OutboxPlan(Struct):
    """One publisher's outbox; each shard has its own."""

    publisher: str
    bytes_per_day: int
    max_bytes: int
    holds_minutes: float | None  #: of outage, at most `max_age`; None: nothing is read
    disk_bytes: int  #: its file may take, what `keep_acked` keeps among it
    expires: bool = False  #: `max_age` ends it, not `max_bytes`
    shard: int | None = None


class Plan(Struct):
    """All of it."""

    round_trip_ms: float
    devices: list[DevicePlan]
    buses: list[BusPlan]
    outboxes: list[OutboxPlan]
    minimum_disk_bytes: int  #: of each agent's `data_dir`

    @property
    def met(self) -> bool:
        """Every interval can be met."""
        return not any(one.late for one in self.devices) and not any(one.late for one in self.buses)


def plan(config: Config, round_trip: float) -> Plan:
    """The plan of a configuration, of all its shards; `round_trip`: seconds from a request to its answer."""
    count = config.agent.shard.count
    shards: list[int | None] = [None] if count == 1 else [*range(count)]
    of = owners(config) if count > 1 else {}
    enabled = {name: device for name, device in config.devices.items() if device.enabled}
    devices = [_device(name, device, round_trip, of.get(name)) for name, device in enabled.items()]
    outboxes = [one for shard in shards for one in _outboxes(config, devices, shard)]
    floor = max(((one.outbox or config.outbox).min_free_disk for one in config.publishers.values()), default=0)
    history = config.history.max_bytes if config.history is not None else 0
    disk = sum(one.disk_bytes for one in outboxes) // len(shards) + history + floor  # each has its own, all are alike
    return Plan(round_trip * 1000, devices, list(_buses(devices)), outboxes, disk)


def _device(name: str, device: DeviceConfig, round_trip: float, shard: int | None) -> DevicePlan:
    cycles = [_cycle(one, round_trip) for one in device.cycles()]
    shared = device.connection()
    readings, size = _volume(name, device)
    return DevicePlan(
        device=name,
        type=device.type,
        bus=shared[0] if shared is not None else device.where(),
        cycles=cycles,
        blocks=[request.what for one in device.cycles() for request in one.requests],
        readings_per_day=readings,
        bytes_per_day=size,
        shard=shard,
        gain=_gain(device),
        late=_late(cycles),
        finds_tags=device.finds_tags,
    )


def _cycle(cycle: Cycle, round_trip: float) -> CyclePlan:
    return CyclePlan(
        cycle.interval,
        cycle.tags,
        len(cycle.requests),
        sum(one.wanted for one in cycle.requests),
        sum(one.asked for one in cycle.requests),
        sum(max(one.seconds, round_trip) for one in cycle.requests),
    )


def _late(cycles: Sequence[CyclePlan]) -> str | None:
    share = sum(one.share for one in cycles)
    worst = max((one for one in cycles if one.interval), key=lambda one: one.share, default=None)
    if worst is None or worst.interval is None or share <= ENOUGH:
        return None
    taken = "1 request takes" if worst.requests == 1 else f"{worst.requests:,} requests take"
    every = f"{taken} {worst.seconds:.3g} s every {worst.interval:g} s"
    return f"{every}: choose a longer interval, fewer tags, or a larger max_gap"


def _gain(device: DeviceConfig) -> str | None:
    now = _asked(device.cycles())
    best = None
    for gap in GAPS:
        other = _asked(device.cycles(gap))
        if now[0] and other[0] <= now[0] * (1 - WORTH) and (best is None or other[0] < best[1][0]):
            best = gap, other
    if best is None:
        return None
    gap, (requests, asked) = best
    more = f"{counted(asked - now[1], 'place')} more"
    return f"max_gap: {gap} would need {counted(requests, 'request')} instead of {now[0]:,}, and read {more}"


def _asked(cycles: Sequence[Cycle]) -> tuple[int, int]:
    requests = [request for one in cycles for request in one.requests]
    return len(requests), sum(request.asked for request in requests)


def _volume(name: str, device: DeviceConfig) -> tuple[int, int]:
    """Readings and bytes of records a day, where every reading is kept (`report: on_change` keeps fewer)."""
    dice = random.Random(1)  # values as different from each other as those of a machine
    readings = size = 0.0
    table = [(tag, one) for tag, one in device.tag_table.items() if one.enabled and not one.awaited]
    for cycle in device.cycles() or [Cycle(device.interval, len(table), ())]:
        if cycle.interval is None:
            continue
        mine = [
            Reading(tag, dice.random() * 100, 1, "good", unit=one.unit)
            for tag, one in table
            if one.interval != "once" and (one.interval or device.interval) == cycle.interval
        ]
        if mine:
            a_day = DAY / cycle.interval
            readings += len(mine) * a_day
            size += (len(pack_batch(Batch(name, 1, mine))) + ROW_BYTES) * a_day
    return round(readings), round(size)


def _buses(devices: Sequence[DevicePlan]) -> Iterator[BusPlan]:
    found: dict[str, list[DevicePlan]] = {}
    for one in devices:
        found.setdefault(one.bus, []).append(one)
    for bus, members in found.items():
        share = sum(cycle.share for one in members for cycle in one.cycles)
        yield BusPlan(bus, [one.device for one in members], share, share > ENOUGH, members[0].shard)


def _outboxes(config: Config, devices: Sequence[DevicePlan], shard: int | None) -> Iterator[OutboxPlan]:
    for name, publisher in config.publishers.items():
        settings = publisher.outbox or config.outbox
        carried = [
            one
            for one in devices
            if one.shard == shard and any(fnmatchcase(one.device, glob) for glob in publisher.devices)
        ]
        size = sum(one.bytes_per_day for one in carried)
        full = settings.max_bytes / (size / DAY) if size else None
        expires = full is not None and settings.max_age < full
        minutes = None if full is None else min(full, settings.max_age) / 60
        kept = settings.keep_acked.max_bytes if settings.keep_acked is not None else 0
        disk = (settings.max_bytes + kept) * FILE_FACTOR
        yield OutboxPlan(name, size, settings.max_bytes, minutes, disk, expires, shard)
