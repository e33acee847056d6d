"""The dialogue by itself: what it says to which event, and when it lets data flow."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.consumer.sparkplug.wire import Metric, Payload, decode
from agent.core.errors import Rejected
from agent.core.flow import (
    Batch,
    DeviceChanged,
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
from agent.core.ports import RouteInfo, Stateful
from agent.encoders.sparkplug import SparkplugConfig
from agent.encoders.sparkplug.dialogue import SparkplugDialogue
from agent.encoders.sparkplug.encoder import SparkplugEncoder
from agent.encoders.sparkplug.schema import Payload as Outgoing
from agent.testing.clock import ManualClock
from tests.unit.encoders.conftest import DictMemo

NOW = 1_763_760_000_000
REBIRTH = bytes.fromhex("12180a14") + b"Node Control/Rebirth" + bytes.fromhex("7001")


class _Hand(ManualClock):
    """The scene's clock."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene

    def now_ms(self) -> int:
        return self._scene.now

    def monotonic(self) -> float:
        return self._scene.now / 1000


class Scene:
    """One dialogue, its image and a clock moved by hand."""

    def __init__(self, **config: Any) -> None:
        self.now = NOW
        self.clock = _Hand(self)
        self.image = Image(AgentInfo("gw-01", "1.2.3", "h"))
        self.memo = DictMemo()
        self.stream = Stream("01KB2X", "press", 1)
        self.wanted = True
        keys = {"type": "sparkplug_b", "group": "plant", **config}
        route = RouteInfo(name="plant", agent="gw-01", wants=lambda _device: self.wanted, clock=self.clock)
        self.encoder = SparkplugEncoder(SparkplugConfig.model_validate(keys), route)
        self.dialogue = self.begin()

    def begin(self) -> SparkplugDialogue:
        self.dialogue = self.encoder.begin(self.image, self.memo)
        self.dialogue.connecting()
        return self.dialogue

    @property
    def course(self) -> str:
        return str(self.dialogue.course)

    def add(self, name: str = "press", *tags: TagInfo, state: str = "online") -> None:
        self.image.add(name, location=["hall"], tags=tags or (TagInfo("a", "int16"),), cat=1, now=NOW)
        if state != "offline":
            self.image.set_state(name, "online", now=NOW)

    def online(self, **limits: Any) -> None:
        self.dialogue(Online(ts=self.now, limits=Limits(**{"protocol": "5", "window": 20, **limits}), streams=()))

    def open(self, **limits: Any) -> list[Message]:
        self.online(**limits)
        return list(self.dialogue(Opening(ts=self.now, streams=[self.stream])))

    def record(self, *readings: Reading, historical: bool = False, device: str = "press") -> list[Message]:
        stream = self.stream if device == "press" else Stream("01KB2X", device)
        seq = stream.next
        stream.next += 1
        batch = Batch(
            device=device, ts=self.now, readings=list(readings), bad=sum(r.quality == "bad" for r in readings)
        )
        return list(self.dialogue(Record(seq, stream, seq, self.now, batch, historical)))

    def changed(self, device: str = "press") -> list[Message]:
        return list(self.dialogue(DeviceChanged(device=device, ts=self.now, streams=[self.stream])))

    def hear(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert self.dialogue(Incoming(topic=topic, payload=payload, retain=retain)) == []

    def state(self, *, online: bool, at: int) -> None:
        self.hear("spBv1.0/STATE/scada", json.dumps({"online": online, "timestamp": at}).encode())

    def tick(self, seconds: int = 1) -> list[Message]:
        self.now += 1000 * seconds
        return list(self.dialogue(Tick(ts=self.now, streams=[self.stream])))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def kinds(messages: list[Message]) -> list[str]:
    return ["/".join(message.topic.split("/")[2::2]) for message in messages]


def only(messages: list[Message]) -> Payload:
    assert len(messages) == 1, kinds(messages)
    return decode(messages[0].payload)


def good(value: object, tag: str = "a", ts: int = NOW) -> Reading:
    return Reading(tag=tag, value=value, ts=ts, quality="good")


def bad(tag: str = "a", ts: int = NOW) -> Reading:
    return Reading(tag=tag, value=None, ts=ts, quality="bad", code="BadSensorFailure", reason="wire broken")


# --- births -----------------------------------------------------------------------------------------------------------


def test_it_is_stateful(scene: Scene):
    """The route numbers and orders for us."""
    assert isinstance(scene.dialogue, Stateful)
    assert scene.encoder.snapshots is False


def test_births_say_the_newest_of_every_device(scene: Scene):
    """All devices, also those that are offline; those are dead again at once."""
    scene.add()
    scene.add("meter", state="offline")
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(5)]))
    messages = scene.open()
    assert kinds(messages) == ["NBIRTH", "DBIRTH/press", "DBIRTH/meter", "DDEATH/meter"]
    assert [decode(message.payload).seq for message in messages] == [0, 1, 2, 3]
    assert decode(messages[1].payload).metric("a").value == 5
    assert decode(messages[2].payload).metric("a").is_null
    assert {(message.qos, message.retain) for message in messages} == {(0, False)}
    assert [message.proof for message in messages] == [True, True, True, False]  # who hangs up on a birth is found out
    assert scene.course == "flow"


