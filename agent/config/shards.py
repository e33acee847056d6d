"""Which of several agents with one configuration reads which device: rendezvous hashing over buses. Pure.

Each shard draws a number for a bus, and the greatest draw reads it. A draw depends on nothing but the two, so from 3
shards to 4 only those buses move for which the new one draws the greatest number, a quarter of them, and all to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from agent.config.model import Config
from agent.core.image import Elsewhere


def owner(bus: str, count: int) -> int:
    """The shard, 0 to `count` - 1, that reads this bus. The same in every process, version and machine."""
    return max(range(count), key=lambda shard: _draw(shard, bus))


def _draw(shard: int, bus: str) -> bytes:
    return blake2b(f"{shard}\0{bus}".encode(), digest_size=8).digest()


def owners(config: Config) -> dict[str, int]:
    """The shard of each device; devices of one bus are in one shard."""
    count = config.agent.shard.count
    buses = {name: device.bus_name() for name, device in config.devices.items()}
    found = {bus: owner(bus, count) for bus in set(buses.values())}
    return {name: found[bus] for name, bus in buses.items()}


def agent_id(config: Config, shard: int) -> str:
    """The id of one of the agents that share a configuration."""
    return f"{config.agent.id}-{shard}" if config.agent.shard.count > 1 else config.agent.id


def own(config: Config) -> Config:
    """What one of the agents that share a configuration does of it: its devices, under its id."""
    index, count = config.agent.shard.index, config.agent.shard.count
    if count == 1:
        return config
    mine = {name: config.devices[name] for name, shard in owners(config).items() if shard == index}
    return config.model_copy(
        update={"agent": config.agent.model_copy(update={"id": agent_id(config, index)}), "devices": mine}
    )


def elsewhere(config: Config) -> Mapping[str, Elsewhere]:
    """The devices that other shards read, by name; `config` is the shared one."""
    return {
        name: Elsewhere(agent_id(config, shard), tuple(config.location_of(name)))
        for name, shard in (owners(config) if config.agent.shard.count > 1 else {}).items()
        if shard != config.agent.shard.index
    }
