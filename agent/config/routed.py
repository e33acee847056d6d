"""Publishers together with the devices whose readings they carry: what only both can show. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from fnmatch import fnmatchcase

from agent.config.located import Map, find
from agent.config.model import Config
from agent.config.shards import agent_id
from agent.core.errors import Mistake
from agent.core.image import SELF
from agent.settings.publishers import Carried, ConfigFinding


def mistakes(config: Config, raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """What makes a route impossible, with file and line; `raw` holds the publishers as they are written."""
    for publisher, finding in _findings(config):
        if finding.wrong:
            place = find(raw[publisher], finding.key).place
            reason, _, hint = finding.text.partition("; ")
            key = ".".join(("publishers", publisher, *finding.key))
            yield Mistake(*place, f"`{key}`: {reason}", hint)
    yield from _shared_identities(config, raw)
    yield from _colliding(config, raw)


def warnings(config: Config) -> Iterator[str]:
    """What is possible, and probably not meant."""
    for publisher, finding in _findings(config):
        if not finding.wrong:
            yield f"publishers.{publisher}.{'.'.join(finding.key)}: {finding.text}"


def same_in_each_shard(
    config: Config, raw: Mapping[str, Map], written: Collection[tuple[Hashable, ...]]
) -> Iterator[Mistake]:
    """What shards that read one file must not have in common; `written`: paths of what the environment says."""
    if config.agent.shard.count == 1 or ("agent", "shard", "index") not in written:
        return  # a literal index: each shard has a file of its own
    ids = agent_id(config, 0), agent_id(config, 1)
    for name, publisher in config.publishers.items():
        here, there = (publisher.route(name, one) for one in ids)
        varied = {path[2] for path in written if path[:2] == ("publishers", name) and len(path) > 2}
        common = {mark.what for mark in publisher.marks(there, {})}
        for mark in publisher.marks(here, {}):
            if mark.what in common and mark.key not in varied:
                reason = f"`publishers.{name}`: every shard {mark.words}"
                hint = f'leave `{mark.key}:` out, or write "${{POD_INDEX}}" into it'
                yield Mistake(*raw[name].place(mark.key), reason, hint)
        encoder = publisher.encoder
        if encoder is None or "encoder" in varied:
            continue
        identity = encoder.identity(here)
        if identity is not None and identity == encoder.identity(there):
            reason = f"`publishers.{name}.encoder`: every shard speaks as {identity}"
            hint = 'leave its name out, so that each shard takes its own id, or write "${POD_INDEX}" into it'
            yield Mistake(*find(raw[name], ("encoder",)).place, reason, hint)


def _findings(config: Config) -> Iterator[tuple[str, ConfigFinding]]:
    """Publisher, and what it says of itself; keys are those of the publisher."""
    for name, publisher in config.publishers.items():
        for finding in publisher.examine(publisher.route(name, config.agent.id), _carried(config, publisher.devices)):
            yield name, finding


def _carried(config: Config, globs: list[str]) -> dict[str, Carried]:
    carried = {name: Carried(config.location_of(name), list(one.tag_table)) for name, one in config.devices.items()}
    if config.agent.self:
        carried[SELF] = Carried(config.agent.location, ())
    return {name: one for name, one in carried.items() if any(fnmatchcase(name, glob) for glob in globs)}


def _shared_identities(config: Config, raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """Two routes under one name would declare each other dead."""
    seen: dict[str, str] = {}
    for name, publisher in config.publishers.items():
        route = publisher.route(name, config.agent.id)
        identity = None if publisher.encoder is None else publisher.encoder.identity(route)
        if identity is not None and identity in seen:
            place = find(raw[name], ("encoder",)).place
            reason = f"`publishers.{name}.encoder`: {identity} is that of publishers.{seen[identity]}, too"
            yield Mistake(*place, reason, "give one of them a name of its own, or another group")
        if identity is not None:
            seen.setdefault(identity, name)


def _colliding(config: Config, raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """Two publishers in each other's way at one broker: one client id, one status, readings on one topic."""
    seen: dict[tuple[str, str], str] = {}
    for name, publisher in config.publishers.items():
        told: set[tuple[str, bool]] = set()  # of each publisher its client id, and the first of its topics
        brokers = publisher.brokers()
        for mark in publisher.marks(publisher.route(name, config.agent.id), _carried(config, publisher.devices)):
            for broker in brokers:
                other = seen.setdefault((broker, mark.what), name)
                if other != name and (kind := (other, mark.key == "client_id")) not in told:
                    told.add(kind)
                    reason = f"`publishers.{name}`: {mark.words}, as `publishers.{other}` does at the same broker"
                    yield Mistake(*raw[name].place(mark.key), reason, f"give one of them another `{mark.key}:`")
