"""Readings as the United Manufacturing Hub takes them, and what it does not take, apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import structs

from agent.core.flow import Batch, Message, Reading, Record
from agent.encoders.common.marks import MARKS_ROOM, marker
from agent.encoders.common.messages import CONTENT_TYPE, encode
from agent.encoders.common.naming import Namer, TagTopics
from agent.encoders.common.renderer import Setting
from agent.encoders.common.values import honest
from agent.encoders.json.records import JsonRenderer

#: UMH refuses values that are longer than this as JSON, bytes.
MAX_VALUE_BYTES = 1024


class UmhRenderer:
    """See `agent.encoders.common.renderer.Renderer`."""

    def __init__(self, setting: Setting, *, namer: Namer, uncertain: bool) -> None:
        self._qos = setting.route.qos
        self._uncertain = uncertain
        self._topics = TagTopics(namer, setting)
        self._marker = marker(setting)
        self._apart = JsonRenderer(structs.replace(setting, limit=setting.limit - MARKS_ROOM), suffix="apart")

    def readings(self, record: Record, batch: Batch, /) -> Sequence[Message]:
        fit: list[tuple[Reading, bytes]] = []
        unfit: list[Reading] = []
        for reading in batch.readings:
            value = self._json(reading)
            if value is None:
                unfit.append(honest(reading))
            else:
                fit.append((reading, value))
        apart: Sequence[Message] = ()
        if unfit:
            bad = sum(reading.quality == "bad" for reading in unfit)
            apart = self._apart.readings(record, structs.replace(batch, readings=unfit, bad=bad, columns=None))
        topics = self._topics.of(batch.device)
        mark = self._marker(record, len(fit) + len(apart))
        messages = [
            Message(
                topic=topics[reading.tag],
                payload=b'{"timestamp_ms":%d,"value":%b}' % (reading.ts, value),
                qos=self._qos,
                content_type=CONTENT_TYPE,
                properties=mark(index) if reading.quality == "good" else (*mark(index), ("quality", reading.quality)),
            )
            for index, (reading, value) in enumerate(fit, 1)
        ]
        for index, message in enumerate(apart, len(fit) + 1):
            message.properties = (*message.properties[:1], *mark(index))  # its schema, and the identity of all of them
        return messages + list(apart)

    def moved(self, device: str, /) -> None:
        self._topics.moved(device)
        self._apart.moved(device)

    def stays(self, _device: str, /) -> Iterable[str]:
        return ()

    def _json(self, reading: Reading) -> bytes | None:
        """The value as UMH takes it: a scalar, never null; None where it is none."""
        if reading.quality != "good" and (reading.quality == "bad" or not self._uncertain):
            return None
        value = reading.value
        if isinstance(value, float):
            return encode(value) if math.isfinite(value) else None
        if isinstance(value, int):
            return encode(value)
        if isinstance(value, str):
            encoded = encode(value)
            return encoded if len(encoded) <= MAX_VALUE_BYTES else None
        return None