def test_a_birth_that_awaits_a_value_says_so_to_the_collector(scene: Scene):
    """Null as of now: the first value is said for no time before, or a metric would go back in time."""
    scene.add("press", TagInfo("a", "int16"))
    press = scene.image.devices["press"]
    scene.now += 7
    assert decode(scene.open()[1].payload).metric("a").timestamp == press.awaited == NOW + 7
    press.newest["a"] = good(1)
    scene.now += 2000
    scene.dialogue(Opening(ts=scene.now, streams=[scene.stream]))
    assert press.awaited == NOW + 7  # nothing waits any more


def test_seq_wraps_after_255(scene: Scene):
    """One counter for all messages of the node, modulo 256."""
    scene.add()
    scene.open()
    seqs = [only(scene.record(good(n % 9))).seq for n in range(600)]
    assert seqs == [(n + 2) % 256 for n in range(600)]


def test_bdseq_wraps_and_survives_a_damaged_note(scene: Scene):
    """After 255 comes 0; a note nobody can read counts as none."""
    for stored, expected in ((b"254", 255), (b"255", 0), (b"x", 0)):
        scene.memo.put("sparkplug.bdseq", stored)
        assert scene.begin().bdseq == expected
        assert decode(scene.dialogue.connecting().payload).metric("bdSeq").value == (expected + 1) % 256


def test_a_birth_that_is_too_large_hurts_its_device_only(scene: Scene):
    """The others are born; records of the large one are refused for good, without using up numbers."""
    scene.add("press", *(TagInfo(f"a tag with a long name {n}", "int16") for n in range(100)))
    scene.add("meter")
    messages = scene.open(max_packet_bytes=2000)
    assert kinds(messages) == ["NBIRTH", "DBIRTH/meter"]
    with pytest.raises(Rejected, match="larger than the broker takes"):
        scene.record(good(1, "a tag with a long name 1"))
    assert only(scene.record(good(1), device="meter")).seq == 2


def test_data_is_cut_to_the_brokers_limit(scene: Scene):
    """Several DDATA, each with its own number, together all readings in order."""
    tags = [TagInfo(f"t{n}", "string") for n in range(40)]
    scene.add("press", *tags)
    scene.open(max_packet_bytes=3000)
    messages = scene.record(*(good("x" * 100, info.tag) for info in tags))
    payloads = [decode(message.payload) for message in messages]
    assert len(payloads) > 1
    assert all(len(message.payload) < 3000 for message in messages)
    assert [payload.seq for payload in payloads] == list(range(2, 2 + len(payloads)))
    assert sum(len(payload.metrics) for payload in payloads) == 40
    with pytest.raises(Rejected, match="more than the broker takes"):
        scene.record(good("x" * 4000, "t0"))
    assert only(scene.record(good("x", "t0"))).seq == 2 + len(payloads)


def test_aliases_are_stable_and_unique(scene: Scene):
    """A rebirth says the same numbers; no two metrics share one."""
    scene.add()
    scene.add("meter")
    first = [[m.alias for m in decode(one.payload).metrics] for one in scene.open()]
    second = [[m.alias for m in decode(one.payload).metrics] for one in scene.open()]
    numbers = [alias for aliases in first for alias in aliases if alias is not None]
    assert first == second
    assert len(numbers) == len(set(numbers)) == 4
    birth = decode(scene.open()[0].payload)
    assert [m.name for m in birth.metrics if m.alias is None] == ["bdSeq", "Node Control/Rebirth"]


# --- data -------------------------------------------------------------------------------------------------------------


