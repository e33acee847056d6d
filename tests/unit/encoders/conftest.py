from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.flow import Batch, Limits, Online, Reading, Record, Stream
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import RouteInfo
from agent.encoders.common.dialogue import StatusDialogue
from agent.encoders.json import JsonConfig
from agent.settings.publishers import EncoderConfig

NOW = 1_763_760_000_000


class DictMemo(dict[str, bytes]):
    """A memo that is nothing but a dict."""

    def put(self, key: str, value: bytes | None, /) -> None:
        if value is None:
            self.pop(key, None)
        else:
            self[key] = value


class Stage:
    """An image, a memo, and dialogues of one route over them."""

    def __init__(self) -> None:
        self.image = Image(AgentInfo("gw-01", "0.1.0", "abc123"))
        self.memo = DictMemo()
        self.streams: list[Stream] = []

    def add(self, name: str = "press-01", *, location=("acme", "suzhou"), tags=("t1", "t2"), cat: int = 1) -> None:
        infos = [tag if isinstance(tag, TagInfo) else TagInfo(tag=tag, type="float32", unit="Cel") for tag in tags]
        self.image.add(name, location=location, tags=infos, cat=cat, now=NOW)

    def begin(self, *, config: EncoderConfig | None = None, **route) -> StatusDialogue:
        encoder = (config or JsonConfig()).build(RouteInfo(**{"name": "plant", "agent": "gw-01", **route}))
        dialogue = encoder.begin(self.image, self.memo)
        assert isinstance(dialogue, StatusDialogue)
        return dialogue

    def online(self, dialogue: StatusDialogue, **limits):
        given = Limits(**{"protocol": "5", "window": 20, **limits})
        return dialogue(Online(ts=NOW, limits=given, streams=self.streams))


def record(readings: list[Reading], *, device: str = "press-01", seq: int = 1, low: int = 1, **keys) -> Record:
    historical = keys.pop("historical", False)
    batch = Batch(device=device, ts=NOW, readings=readings, bad=sum(r.quality == "bad" for r in readings), **keys)
    return Record(
        row=1,
        stream=Stream("01KB2X", device, seq + 1, low),
        seq=seq,
        ts=NOW + 123,
        content=batch,
        historical=historical,
    )


def good(tag: str = "t1", value: object = 1.5, **keys) -> Reading:
    return Reading(tag=tag, value=value, ts=NOW, quality="good", **keys)


def said(message) -> dict[str, Any]:
    decoded = msgspec.json.decode(message.payload)
    assert isinstance(decoded, dict)
    return decoded


@pytest.fixture
def stage() -> Stage:
    return Stage()
