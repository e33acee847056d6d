"""Records → messages of the user's shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from agent.core.flow import Batch, Message, Reading, Record
from agent.encoders.common.marks import MARKS_ROOM, marker
from agent.encoders.common.messages import CONTENT_TYPE, encode
from agent.encoders.common.naming import Namer, TagTopics
from agent.encoders.common.renderer import Setting
from agent.encoders.common.values import honest, too_long
from agent.encoders.common.wire import overhead
from agent.encoders.template.shape import Shape
from agent.encoders.template.variables import Scope

#: Stands where the shape of a record cannot name a reading.
_NONE = Reading("", None, 0, "bad")


class TemplateRenderer:
    """See `agent.encoders.common.renderer.Renderer`."""

    def __init__(self, setting: Setting, *, namer: Namer, reading: Shape, message: Shape | None) -> None:
        self._setting = setting
        self._qos = setting.route.qos
        self._reading = reading.make
        self._message = message.make if message is not None else None
        self._topics = TagTopics(namer, setting)
        self._marker = marker(setting)
        self._catalogues: dict[str, tuple[object, dict[str, str], dict[str, str]]] = {}

    def readings(self, record: Record, batch: Batch, /) -> Sequence[Message]:
        scope = self._scope(record, batch)
        readings = [honest(reading) for reading in batch.readings]
        topics = self._topics.of(batch.device)
        if self._message is None:
            payloads = [
                (topics[reading.tag], self._single(scope, reading, topics[reading.tag])) for reading in readings
            ]
        else:
            payloads = [(topics[""], payload) for payload in self._bundles(scope, readings, topics[""])]
        mark = self._marker(record, len(payloads))
        return [
            Message(topic=topic, payload=payload, qos=self._qos, content_type=CONTENT_TYPE, properties=mark(index))
            for index, (topic, payload) in enumerate(payloads, 1)
        ]

    def moved(self, device: str, /) -> None:
        self._topics.moved(device)

    def stays(self, _device: str, /) -> Iterable[str]:
        return ()

    def _single(self, scope: Scope, reading: Reading, topic: str) -> bytes:
        payload = encode(self._reading(scope, reading))
        if len(payload) > self._room(topic):
            payload = encode(self._reading(scope, too_long(reading, len(payload))))
        return payload

    def _bundles(self, scope: Scope, readings: list[Reading], topic: str) -> list[bytes]:
        """The readings in one message, or in as many as the limit asks for."""
        room = self._room(topic)
        payload = self._bundle(scope, readings)
        if len(payload) <= room:
            return [payload]
        n = min(len(readings), max(2, math.ceil(len(payload) / max(room, 1))))
        while True:
            cuts = [readings[len(readings) * i // n : len(readings) * (i + 1) // n] for i in range(n)]
            payloads = [self._bundle(scope, cut, i + 1, n) for i, cut in enumerate(cuts)]
            if n == len(readings) or all(len(one) <= room for one in payloads):
                break
            n = min(len(readings), n + max(1, n // 4))
        for i, cut in enumerate(cuts):
            if len(payloads[i]) > room:
                payloads[i] = self._bundle(scope, [too_long(one, len(payloads[i])) for one in cut], i + 1, n)
        return payloads

    def _bundle(self, scope: Scope, readings: list[Reading], part: int = 1, parts: int = 1) -> bytes:
        make, message = self._reading, self._message or self._reading
        scope.count, scope.part, scope.parts = len(readings), part, parts
        scope.readings = [make(scope, reading) for reading in readings]
        return encode(message(scope, _NONE))

    def _room(self, topic: str) -> int:
        return self._setting.limit - overhead(topic, ()) - MARKS_ROOM

    def _scope(self, record: Record, batch: Batch) -> Scope:
        setting, device = self._setting, batch.device
        levels = setting.location(device)
        types, descriptions = self._catalogue(device)
        return Scope(
            setting.route.agent, device, "/".join(levels), setting.route.root, levels, record.stream.epoch, record.seq,
            record.ts, batch.cat, batch.snapshot, record.historical, len(batch.readings), 1, 1, [], types, descriptions,
        )  # fmt: skip

    def _catalogue(self, device: str) -> tuple[dict[str, str], dict[str, str]]:
        """Data types and descriptions by tag."""
        image = self._setting.image.devices.get(device)
        tags = image.tags if image is not None else ()
        known = self._catalogues.get(device)
        if known is None or known[0] is not tags:
            types = {info.tag: info.type for info in tags if info.type is not None}
            texts = {info.tag: info.description for info in tags if info.description is not None}
            known = self._catalogues[device] = tags, types, texts
        return known[1], known[2]
