"""Encoders together with the devices whose readings they carry: what only both can show. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from agent.config.located import Map, find
from agent.config.model import Config
from agent.core.errors import Mistake
from agent.core.ports import RouteInfo
from agent.encoders.common.examine import examine_prefix
from agent.settings.publishers import Carried, Finding, PublisherConfig


def mistakes(config: Config, raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """What makes a route impossible, with file and line; `raw` holds the publishers as they are written."""
    for publisher, finding in _findings(config):
        if finding.wrong:
            place = find(raw[publisher], finding.key).place
            reason, _, hint = finding.text.partition("; ")
            key = ".".join(("publishers", publisher, *finding.key))
            yield Mistake(*place, f"`{key}`: {reason}", hint)
    yield from _shared_identities(config, raw)


def warnings(config: Config) -> Iterator[str]:
    """What is possible, and probably not meant."""
    for publisher, finding in _findings(config):
        if not finding.wrong:
            yield f"publishers.{publisher}.{'.'.join(finding.key)}: {finding.text}"
    yield from _shared_roots(config)


def _findings(config: Config) -> Iterator[tuple[str, Finding]]:
    """Publisher, and what is to be said of it; keys are those of the publisher."""
    for name, publisher in config.publishers.items():
        if publisher.encoder is None:
            continue
        route = RouteInfo(
            name=name, agent=config.agent.id, root=publisher.root, topic=publisher.topic, qos=publisher.qos
        )
        devices = {
            device: Carried(config.location_of(device), list(one.tag_table))
            for device, one in config.devices.items()
            if any(fnmatchcase(device, glob) for glob in publisher.devices)
        }
        for finding in publisher.encoder.examine(route, devices, getattr(publisher, "version", None)):
            yield name, finding._replace(key=("encoder", *finding.key))
        if says_status(publisher):
            for finding in examine_prefix(route, devices):
                yield name, finding


def _shared_identities(config: Config, raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """Two routes under one name would declare each other dead."""
    seen: dict[str, str] = {}
    for name, publisher in config.publishers.items():
        route = RouteInfo(name=name, agent=config.agent.id)
        identity = None if publisher.encoder is None else publisher.encoder.identity(route)
        if identity is not None and identity in seen:
            place = find(raw[name], ("encoder",)).place
            reason = f"`publishers.{name}.encoder`: {identity} is that of publishers.{seen[identity]}, too"
            yield Mistake(*place, reason, "give one of them a name of its own, or another group")
        if identity is not None:
            seen.setdefault(identity, name)


def says_status(publisher: PublisherConfig) -> bool:
    """Whether `topic:` and `root:` name anything. Sparkplug has topics of its own."""
    return publisher.encoder is not None and publisher.encoder.type != "sparkplug_b"


def _shared_roots(config: Config) -> Iterator[str]:
    """Two routes that say their status on one topic of one broker look like two agents of one name."""
    seen: dict[tuple[str, str], str] = {}
    for name, publisher in config.publishers.items():
        if not says_status(publisher):
            continue
        keys = [(broker, publisher.root) for broker in publisher.brokers()]
        if other := next((seen[key] for key in keys if key in seen), None):
            yield f"publishers.{name}: says its status where publishers.{other} does; give one of them another `root:`"
        for key in keys:
            seen.setdefault(key, name)
