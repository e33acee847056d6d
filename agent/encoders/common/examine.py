"""What is wrong with an encoder once all devices are known: topics that collide or that no broker takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from agent.core.ports import RouteInfo
from agent.encoders.common.naming import Namer, UnplaceableError
from agent.encoders.common.topics import agent_status, prefix_namer
from agent.settings.publishers import Carried, ConfigFinding
from agent.settings.topics import MAX_TOPIC_BYTES, slashes

#: AWS IoT Core takes no topic with more slashes than this.
AWS_SLASHES = 7
#: After so many mistakes of one kind no more are told.
ENOUGH = 10


def examine_prefix(route: RouteInfo, devices: Mapping[str, Carried]) -> Iterator[ConfigFinding]:
    """Mistakes and warnings about `topic:` of the publisher, for everything beside the readings."""
    prefix = prefix_namer(route)
    parts = [prefix.device(name, one.location) + "/tags/1" for name, one in devices.items()] if route.catalogue else []
    yield from examine_topics(prefix_namer(route, "/readings"), devices, beside=parts)
    own = _own(route, devices)
    if len(own) < 1 + 3 * len(devices):
        text = f"the status of a device would stand on {agent_status(route)}, which is that of the agent"
        yield ConfigFinding(f"{text}; begin `topic:` otherwise", ("topic",))


def _own(route: RouteInfo, devices: Mapping[str, Carried]) -> dict[str, str]:
    """What the agent says for itself, by topic."""
    own = {agent_status(route): "its own status"}
    namer = prefix_namer(route)
    for device, carried in devices.items():
        prefix = namer.device(device, carried.location)
        own[f"{prefix}/status"] = f"the status of {device}"
        own[f"{prefix}/tags"] = f"the catalogue of {device}"
        own[f"{prefix}/gaps"] = f"the losses of {device}"
    return own


def examine_topics(
    namer: Namer, devices: Mapping[str, Carried], key: str = "topic", *, beside: Iterable[str] = ()
) -> Iterator[ConfigFinding]:
    """Mistakes and warnings about the topics of one template. `beside`: others that stand for it in depth."""
    own = _own(namer.route, devices)
    seen: dict[str, tuple[str, str]] = {}
    told, deepest = 0, max(beside, key=slashes, default="")
    for device, carried in devices.items():
        try:
            topic_of = namer.of(device, carried.location, strict=True)
        except UnplaceableError as error:
            yield ConfigFinding(str(error), (key,))
            continue
        for tag in carried.tags if namer.per_tag else [""]:
            topic = topic_of(tag)
            deepest = max(deepest, topic, key=slashes)
            text = _wrong(topic, seen.get(topic), device, tag, per_tag=namer.per_tag) or _taken(topic, own, device, tag)
            if text and told < ENOUGH:
                told += 1
                yield ConfigFinding(text, (key,))
            seen.setdefault(topic, (device, tag))
    if slashes(deepest) > AWS_SLASHES:
        yield ConfigFinding(
            f"{deepest} has {slashes(deepest)} slashes; AWS IoT Core takes at most {AWS_SLASHES}", (key,), wrong=False
        )


def _wrong(topic: str, first: tuple[str, str] | None, device: str, tag: str, *, per_tag: bool) -> str:
    size = len(topic.encode())
    if size > MAX_TOPIC_BYTES:
        return f"the topic of {device}, tag {tag[:40]!r}, has {size} bytes, MQTT takes {MAX_TOPIC_BYTES}; shorten it"
    if "//" in topic or topic.endswith("/"):
        hint = "name the tag under `names:`, or the level otherwise"
        return f"the topic of {device}, tag {tag!r}, would be {topic!r}; {hint}"
    if per_tag and first is not None:
        other, other_tag = first
        return (
            f"{other}, tag {other_tag!r}, and {device}, tag {tag!r}, would share the topic {topic}; give one of them "
            "another level under `names:`, or put {device} into the topic"
        )
    return ""


def _taken(topic: str, own: Mapping[str, str], device: str, tag: str) -> str:
    above, _, part = topic.rpartition("/")
    if whose := own.get(above if part.isdecimal() and above.endswith("/tags") else topic):
        said = f"{device}, tag {tag!r}," if tag else device
        return f"{said} would be said on {topic}, where the agent says {whose}; give it another topic"
    return ""


def examine_identity(route: RouteInfo, what: str) -> Iterator[ConfigFinding]:
    """Where nobody can audit what arrives."""
    if not route.properties:
        where = "where the broker speaks only MQTT 3.1.1" if route.properties is None else "on MQTT 3.1.1"
        why = "identity (epoch, seq, index) travels in MQTT 5 user properties"
        yield ConfigFinding(f"{where} nobody can audit {what}: {why}", wrong=False)