def test_what_is_older_than_its_birth_is_history(scene: Scene):
    """A record that got its number before the birth is no news after it."""
    scene.add()
    early = scene.stream.next
    scene.stream.next += 1
    scene.open()
    batch = Batch(device="press", ts=NOW, readings=[good(1)])
    late = only(list(scene.dialogue(Record(1, scene.stream, early, NOW, batch))))
    assert late.metrics[0].is_historical
    assert not only(scene.record(good(2))).metrics[0].is_historical


def test_quality_is_said_while_it_is_not_good_and_once_when_it_is_again(scene: Scene):
    """BAD with code and reason, then 192, then nothing."""
    scene.add()
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(5)]))
    scene.open()
    qualities = []
    for reading in (bad(), good(1), good(2)):
        metric = only(scene.record(reading)).metrics[0]
        quality = metric.property("Quality")
        qualities.append(None if quality is None else quality.value)
        assert metric.is_null is (reading.value is None)
    assert qualities == [0, 192, None]


def spoken(metric: Metric) -> dict[str, object]:
    """Properties of a metric; None is null."""
    return {key: one.value for key, one in zip(metric.keys, metric.properties, strict=True)}


def test_what_was_said_of_a_value_is_taken_back(scene: Scene):
    """Hosts keep the properties they were told last: code and reason of a fault must not stand beside a good value."""
    scene.add()
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(5)]))
    scene.open()
    assert spoken(only(scene.record(bad())).metrics[0]) == {
        "Quality": 0, "Code": "BadSensorFailure", "Reason": "wire broken",
    }  # fmt: skip
    doubtful = Reading("a", 5, NOW, "uncertain", code="UncertainSensorNotAccurate")
    taken = only(scene.record(doubtful)).metrics[0]
    assert spoken(taken) == {"Quality": 500, "Code": "UncertainSensorNotAccurate", "Reason": None}
    assert [one.is_null for one in taken.properties] == [False, False, True]
    assert spoken(only(scene.record(good(1))).metrics[0]) == {"Quality": 192, "Code": None}
    assert spoken(only(scene.record(good(2))).metrics[0]) == {}


def labelled(value: int, label: str | None, **keys: Any) -> Reading:
    return Reading("a", value, NOW, "good", label=label, **keys)


def test_the_text_of_a_value_stands_beside_it(scene: Scene):
    """In births, data and history; a value without one takes the last one back, history takes back nothing."""
    scene.add()
    scene.image.update(Batch(device="press", ts=NOW, readings=[labelled(1, "running")]))
    assert spoken(decode(scene.open()[1].payload).metric("a")) == {"Label": "running"}
    assert spoken(only(scene.record(labelled(0, "gestört"))).metrics[0]) == {"Label": "gestört"}
    assert spoken(only(scene.record(labelled(1, "running"), historical=True)).metrics[0]) == {"Label": "running"}
    assert spoken(only(scene.record(labelled(7, None), historical=True)).metrics[0]) == {}
    assert spoken(only(scene.record(labelled(7, None))).metrics[0]) == {"Label": None}
    assert spoken(only(scene.record(labelled(8, None))).metrics[0]) == {}
    assert spoken(only(scene.record(labelled(1, "running"))).metrics[0]) == {"Label": "running"}
    assert spoken(only(scene.record(bad())).metrics[0])["Label"] is None


def test_a_recovery_is_said_also_where_a_record_is_cut(scene: Scene):
    """What was made and not sent has not been said."""
    tags = [TagInfo(f"t{n}", "string") for n in range(40)]
    scene.add("press", *tags)
    scene.open(max_packet_bytes=3000)  # nothing was read: all are BAD
    messages = scene.record(*(good("x" * 100, info.tag) for info in tags))
    assert len(messages) > 1
    qualities = [spoken(metric)["Quality"] for message in messages for metric in decode(message.payload).metrics]
    assert qualities == [192] * 40


def test_a_rejected_record_has_said_nothing(scene: Scene):
    """One value is larger than the broker takes: the recovery of the others is said with the next record."""
    scene.add("press", TagInfo("a", "int16"), TagInfo("b", "string"))
    scene.open(max_packet_bytes=1000)
    with pytest.raises(Rejected, match="tag b"):
        scene.record(good(1), good("x" * 2000, "b"))
    assert spoken(only(scene.record(good(2))).metrics[0]) == {"Quality": 192, "Code": None}


