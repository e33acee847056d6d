"""What configurations of encoders share that say status, catalogue and losses under `topic:` of their publisher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agent.core.ports import RouteInfo
from agent.encoders.common.examine import examine_prefix
from agent.encoders.common.naming import Namer
from agent.encoders.common.topics import agent_status, prefix_namer
from agent.settings.publishers import Carried, ConfigFinding, EncoderConfig, Mark
from agent.settings.topics import under_rules


class AroundConfig(EncoderConfig):
    """An encoder with the topics of `json` around its readings."""

    def namers(self, route: RouteInfo) -> Sequence[Namer]:
        """Topics of its readings."""
        return [prefix_namer(route, "/readings")]

    def around(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
        yield from examine_prefix(route, devices)
        if (under_rules(route.root) or under_rules(route.topic)) and (route.status or route.catalogue):
            why = "nothing is retained below $aws/rules, and nobody hears the status"
            text = f"{why}; set `status: false` and `catalogue: false`"
            yield ConfigFinding(text, ("topic",), wrong=False)
        if route.qos == 0:
            yield ConfigFinding("with qos 0 nothing is ever known to have arrived", ("qos",), wrong=False)

    def marks(self, route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[Mark]:
        if route.status:
            status = agent_status(route)
            yield Mark(status, f"publishes its status on {status}", "root")
        prefix, namers = prefix_namer(route), self.namers(route)
        for device, carried in devices.items():
            topic = prefix.device(device, carried.location)
            if route.status:
                yield Mark(f"{topic}/status", f"publishes the status of {device} on {topic}/status", "topic")
            if route.catalogue:
                yield Mark(f"{topic}/tags", f"publishes the catalogue of {device} on {topic}/tags", "topic")
            for namer in namers:
                topic_of = namer.of(device, carried.location)
                for tag in carried.tags if namer.per_tag else [""]:
                    topic = topic_of(tag)
                    yield Mark(topic, f"publishes readings of {device} on {topic}", "encoder")
