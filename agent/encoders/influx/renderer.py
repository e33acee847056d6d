"""Records → lines: readings of one instant and quality share a line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from agent.core.flow import Batch, Message, Reading, Record
from agent.encoders.common.marks import MARKS_ROOM, marker
from agent.encoders.common.naming import Namer, TagTopics
from agent.encoders.common.renderer import Setting
from agent.encoders.common.values import honest, out_of_range, too_long
from agent.encoders.common.wire import overhead
from agent.encoders.influx import InfluxConfig
from agent.encoders.influx.lines import (
    CODE,
    QUALITY,
    RESERVED,
    field_value,
    key_text,
    measurement_text,
    tag_set,
    text_field,
)
from agent.settings.topics import Template

CONTENT_TYPE = "text/plain"
#: So many fields on one line at most: a line is what a message can be cut at.
MAX_FIELDS = 50

#: A factor and a divisor: milliseconds in the unit of the timestamps.
_PRECISION = {"s": (1, 1000), "ms": (1, 1), "us": (1000, 1), "ns": (1_000_000, 1)}
_FLOATS = ("float", "double", "real", "lreal")


class InfluxRenderer:
    """See `agent.encoders.common.renderer.Renderer`."""

    def __init__(self, setting: Setting, *, config: InfluxConfig, namer: Namer) -> None:
        self._setting = setting
        self._config = config
        self._namer = namer
        self._by_tag = config.quality == "tag"
        self._factor, self._divisor = _PRECISION[config.precision]
        self._taken = config.beside() | {RESERVED}
        self._marker = marker(setting)
        self._topics = TagTopics(namer, setting)
        self._heads: dict[str, str] = {}
        self._fields: dict[str, tuple[object, dict[str, tuple[str, str]]]] = {}  # by device: catalogue, tag → key, kind

    def readings(self, record: Record, batch: Batch, /) -> Sequence[Message]:
        device = batch.device
        topic = self._topics.of(device)[""]
        room = self._setting.limit - overhead(topic, ()) - MARKS_ROOM
        payloads = _bundles(self._lines(device, batch.readings, room), room)
        mark = self._marker(record, len(payloads))
        return [
            Message(
                topic=topic,
                payload=payload,
                qos=self._setting.route.qos,
                content_type=CONTENT_TYPE,
                properties=mark(index),
            )
            for index, payload in enumerate(payloads, 1)
        ]

    def moved(self, device: str, /) -> None:
        self._topics.moved(device)
        self._heads.pop(device, None)

    def stays(self, _device: str, /) -> Iterable[str]:
        return ()

    def _lines(self, device: str, readings: Sequence[Reading], room: int) -> list[bytes]:
        groups: list[tuple[tuple[int, str], dict[str, str]]] = []
        current: dict[tuple[int, str], dict[str, str]] = {}
        keys = self._keys(device)
        for reading in readings:
            known = keys.get(reading.tag)
            key, kind = known if known is not None else keys.setdefault(reading.tag, self._key(reading.tag, None))
            said, fields = self._say(honest(reading), key, kind, room // 2)
            at = (reading.ts, said.quality if self._by_tag else "")
            group = current.get(at)
            if group is None or len(group) >= MAX_FIELDS or not group.keys().isdisjoint(fields):
                group = current[at] = {}
                groups.append((at, group))
            group.update(fields)
        head = self._head(device)
        factor, divisor = self._factor, self._divisor
        lines = []
        for (ts, quality), group in groups:
            tags = f"{head},quality={quality}" if quality else head
            lines.append(f"{tags} {','.join(map('='.join, group.items()))} {ts * factor // divisor}".encode())
        return lines

    def _say(self, reading: Reading, key: str, kind: str, room: int) -> tuple[Reading, dict[str, str]]:
        """The fields of one reading, and the reading as published: a value that cannot be written is bad."""
        fields: dict[str, str] = {}
        if reading.value is not None:
            text = field_value(reading.value, kind)
            if text is None:
                reading = out_of_range(reading, f"does not fit the type {kind or 'i'}")
            elif len(text) > 512 and len(text.encode()) > room:  # no limit is so low
                reading = too_long(reading, len(text.encode()))
            else:
                fields[key] = text
        if not self._by_tag:
            fields[key + QUALITY] = f'"{reading.quality}"'
        if reading.code is not None or not fields:
            fields[key + CODE] = text_field(reading.code or reading.quality.capitalize())
        return reading, fields

    def _head(self, device: str) -> str:
        known = self._heads.get(device)
        if known is None:
            values = self._namer.raw(device, self._setting.location(device))

            def rendered(text: str) -> str:
                return Template(text, values).render(values)

            tags = {key: rendered(text) for key, text in self._config.tags.items()}
            known = self._heads[device] = measurement_text(rendered(self._config.measurement)) + tag_set(tags)
        return known

    def _keys(self, device: str) -> dict[str, tuple[str, str]]:
        image = self._setting.image.devices.get(device)
        tags = image.tags if image is not None else ()
        known = self._fields.get(device)
        if known is None or known[0] is not tags:
            known = self._fields[device] = tags, {info.tag: self._key(info.tag, info.type) for info in tags}
        return known[1]

    def _key(self, tag: str, data_type: str | None) -> tuple[str, str]:
        name = (data_type or "").lower()
        kind = ""
        if name.startswith(("uint", "byte")):
            kind = self._config.unsigned
        elif name.startswith(_FLOATS):
            kind = "float"
        key = key_text(self._config.names.get(tag, tag))
        if key in self._taken or key.startswith("_"):  # found on the device: what is configured was refused at load
            key = f"tag_{key.lstrip('_')}"
        return key, kind


def _bundles(lines: Sequence[bytes], room: int) -> list[bytes]:
    """Lines joined to payloads that fit, as far as single lines can.

    The cut depends on lines and n only: message i of n carries the same lines whenever it is sent.
    """
    n = max(1, math.ceil(sum(len(line) + 1 for line in lines) / max(room, 1)))
    while True:
        n = min(n, len(lines))
        payloads = [b"\n".join(lines[len(lines) * i // n : len(lines) * (i + 1) // n]) for i in range(n)]
        if n == len(lines) or all(len(payload) <= room for payload in payloads):
            return payloads
        n += max(1, n // 4)