def test_a_time_before_1970_costs_nobody_his_value(scene: Scene):
    """A source with a wrong clock: two's complement, which hosts in Java read as the time it was."""
    scene.add("press", TagInfo("a", "int16"), TagInfo("b", "int16"))
    old = good(1, "a", -11_644_473_600_000)
    scene.image.update(Batch(device="press", ts=NOW, readings=[old]))
    born = decode(scene.open()[1].payload).metric("a")
    payload = only(scene.record(good(2, "b"), old))
    assert [metric.value for metric in payload.metrics] == [1, 2]
    for metric in (born, payload.metrics[0]):
        assert metric.timestamp == 2**64 - 11_644_473_600_000


def test_a_value_beyond_its_float_is_no_infinity(scene: Scene):
    """Protobuf would make infinity of it, with quality good: the type grows instead, to what says it exactly."""
    scene.add("press", TagInfo("a", "float32"))
    scene.open()
    birth, data = scene.record(good(3.5e38))
    assert decode(birth.payload).metric("a").datatype == 10
    assert decode(data.payload).metrics[0].value == 3.5e38
    birth, data = scene.record(good(2**53 + 1))
    assert decode(birth.payload).metric("a").datatype == 12
    assert decode(data.payload).metrics[0].value == str(2**53 + 1)


@pytest.mark.parametrize("kind", ["float32", "float64", "float64[]", "int16", "string", None])
@pytest.mark.parametrize("value", [math.nan, -math.inf, [1.5, math.nan], {"x": [math.inf]}])
def test_what_is_not_finite_is_bad_and_null(scene: Scene, kind: str | None, value: object):
    """In births and in data; it teaches no type."""
    scene.add("press", TagInfo("a", kind))
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(value)]))
    born = decode(scene.open()[1].payload).metric("a")
    metric = only(scene.record(good(value))).metrics[0]
    for one in (born, metric):
        assert (one.is_null, one.value, spoken(one)["Quality"]) == (True, None, 0)
        assert spoken(one)["Code"] == "BadOutOfRange"
    assert only(scene.record(good(value), historical=True)).metrics[0].is_null


def test_history_does_not_touch_live_quality(scene: Scene):
    """A bad value of yesterday does not make today's good one a recovery."""
    scene.add()
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(5)]))
    scene.open()
    metric = only(scene.record(bad(), historical=True)).metrics[0]
    assert (metric.is_historical, metric.keys) == (True, ["Quality", "Code", "Reason"])
    assert only(scene.record(good(1))).metrics[0].keys == []


def test_metrics_stand_in_the_order_of_their_times(scene: Scene):
    """Sources with clocks of their own do not answer so; a recovery is said all the same."""
    scene.add("press", TagInfo("a", "int16"), TagInfo("b", "int16"))
    scene.open()  # nothing was read: both are BAD
    payload = only(scene.record(good(1, "a", NOW + 5), good(2, "b", NOW + 1)))
    assert [metric.timestamp for metric in payload.metrics] == [NOW + 1, NOW + 5]
    assert [metric.keys for metric in payload.metrics] == [["Quality", "Code"], ["Quality", "Code"]]


def test_a_value_that_does_not_fit_its_type_widens_it(scene: Scene):
    """A scaled int16 holds 61.2: the device is born anew as Double, and so after a restart."""
    scene.add()
    scene.open()
    messages = scene.record(good(61.2))
    assert kinds(messages) == ["DBIRTH/press", "DDATA/press"]
    assert decode(messages[0].payload).metric("a").datatype == 10
    assert decode(messages[1].payload).metrics[0].value == 61.2
    scene.begin()
    assert decode(scene.open()[1].payload).metric("a").datatype == 10


def test_a_birth_widens_types_too(scene: Scene):
    """What was read before the session may not fit either."""
    scene.add()
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(2**40)]))
    metric = decode(scene.open()[1].payload).metric("a")
    assert (metric.datatype, metric.value) == (4, 2**40)


def test_types_the_device_tells_bear_it_anew(scene: Scene):
    """An unknown type is guessed; when it is learned, one DBIRTH says it, and a state without news says nothing."""
    scene.add("press", TagInfo("a"))
    assert decode(scene.open()[1].payload).metric("a").datatype == 10
    scene.image.describe("press", {0: "uint8"})
    assert decode(scene.changed()[0].payload).metric("a").datatype == 5
    assert scene.changed() == []


