"""Where a publisher of an agent's configuration speaks, as a consumer listens to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.publishers.mqtt.config import MqttConfig
from agent.settings.topics import DEVICE_VARIABLES, filter_of, topic_template

DEFAULT_ROOT = "edge"


def said_on(publisher: MqttConfig, name: str, agent: str) -> Sequence[str]:
    """Topic filters of what the publisher says of devices; those under its root among them."""
    route = publisher.route(name, agent)
    around = filter_of(topic_template(publisher.topic, DEVICE_VARIABLES), root=publisher.root, agent=agent)
    own = publisher.encoder.filters(route) if publisher.encoder is not None else ()
    return [around if around.endswith("#") else f"{around}/#", *own]


def uncovered(filters: Iterable[str]) -> list[str]:
    """The same without those that another one covers: a broker may deliver once for each that matches."""
    kept: list[str] = []
    for one in filters:
        if not any(_covers(other, one) for other in kept):
            kept = [other for other in kept if not _covers(one, other)] + [one]
    return kept


def _covers(wide: str, narrow: str) -> bool:
    """Whether every topic of `narrow` is one of `wide` (MQTT 5.0, 4.7.1)."""
    theirs, ours = wide.split("/"), narrow.split("/")
    for at, level in enumerate(theirs):
        if level == "#":
            return True
        if at >= len(ours) or ours[at] == "#" or level not in ("+", ours[at]):
            return False
    return len(theirs) == len(ours)
