"""Records → messages: the hot path. One msgspec call per message; splitting and repairs only where they are needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from typing import Literal

import msgspec
from msgspec import structs

from agent.core.flow import Batch, Gap, Message, Reading, Record
from agent.core.quality import BAD_OUT_OF_RANGE, name_of
from agent.encoders.json.messages import CONTENT_TYPE, GAP_SCHEMA, READINGS_SCHEMA, GapMessage, ReadingsMessage

_MAX_EXACT = 2**53 - 1
_NULL = b'"value":null'

encode = msgspec.json.Encoder().encode


class RecordEncoder:
    """Encodes the records of one session. `wide(device)` names the tags that the catalogue calls 64-bit integers."""

    def __init__(
        self,
        agent: str,
        *,
        qos: int,
        limit: int,
        prefix: Callable[[str], str],
        int64: Literal["number", "string"] = "number",
        wide: Callable[[str], Container[str]] = lambda _device: (),
    ) -> None:
        self._agent = agent
        self._qos = qos
        self._limit = limit
        self._prefix = prefix
        self._strings = int64 == "string"
        self._wide = wide
        self._topics: dict[str, str] = {}

    def topic(self, device: str) -> str:
        """`{topic}/readings` of a device."""
        topic = self._topics.get(device)
        if topic is None:
            topic = self._topics[device] = self._prefix(device) + "/readings"
        return topic

    def moved(self, device: str) -> None:
        """The device's prefix may have changed."""
        self._topics.pop(device, None)

    def readings(self, record: Record, batch: Batch) -> Sequence[Message]:
        """One message, or as many as the limit asks for (`part`)."""
        stream = record.stream
        readings = self._as_strings(batch) if self._strings else batch.readings
        envelope = ReadingsMessage(
            READINGS_SCHEMA, self._agent, batch.device, stream.epoch, record.seq, stream.low, record.ts, batch.cat,
            batch.snapshot, record.historical, None, batch.clock, readings,
        )  # fmt: skip
        payload = encode(envelope)
        if payload.count(_NULL) > batch.bad:
            # msgspec writes NaN and infinity as null; such a value must not pass as good
            envelope.readings = readings = _without_nonfinite(readings)
            payload = encode(envelope)
        topic = self.topic(batch.device)
        properties = (
            ("schema", READINGS_SCHEMA),
            ("agent", self._agent),
            ("epoch", stream.epoch),
            ("seq", str(record.seq)),
        )
        room = self._limit - overhead(topic, properties)
        fits = len(payload) <= room or len(readings) < 2
        payloads = [payload] if fits else _split(envelope, len(payload), room)
        return [
            Message(topic=topic, payload=one, qos=self._qos, content_type=CONTENT_TYPE, properties=properties)
            for one in payloads
        ]

    def gap(self, gap: Gap) -> Sequence[Message]:
        """`{topic}/gaps`. Always acknowledged by the broker: a declaration must arrive."""
        topic = self._prefix(gap.device) + "/gaps"
        message = GapMessage(
            id=gap.id, kind=gap.kind, agent=self._agent, device=gap.device, epoch=gap.epoch, from_seq=gap.from_seq,
            to_seq=gap.to_seq, from_ts=gap.from_ts, to_ts=gap.to_ts, tags=gap.tags, records=gap.records,
            readings=gap.readings, reason=gap.reason,
        )  # fmt: skip
        properties = (("schema", GAP_SCHEMA), ("agent", self._agent))
        payload = encode(message)
        if len(payload) > self._limit - overhead(topic, properties):
            # a declaration that does not fit would itself be lost: rather "any tag" than none
            message.tags = None
            payload = encode(message)
        return [Message(topic=topic, payload=payload, content_type=CONTENT_TYPE, properties=properties)]

    def _as_strings(self, batch: Batch) -> list[Reading]:
        wide = self._wide(batch.device)
        return [
            structs.replace(reading, value=_to_string(reading.value, always=reading.tag in wide))
            if type(reading.value) in (int, list)
            else reading
            for reading in batch.readings
        ]


def overhead(topic: str, properties: Sequence[tuple[str, str]]) -> int:
    """Bytes of a PUBLISH beside its payload, at most (MQTT 5: 3.3; ASCII keys and values)."""
    fixed = 1 + 4 + 2 + 2 + 4 + 3 + len(CONTENT_TYPE)
    return fixed + len(topic.encode()) + sum(5 + len(key) + len(value) for key, value in properties)


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


def _finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return all(_finite(item) for item in value) if isinstance(value, list) else True


def _without_nonfinite(readings: list[Reading]) -> list[Reading]:
    return [
        reading
        if _finite(reading.value)
        else structs.replace(
            reading, value=None, quality="bad", code=name_of(BAD_OUT_OF_RANGE), status=BAD_OUT_OF_RANGE,
            reason="not a finite number",
        )
        for reading in readings
    ]  # fmt: skip


def _to_string(value: object, *, always: bool) -> object:
    if isinstance(value, list):
        return [_to_string(item, always=always) for item in value]
    if type(value) is int and (always or not -_MAX_EXACT <= value <= _MAX_EXACT):
        return str(value)
    return value