def test_readings_without_a_metric_are_declared_as_lost(scene: Scene):
    """A tag of an older catalogue costs itself only, and not in silence."""
    scene.add()
    scene.open()
    data, loss = scene.record(good(1), good(2, "gone"), good(3, "away", NOW + 5), historical=True)
    assert [m.value for m in decode(data.payload).metrics] == [1]
    assert (loss.topic, decode(loss.payload).seq, loss.proof) == ("spBv1.0/plant/NDATA/gw-01", 3, True)
    said = json.loads(str(decode(loss.payload).metrics[0].value))
    assert (said["kind"], said["device"], said["tags"], said["readings"]) == ("dropped", "press", ["away", "gone"], 2)
    assert (said["epoch"], said["from_seq"], said["to_seq"], said["records"]) == ("01KB2X", 1, 1, None)
    assert (said["from_ts"], said["to_ts"]) == (NOW, NOW + 5)
    assert kinds(scene.record(good(2, "gone"), historical=True)) == ["NDATA"]
    scene.stream.next = 1  # an outage: the first record comes again, and declares the same loss, not another
    again = scene.record(good(1), good(2, "gone"), good(3, "away", NOW + 5), historical=True)
    assert json.loads(str(decode(again[1].payload).metrics[0].value))["id"] == said["id"]


def test_a_cut_record_declares_all_it_could_not_say(scene: Scene):
    """Once, however many messages it takes."""
    scene.add()
    scene.open(max_packet_bytes=1000)
    readings = [good(at, tag) for at in range(100) for tag in ("a", "gone")]
    *data, loss = scene.record(*readings, historical=True)
    assert len(data) > 1
    assert sum(len(decode(one.payload).metrics) for one in data) == 100
    assert json.loads(str(decode(loss.payload).metrics[0].value))["readings"] == 100


def test_records_of_a_removed_device_are_refused(scene: Scene):
    """There is no birth to say them under: quarantine, which is declared."""
    scene.add()
    scene.open()
    scene.image.remove("press")
    assert kinds(scene.changed()) == ["DDEATH/press"]
    with pytest.raises(Rejected, match="not configured"):
        scene.record(good(1))


def test_a_gap_is_declared_as_a_metric_of_the_node(scene: Scene):
    """NDATA; the newest one stands in every later NBIRTH."""
    scene.add()
    scene.open()
    gap = Gap(
        id="01K", kind="dropped", device="press", from_ts=1, to_ts=2, reason="full", epoch="E", from_seq=3, to_seq=9
    )
    messages = list(scene.dialogue(Record(1, scene.stream, 0, NOW, gap)))
    assert kinds(messages) == ["NDATA"]
    assert json.loads(str(only(messages).metrics[0].value))["to_seq"] == 9
    scene.now += 60_000
    birth = decode(scene.open()[0].payload)
    assert '"to_seq":9' in str(birth.metric("Edge Agent/Gap").value)
    assert birth.metric("Edge Agent/Gap").timestamp == NOW  # it is no news
    assert [metric.timestamp for metric in birth.metrics] == sorted(metric.timestamp or 0 for metric in birth.metrics)


@pytest.mark.parametrize("note", [b"", b"{}", b"x {}", b"12"])
def test_a_damaged_note_of_the_last_gap_is_none(scene: Scene, note: bytes):
    """Nothing is said that nobody can read."""
    scene.memo.put("sparkplug.gap", note)
    assert decode(scene.open()[0].payload).metric("Edge Agent/Gap").is_null


# --- devices ----------------------------------------------------------------------------------------------------------


def test_a_lost_device_dies_and_comes_back(scene: Scene):
    """DDEATH at once; its offline readings say nothing more; DBIRTH when it is back."""
    scene.add()
    scene.open()
    scene.image.set_state("press", "offline", now=NOW, reason="cable")
    assert kinds(scene.changed()) == ["DDEATH/press"]
    assert scene.changed() == []
    assert scene.record(bad()) == []
    scene.image.set_state("press", "degraded", now=NOW)
    assert kinds(scene.changed()) == ["DBIRTH/press"]


def test_a_dead_device_is_born_for_its_history(scene: Scene):
    """What it had to say is said, and when no more comes it is dead again."""
    scene.add(state="offline")
    assert kinds(scene.open()) == ["NBIRTH", "DBIRTH/press", "DDEATH/press"]
    assert kinds(scene.record(good(1), historical=True)) == ["DBIRTH/press", "DDATA/press"]
    assert kinds(scene.record(good(2), historical=True)) == ["DDATA/press"]
    assert [kinds(scene.tick()) for _ in range(6)] == [[], [], [], [], ["DDEATH/press"], []]


