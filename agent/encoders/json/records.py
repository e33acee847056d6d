"""Records → messages: the hot path. One msgspec call per message; splitting and repairs only where they are needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec import structs

from agent.core.flow import Batch, Message, Reading, Record
from agent.encoders.common.messages import CONTENT_TYPE, READINGS_SCHEMA, ReadingsMessage, encode
from agent.encoders.common.renderer import Setting
from agent.encoders.common.values import without_nonfinite
from agent.encoders.common.wire import overhead

_MAX_EXACT = 2**53 - 1
_INT64 = ("int64", "uint64")
_NULL = b"null"


class _Letterhead(NamedTuple):
    """What the messages of one stream have in common."""

    epoch: str
    topic: str
    properties: tuple[tuple[str, str], ...]  #: all but `seq`, which differs and comes last
    room: int  #: bytes of payload that fit, the digits of `seq` not counted


class JsonRenderer:
    """One record, one message. See `agent.encoders.common.renderer.Renderer`."""

    def __init__(
        self, setting: Setting, int64: Literal["number", "string"] = "number", *, suffix: str = "readings"
    ) -> None:
        self._suffix = "/" + suffix
        self._agent = setting.route.agent
        self._qos = setting.route.qos
        self._limit = setting.limit
        self._prefix = setting.prefix
        self._devices = setting.image.devices
        self._strings = int64 == "string"
        self._letterheads: dict[str, _Letterhead] = {}  # by device
        self._wide_tags: dict[str, tuple[object, frozenset[str]]] = {}  # by device: catalogue, tags

    def moved(self, device: str, /) -> None:
        self._letterheads.pop(device, None)

    def stays(self, _device: str, /) -> Iterable[str]:
        return ()

    def readings(self, record: Record, batch: Batch, /) -> Sequence[Message]:
        """One message, or as many as the limit asks for (`part`)."""
        stream = record.stream
        letterhead = self._letterheads.get(batch.device)
        if letterhead is None or letterhead.epoch != stream.epoch:
            letterhead = self._letterheads[batch.device] = self._letterhead(batch.device, stream.epoch)
        readings = self._as_strings(batch) if self._strings else batch.readings
        envelope = ReadingsMessage(
            READINGS_SCHEMA, self._agent, batch.device, stream.epoch, record.seq, stream.low, record.ts, batch.cat,
            batch.snapshot, record.historical, record.resent, None, batch.clock, readings,
        )  # fmt: skip
        payload = encode(envelope)
        if payload.count(_NULL) > batch.bad:
            # msgspec writes NaN and infinity as null, in an array, too; such a value must not pass as good
            envelope.readings = readings = without_nonfinite(readings)
            payload = encode(envelope)
        seq = str(record.seq)
        topic, properties = letterhead.topic, (*letterhead.properties, ("seq", seq))
        room = letterhead.room - len(seq)
        if len(payload) <= room or len(readings) < 2:
            return (
                Message(topic=topic, payload=payload, qos=self._qos, content_type=CONTENT_TYPE, properties=properties),
            )
        return [
            Message(topic=topic, payload=one, qos=self._qos, content_type=CONTENT_TYPE, properties=properties)
            for one in _split(envelope, len(payload), room)
        ]

    def _letterhead(self, device: str, epoch: str) -> _Letterhead:
        topic = self._prefix(device) + self._suffix
        properties = (("schema", READINGS_SCHEMA), ("agent", self._agent), ("epoch", epoch))
        return _Letterhead(epoch, topic, properties, self._limit - overhead(topic, (*properties, ("seq", ""))))

    def _as_strings(self, batch: Batch) -> list[Reading]:
        wide = self._wide(batch.device)
        return [
            structs.replace(reading, value=_to_string(reading.value, always=reading.tag in wide))
            if type(reading.value) in (int, list)
            else reading
            for reading in batch.readings
        ]

    def _wide(self, name: str) -> frozenset[str]:
        """Tags of the device that are 64-bit integers by its catalogue."""
        device = self._devices.get(name)
        if device is None:
            return frozenset()
        known, tags = self._wide_tags.get(name, (None, frozenset()))
        if known is not device.tags:
            tags = frozenset(info.tag for info in device.tags if (info.type or "").lower().startswith(_INT64))
            self._wide_tags[name] = device.tags, tags
        return tags


def _split(envelope: ReadingsMessage, size: int, room: int) -> list[bytes]:
    """Payloads that fit, as far as single readings can.

    The cut depends on readings and n only: a part sent again under the same [i, n] carries the same readings.
    """
    readings = envelope.readings
    n = min(len(readings), max(2, math.ceil(size / max(room, 1))))
    while True:
        payloads = []
        for i in range(n):
            envelope.part = (i + 1, n)
            envelope.readings = readings[len(readings) * i // n : len(readings) * (i + 1) // n]
            payloads.append(encode(envelope))
        if n == len(readings) or all(len(payload) <= room for payload in payloads):
            return payloads
        n = min(len(readings), n + max(1, n // 4))


def _to_string(value: object, *, always: bool) -> object:
    if isinstance(value, list):
        return [_to_string(item, always=always) for item in value]
    if type(value) is int and (always or not -_MAX_EXACT <= value <= _MAX_EXACT):
        return str(value)
    return value
