"""What can be said against an encoder once all devices are known: topics that collide or that no broker takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.encoders.common.naming import Namer, UnplaceableError
from agent.settings.publishers import Carried, Finding
from agent.settings.topics import MAX_TOPIC_BYTES

#: AWS IoT Core takes no topic with more slashes than this.
AWS_SLASHES = 7
#: After so many mistakes of one kind no more are told.
ENOUGH = 10


def examine_topics(namer: Namer, devices: Mapping[str, Carried], key: str = "topic") -> Iterator[Finding]:
    """Mistakes and warnings about the topics of one template."""
    seen: dict[str, tuple[str, str]] = {}
    told, deepest = 0, ""
    for device, carried in devices.items():
        try:
            topic_of = namer.of(device, carried.location, strict=True)
        except UnplaceableError as error:
            yield Finding(str(error), (key,))
            continue
        for tag in carried.tags if namer.per_tag else [""]:
            topic = topic_of(tag)
            deepest = max(deepest, topic, key=lambda one: one.count("/"))
            if told < ENOUGH and (text := _wrong(topic, seen.get(topic), device, tag, per_tag=namer.per_tag)):
                told += 1
                yield Finding(text, (key,))
            seen.setdefault(topic, (device, tag))
    if deepest.count("/") > AWS_SLASHES:
        yield Finding(
            f"{deepest} has {deepest.count('/')} slashes; AWS IoT Core takes at most {AWS_SLASHES}", (key,), wrong=False
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


def examine_identity(mqtt: str | None, what: str) -> Iterator[Finding]:
    """Where nobody can audit what arrives."""
    if mqtt != "5":
        where = "on MQTT 3.1.1" if mqtt == "3.1.1" else "where the broker speaks only MQTT 3.1.1"
        why = "identity (epoch, seq, index) travels in MQTT 5 user properties"
        yield Finding(f"{where} nobody can audit {what}: {why}", wrong=False)