def test_devices_of_other_routes_are_not_born(scene: Scene):
    """The `devices:` globs of the publisher count."""
    scene.add()
    scene.wanted = False
    assert kinds(scene.open()) == ["NBIRTH"]
    assert scene.changed() == []


# --- goodbye ----------------------------------------------------------------------------------------------------------


def test_goodbye_is_a_death_for_each(scene: Scene):
    """DDEATH for every device, then NDEATH at QoS 1 with the session's bdSeq and no seq."""
    scene.add()
    scene.open()
    messages = list(scene.dialogue(Offline(ts=NOW, streams=())))
    assert kinds(messages) == ["DDEATH/press", "NDEATH"]
    death = decode(messages[-1].payload)
    assert (messages[-1].qos, death.seq, [m.name for m in death.metrics]) == (1, None, ["bdSeq"])
    assert list(scene.dialogue(Offline(ts=NOW, streams=()))) == []


def test_who_was_not_born_does_not_die(scene: Scene):
    """Nothing is said before a birth."""
    scene.add()
    scene.online()
    assert scene.changed() == []
    assert scene.tick() == []
    assert list(scene.dialogue(Offline(ts=NOW, streams=()))) == []


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_rebirth_is_a_new_opening(scene: Scene):
    """The first request opens anew at once; while births rest, records wait for the next one."""
    scene.add()
    scene.open()
    scene.now += 1000
    scene.hear("spBv1.0/plant/NCMD/gw-01", REBIRTH)
    assert scene.course == "open"
    birth = decode(scene.open()[0].payload)
    assert (birth.seq, birth.metric("bdSeq").value) == (0, scene.dialogue.bdseq)
    scene.hear("spBv1.0/plant/NCMD/gw-01", REBIRTH)
    assert (scene.course, scene.dialogue.why) == ("hold", "")
    scene.tick()
    assert scene.course == "open"


@pytest.mark.parametrize(
    ("topic", "payload", "retain"),
    [
        ("spBv1.0/plant/NCMD/gw-01", REBIRTH, True),
        ("spBv1.0/plant/DCMD/gw-01/press", REBIRTH, False),
        ("spBv1.0/plant/NCMD/gw-01", REBIRTH[:-1] + b"\x00", False),
        ("spBv1.0/plant/NCMD/gw-01", b"\xff\xff", False),
        ("spBv1.0/plant/NCMD/gw-01", b"", False),
        ("spBv1.0/STATE/other", b'{"online":false,"timestamp":1}', False),
    ],
)
def test_what_is_no_rebirth_changes_nothing(scene: Scene, topic: str, payload: bytes, retain: bool):
    """Retained, to a device, false, garbage, empty, another host: data flows on."""
    scene.add()
    scene.open()
    scene.now += 5000
    scene.hear(topic, payload, retain=retain)
    assert scene.course == "flow"


def test_a_write_is_refused(scene: Scene):
    """The agent only reads; what else stands in a rebirth command is refused, too."""
    scene.add()
    scene.open()
    scene.now += 1000
    message = Outgoing()
    message.metrics.add(name="a", int_value=7)
    scene.hear("spBv1.0/plant/DCMD/gw-01/press", message.SerializeToString())
    assert scene.course == "flow"
    message.metrics.add(name="Node Control/Rebirth", boolean_value=True)
    scene.hear("spBv1.0/plant/NCMD/gw-01", message.SerializeToString())
    assert scene.course == "open"


def test_refusals_are_logged_with_what_was_asked_and_seldom(scene: Scene):
    """Topic, reason and metrics; a host that asks a hundred times makes no hundred lines."""
    scene.add()
    scene.open()
    write = Outgoing()
    write.metrics.add(name="a", int_value=7)
    write.metrics.add(alias=9, int_value=7)
    topic = "spBv1.0/plant/DCMD/gw-01/press"
    with capture_logs() as logs:
        for _ in range(100):
            scene.hear(topic, write.SerializeToString())
        scene.hear(topic, b"\xff")
        scene.hear("spBv1.0/plant/NCMD/gw-01", REBIRTH, retain=True)
    refused = [log for log in logs if log["event"] == "sparkplug.command_refused"]
    assert [(log["topic"], log["metrics"]) for log in refused] == [
        (topic, ["a", "#9"]), (topic, None), ("spBv1.0/plant/NCMD/gw-01", None),
    ]  # fmt: skip
    assert refused[0]["reason"] == "the agent only reads"
    assert refused[2]["reason"].startswith("retained")


