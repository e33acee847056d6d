"""Retained messages around the readings: device status, catalogue, and their end. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.flow import Message, Scans, Stream
from agent.core.image import DeviceImage
from agent.encoders.common.messages import (
    CONTENT_TYPE,
    Catalogue,
    DeviceStatus,
    ScanTotals,
    StreamsPart,
    StreamStatus,
    encode,
)
from agent.encoders.common.wire import overhead


def message(topic: str, payload: bytes) -> Message:
    """A retained message; the broker must acknowledge it whatever the QoS of readings."""
    return Message(topic=topic, payload=payload, retain=True, content_type=CONTENT_TYPE)


def empty(topic: str) -> Message:
    """Takes a retained message back."""
    return Message(topic=topic, payload=b"", retain=True)


def status(prefix: str, device: DeviceImage, session: str, stream: Stream | None, ts: int) -> Message:
    """`{topic}/status`; `stream`: the present one, where there is one."""
    content = DeviceStatus(
        state=device.state,
        session=session,
        reason=device.reason,
        since=device.since,
        last_good=device.last_good,
        achieved_ms=device.achieved_ms,
        scans=ScanTotals(0, 0, 0) if stream is None else totals(stream.scans),
        readings=0 if stream is None else stream.readings,
        ts=ts,
    )
    return message(f"{prefix}/status", encode(content))


def totals(scans: Scans) -> ScanTotals:
    """Counters as they are published."""
    return ScanTotals(scans.due, scans.done, scans.late)


def streams(topic: str, session: str, told: Mapping[str, StreamStatus], ts: int, limit: int) -> list[Message]:
    """`{topic}/1`, `/2` and on: the streams in as many parts as fit."""
    room, items = limit - overhead(topic + "/9999", ()), list(told.items())
    n = max(1, min(len(items), len(encode(dict(items))) // max(room, 1) + 1))
    while True:
        cuts = [dict(items[len(items) * i // n : len(items) * (i + 1) // n]) for i in range(n)]
        payloads = [encode(StreamsPart(session, (i + 1, n), cut, ts)) for i, cut in enumerate(cuts)]
        if n >= len(items) or all(len(payload) <= room for payload in payloads):
            return [message(f"{topic}/{i + 1}", payload) for i, payload in enumerate(payloads)]
        n = min(len(items), n + max(1, n // 4))


def removed(prefix: str, session: str, ts: int) -> list[Message]:
    """`state: removed` for those who listen now, then nothing for those who come later."""
    content = DeviceStatus(
        state="removed",
        session=session,
        reason="no longer configured",
        since=ts,
        last_good=None,
        achieved_ms=None,
        scans=None,
        readings=None,
        ts=ts,
    )
    return [message(f"{prefix}/status", encode(content)), empty(f"{prefix}/status")]


def no_catalogue(prefix: str, parts: int) -> list[Message]:
    """Takes a catalogue back."""
    return [empty(f"{prefix}/tags"), *(empty(f"{prefix}/tags/{i}") for i in range(1, parts + 1))]


def catalogue(prefix: str, device: DeviceImage, limit: int) -> list[Message]:
    """`{topic}/tags`, and `/tags/1` … behind it where one message would be too large."""
    topic = f"{prefix}/tags"
    tags = list(device.tags)
    whole = encode(Catalogue(version=device.cat, description=device.description, tags=tags))
    room = limit - overhead(topic + "/999", ())
    if len(whole) <= room or len(tags) < 2:
        return [message(topic, whole)]
    n = min(len(tags), len(whole) // max(room, 1) + 1)
    while True:
        cuts = [tags[len(tags) * i // n : len(tags) * (i + 1) // n] for i in range(n)]
        payloads = [encode(Catalogue(version=device.cat, part=(i + 1, n), tags=cut)) for i, cut in enumerate(cuts)]
        if n == len(tags) or all(len(payload) <= room for payload in payloads):
            break
        n = min(len(tags), n + max(1, n // 4))
    head = message(topic, encode(Catalogue(version=device.cat, parts=n, description=device.description)))
    return [head, *(message(f"{topic}/{i + 1}", payload) for i, payload in enumerate(payloads))]
