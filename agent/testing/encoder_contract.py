"""What every encoder must do. Subclass EncoderContract in a test module and give an `encoder` fixture.

    class TestLines(EncoderContract):
        @pytest.fixture
        def encoder(self) -> Encoder:
            return LinesConfig(type="lines").build(RouteInfo(name="plant", agent="gw-01"))

The suite plays one broker session after another with a device of good, bad and odd readings. It judges what holds for
any payload; what a payload means is for tests of your own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest

from agent.core.errors import Rejected
from agent.core.flow import (
    Batch,
    DeviceChanged,
    DialogueEvent,
    Gap,
    Incoming,
    Limits,
    Message,
    Offline,
    Online,
    Opening,
    Reading,
    Record,
    Stream,
    Tick,
)
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import Dialogue, Encoder, Stateful
from agent.testing.records import TS

DEVICE = "press-01"

#: Values a device may have: numbers at their limits, text of any language, arrays, and none.
VALUES: tuple[object, ...] = (
    True, 0, -1, 2**63 - 1, 2**64 - 1, 1.5, -0.0, 5e-324, 1.7e308, "", "熔炉", 'a "quoted" \\ line\n', [1, 2], [], None,
)  # fmt: skip


class DictMemo(dict[str, bytes]):
    """A memo that is nothing but a dict."""

    def put(self, key: str, value: bytes | None, /) -> None:
        """As the port says."""
        if value is None:
            self.pop(key, None)
        else:
            self[key] = value


def image(*devices: str) -> Image:
    """An image with these devices, each with a tag for every one of `VALUES`."""
    made = Image(AgentInfo("gw-01", "0.1.0", "abc123"))
    for device in devices:
        tags = [TagInfo(tag=f"tag_{number}") for number in range(len(VALUES))]
        made.add(device, location=("acme", "suzhou"), tags=tags, cat=1, now=TS)
    return made


def record(seq: int, readings: Sequence[Reading], *, historical: bool = False, snapshot: bool = False) -> Record:
    """One record of `DEVICE`."""
    bad = sum(one.quality == "bad" for one in readings)
    batch = Batch(device=DEVICE, ts=TS + seq, readings=list(readings), bad=bad, snapshot=snapshot)
    return Record(
        row=seq, stream=Stream("01KB2X", DEVICE, seq + 1, 1), seq=seq, ts=TS + seq, content=batch, historical=historical
    )


def readings(ts: int = TS) -> list[Reading]:
    """One of each value, then a bad and an uncertain one."""
    good = [Reading(f"tag_{number}", value, ts, "good") for number, value in enumerate(VALUES)]
    return [
        *good,
        Reading("tag_0", None, ts + 1, "bad", code="BadConfigurationError", status=0x80890000, reason="refused"),
        Reading("tag_1", 7, ts + 1, "uncertain", code="UncertainEngineeringUnitsExceeded", status=0x40940000),
    ]


GAP = Record(
    row=9,
    stream=Stream("01KB2X", DEVICE, 5, 1),
    seq=0,
    ts=TS,
    content=Gap(id="01KB2Y", kind="dropped", device=DEVICE, from_ts=TS, to_ts=TS + 5, reason="full", epoch="01KB2X",
                from_seq=2, to_seq=3, records=2, readings=40),
)  # fmt: skip


class EncoderContract:
    """See `agent.core.ports.Encoder` and `Dialogue`."""

    limits = Limits(protocol="5", window=20)
    streams = (Stream("01KB2X", DEVICE, 1, 1),)

    def session(self, encoder: Encoder, over: Image) -> Dialogue:
        """A dialogue that has been told of its session, and lets records flow."""
        dialogue = encoder.begin(over, DictMemo())
        if isinstance(dialogue, Stateful):
            self.judge([dialogue.connecting()])
        elif dialogue.will is not None:
            self.judge([dialogue.will])
        self.judge(dialogue(Online(ts=TS, limits=self.limits, streams=self.streams)))
        if isinstance(dialogue, Stateful) and dialogue.course == "open":
            self.judge(dialogue(Opening(ts=TS, streams=self.streams)))
        return dialogue

    def judge(self, messages: Sequence[Message]) -> None:
        """What holds of every message."""
        for message in messages:
            assert message.topic, "a message needs a topic"
            assert not set("+#\0") & set(message.topic), "nobody may publish to a filter"
            assert isinstance(message.payload, bytes)
            assert message.qos in (0, 1)

    def test_a_session_goes_its_way(self, encoder: Encoder) -> None:
        """Online, records of every kind of value, gaps, changes, ticks, Offline: each is answered with messages."""
        dialogue = self.session(encoder, image(DEVICE))
        events: list[DialogueEvent] = [
            record(1, readings(), snapshot=True),
            record(2, readings(TS + 10)),
            record(1, readings(TS - 10), historical=True),
            GAP,
            DeviceChanged(device=DEVICE, ts=TS),
            Tick(ts=TS + 30_000, streams=self.streams),
            Offline(ts=TS + 40_000, streams=self.streams),
        ]
        for event in events:
            try:
                self.judge(dialogue(event))
            except Rejected:
                assert isinstance(event, Record), "only a record may be rejected"

    def test_a_record_is_not_changed(self, encoder: Encoder) -> None:
        """Other routes and the image hold the same objects."""
        dialogue = self.session(encoder, image(DEVICE))
        ours, twin = record(1, readings()), record(1, readings())
        dialogue(ours)
        assert ours == twin

    def test_a_device_that_is_gone_is_no_surprise(self, encoder: Encoder) -> None:
        """After a reload devices come and go while the session stands, and their last records are still sent."""
        over = image(DEVICE, "press-02")
        dialogue = self.session(encoder, over)
        over.remove(DEVICE)
        self.judge(dialogue(DeviceChanged(device=DEVICE, ts=TS)))
        with contextlib.suppress(Rejected):
            self.judge(dialogue(record(1, readings())))
        self.judge(dialogue(DeviceChanged(device="press-02", ts=TS)))
        self.judge(dialogue(Offline(ts=TS, streams=self.streams)))

    def test_sessions_are_independent(self, encoder: Encoder) -> None:
        """A second session begins as the first did, whatever became of that."""
        over = image(DEVICE)
        first = self.session(encoder, over)
        first(record(1, readings()))
        assert self.session(encoder, over) is not first

    @pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[" * 10_000, b"null", b'{"state":1e999}'])
    def test_strangers_do_no_harm(self, encoder: Encoder, payload: bytes) -> None:
        """Whatever arrives on a topic it listens to, it never raises."""
        dialogue = self.session(encoder, image(DEVICE))
        for topic in dialogue.listens:
            heard = Incoming(topic=topic.replace("#", "x").replace("+", "x"), payload=payload, streams=self.streams)
            self.judge(dialogue(heard))