def test_nobody_writes_a_log_of_his_own(scene: Scene):
    """Names are shortened and readable; what asks for nothing, or for a rebirth in other words, is told so."""
    scene.add()
    scene.open()
    scene.now += 5000
    topic = "spBv1.0/plant/NCMD/gw-01"
    odd = Outgoing()
    odd.metrics.add(name="x" * 50_000, int_value=1)
    number = Outgoing()
    number.metrics.add(name="Node Control/Rebirth", int_value=1)
    with capture_logs() as logs:
        scene.hear(topic, odd.SerializeToString() + bytes.fromhex("1206 0a02 fffe 7001"))
        scene.hear(topic, b"")
        scene.hear(topic, number.SerializeToString())
    assert [log["metrics"] for log in logs] == [["x" * 100 + "…", "\ufffd\ufffd"], None, None]
    assert [log["reason"] for log in logs[1:]] == ["it names no metric", "Node Control/Rebirth takes a Boolean"]
    assert scene.course == "flow"


def test_a_state_that_does_not_count_is_logged():
    """An operator looks at the host's clock, not at ours."""
    scene = Scene(primary_host="scada")
    scene.online()
    scene.state(online=True, at=100)
    with capture_logs() as logs:
        scene.state(online=False, at=99)
        scene.hear("spBv1.0/STATE/scada", b"OFFLINE")
    assert [log["event"] for log in logs] == ["sparkplug.host_ignored"] * 2
    assert "older than 100" in logs[0]["reason"]
    assert "not a STATE payload" in logs[1]["reason"]


def test_a_state_ahead_of_our_clock_is_not_believed():
    """One with the last time there is would outweigh all that the host says later, and silence us for good."""
    scene = Scene(primary_host="scada")
    scene.online()
    with capture_logs() as logs:
        scene.state(online=False, at=2**63 - 1)
        scene.state(online=False, at=scene.now + 61_000)
    assert [log["event"] for log in logs] == ["sparkplug.host_ignored"] * 2
    assert "ahead of our clock: check both clocks" in logs[0]["reason"]
    scene.state(online=True, at=scene.now + 59_000)
    assert scene.course == "open"
    unset = Scene(primary_host="scada")
    unset.clock.synced = False  # nobody knows what is ahead
    unset.online()
    unset.state(online=True, at=unset.now + 86_400_000)
    assert unset.course == "open"


# --- the primary host -------------------------------------------------------------------------------------------------


def test_births_wait_for_the_primary_host():
    """Nothing flows before its STATE says online; when it leaves, so do we."""
    scene = Scene(primary_host="scada")
    scene.add()
    scene.online()
    assert scene.course == "hold"
    assert "scada" in scene.dialogue.why
    scene.state(online=False, at=5)
    assert scene.course == "hold"
    scene.state(online=True, at=4)  # older than what we know
    assert scene.course == "hold"
    scene.state(online=True, at=5)
    assert scene.course == "open"
    scene.open()
    scene.state(online=False, at=4)
    assert scene.course == "flow"
    scene.state(online=False, at=6)
    assert (scene.course, scene.dialogue.why) == ("leave", "the primary host scada is offline")
    scene.state(online=True, at=7)
    assert scene.course == "leave"


def test_the_hosts_clock_is_remembered_per_server_and_over_sessions():
    """A retained offline of long ago is not taken for news; another server has its own history."""
    scene = Scene(primary_host="scada")
    scene.online(server="a")
    scene.state(online=True, at=100)
    scene.begin()
    scene.online(server="a")
    scene.state(online=True, at=50)
    assert scene.course == "hold"
    scene.begin()
    scene.online(server="b")
    scene.state(online=True, at=50)
    assert scene.course == "open"


def test_with_several_servers_an_offline_host_is_looked_for_elsewhere():
    """Held and told offline: the next server has its turn."""
    scene = Scene(primary_host="scada")
    scene.online(servers=2)
    scene.state(online=False, at=1)
    assert scene.course == "leave"


