"""One reading, one message; live ones may stay retained, history never does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.core.flow import Batch, Message, Reading, Record
from agent.encoders.common.marks import MARKS_ROOM, marker
from agent.encoders.common.messages import CONTENT_TYPE, encode
from agent.encoders.common.naming import Namer, TagTopics
from agent.encoders.common.renderer import Setting
from agent.encoders.common.values import honest, too_long
from agent.encoders.common.wire import overhead


class ValueRenderer:
    """See `agent.encoders.common.renderer.Renderer`."""

    def __init__(self, setting: Setting, *, newest: Namer, history: Namer, retain: bool, plain: bool) -> None:
        self._qos = setting.route.qos
        self._limit = setting.limit
        self._devices = setting.image.devices
        self._newest = TagTopics(newest, setting)
        self._history = TagTopics(history, setting)
        self._retain = retain
        self._plain = plain
        self._marker = marker(setting)
        self._stays: dict[str, tuple[object, object, frozenset[str]]] = {}  # by device: catalogue, place, topics

    def readings(self, record: Record, batch: Batch, /) -> Sequence[Message]:
        live = not record.historical
        topics = (self._newest if live else self._history).of(batch.device)
        # a bare value has no time: what is history is never said without it
        plain = self._plain and live
        mark = self._marker(record, len(batch.readings))
        return [
            Message(
                topic=topics[reading.tag],
                payload=self._payload(honest(reading), topics[reading.tag], plain=plain),
                qos=self._qos,
                retain=self._retain and live,
                content_type=CONTENT_TYPE,
                properties=mark(index),
            )
            for index, reading in enumerate(batch.readings, 1)
        ]

    def moved(self, device: str, /) -> None:
        self._newest.moved(device)
        self._history.moved(device)

    def stays(self, device: str, /) -> Iterable[str]:
        if not self._retain:
            return ()
        tags = self._devices[device].tags
        topics = self._newest.of(device)
        known = self._stays.get(device)
        if known is None or known[0] is not tags or known[1] is not topics:
            known = self._stays[device] = tags, topics, frozenset(topics[info.tag] for info in tags)
        return known[2]

    def _payload(self, reading: Reading, topic: str, *, plain: bool) -> bytes:
        payload = encode(reading.value if plain else reading)
        if len(payload) < 512:  # no limit is so low; most are spared the sum
            return payload
        room = self._limit - overhead(topic, ()) - MARKS_ROOM
        return payload if len(payload) <= room else encode(None if plain else too_long(reading, len(payload)))