@pytest.mark.parametrize("servers", [1, 2])
def test_where_nothing_is_heard_of_the_host_it_may_be_elsewhere(servers: int):
    """A server without any STATE (it forgot what was retained) holds nobody for ever, unless it is the only one."""
    scene = Scene(primary_host="scada")
    scene.online(servers=servers)
    for _ in range(29):
        scene.tick()
    assert scene.course == "hold"
    scene.tick()
    assert scene.course == ("leave" if servers > 1 else "hold")
    assert "scada" in scene.dialogue.why


@pytest.mark.parametrize(
    "payload",
    [b"ONLINE", b"{}", b'{"online":1,"timestamp":2}', b'{"online":true}', b"[]", b"\xff", b'{"x":' * 5000],
)
def test_a_state_nobody_can_read_counts_for_nothing(payload: bytes):
    """Old or broken hosts do not let data flow by accident."""
    scene = Scene(primary_host="scada")
    scene.online()
    scene.hear("spBv1.0/STATE/scada", payload)
    assert scene.course == "hold"


OLD = "STATE/scada"


def test_hosts_of_sparkplug_2_2_are_heard_beside_those_of_3():
    """Without a key; where one of 3 is heard, what is retained from before its update counts for nothing."""
    scene = Scene(primary_host="scada")
    assert OLD in scene.dialogue.listens
    scene.online()
    scene.hear(OLD, b"OFFLINE")
    assert scene.course == "hold"
    scene.hear(OLD, b"ONLINE")
    assert scene.course == "open"
    scene.hear(OLD, b"OFFLINE")
    assert scene.course == "hold"
    scene.hear("spBv1.0/STATE/scada", b"{}")
    scene.state(online=True, at=100)
    assert scene.course == "open"
    scene.hear(OLD, b"OFFLINE")
    assert scene.course == "open"
    scene.state(online=False, at=101)
    with capture_logs() as logs:
        scene.hear(OLD, b"OFFLINE")
        scene.hear(OLD, b"ONLINE")
    assert scene.course == "hold"
    assert [(one["event"], "3.0 says offline" in one["reason"]) for one in logs] == [("sparkplug.host_ignored", True)]


@pytest.mark.parametrize("topic", [OLD, "spBv1.0/STATE/scada", "spBv1.0/plant/NCMD/gw-01"])
def test_what_is_heard_is_small(topic: str):
    """A megabyte on a topic we listen to is not decoded, and is said once."""
    scene = Scene(primary_host="scada")
    scene.online()
    with capture_logs() as logs:
        for _ in range(5):
            scene.hear(topic, b"\x12" * 1_000_000)
    assert scene.course == "hold"
    assert len(logs) == 1


# --- delivery ---------------------------------------------------------------------------------------------------------


def test_strict_data_wants_proof_and_lingers(scene: Scene):
    """QoS 0 with proof, kept for two keep-alives of this broker."""
    scene.add()
    scene.open(keep_alive=15.0)
    message = scene.record(good(1))[0]
    assert (message.qos, message.proof, scene.dialogue.linger) == (0, True, 30.0)


def test_qos1_acknowledges_everything():
    """One QoS for all, so that brokers keep the order; nothing lingers."""
    scene = Scene(delivery="qos1")
    scene.add()
    messages = [*scene.open(), *scene.record(good(1))]
    assert {(message.qos, message.proof) for message in messages} == {(1, False)}
    assert scene.dialogue.linger == 0.0


@pytest.mark.parametrize("group", ["", "a/b", "a+", "#", "line\n"])
def test_ids_are_one_level_of_a_topic(group: str):
    """A group nobody could subscribe to is a mistake of the configuration."""
    with pytest.raises(ValueError, match="Sparkplug id"):
        SparkplugConfig.model_validate({"type": "sparkplug_b", "group": group})


def test_many_misfits_cost_one_birth(scene: Scene):
    """A thousand scaled registers: all types grow at once, in the birth and in data alike."""
    scene.add("press", *(TagInfo(f"t{n}", "int16") for n in range(1000)))
    scene.image.update(Batch(device="press", ts=NOW, readings=[good(0.5, f"t{n}") for n in range(500)]))
    assert [metric.datatype for metric in decode(scene.open()[1].payload).metrics].count(10) == 500
    messages = scene.record(*(good(0.5, f"t{n}") for n in range(1000)))
    assert kinds(messages) == ["DBIRTH/press", "DDATA/press"]
    assert {metric.datatype for metric in decode(messages[0].payload).metrics} == {10}
