"""Around the readings: status, catalogue, removal, conflict."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import jsonschema
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from agent.core.flow import DeviceChanged, Ended, Gap, Incoming, Message, Offline, Scans, Stream, Tick
from agent.core.image import Elsewhere, TagInfo
from agent.core.ports import RouteInfo
from agent.core.sessions import REMEMBERED, Sessions
from agent.encoders.common.dialogue import StatusDialogue
from agent.encoders.common.rivals import Rivals
from agent.encoders.json import JsonConfig
from tests.support.messages import KINDS, message_schema
from tests.unit.encoders.conftest import NOW, Stage, good, record, said

STATUS = "edge/agents/gw-01/status"
PRESS = "edge/acme/suzhou/press-01"


def validate(kind: str, message: Message) -> None:
    jsonschema.validate(said(message), message_schema(kind))


def topics(messages: Sequence[Message]) -> list[tuple[str, bool]]:
    """Topic, and whether it is emptied."""
    return [(message.topic, not message.payload) for message in messages]


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_schemas(kind: str) -> None:
    """Every published schema is a valid JSON Schema that refuses unknown fields."""
    schema = message_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


def test_the_will(stage: Stage) -> None:
    """The will is retained on the agent's status topic, says offline and the session, and knows no time."""
    dialogue = stage.begin()
    assert dialogue.will is not None
    assert (dialogue.will.topic, dialogue.will.retain, dialogue.will.qos) == (STATUS, True, 1)
    assert said(dialogue.will) == {"state": "offline", "session": dialogue.session}
    validate("agent_will", dialogue.will)
    assert list(dialogue.listens) == [STATUS]
    assert stage.begin().session != dialogue.session


def test_going_online_says_agent_then_devices(stage: Stage) -> None:
    """First the agent's status with its streams, then status and catalogue of every device, all retained."""
    stage.add()
    stage.add("cnc-07", location=["gw-01"], tags=("s1",))
    stage.streams = [Stream("old", "press-01", 90, 88), Stream("new", "press-01", 5, 2), Stream("new", "cnc-07", 1, 1)]
    dialogue = stage.begin()
    messages = stage.online(dialogue, protocol="3.1.1", properties=False)
    assert topics(messages) == [
        (STATUS, False), (f"{PRESS}/status", False), (f"{PRESS}/tags", False),
        ("edge/gw-01/cnc-07/status", False), ("edge/gw-01/cnc-07/tags", False),
    ]  # fmt: skip
    assert all(message.retain and message.qos == 1 for message in messages)
    assert said(messages[0]) == {
        "state": "online", "session": dialogue.session, "version": "0.1.0", "mqtt": "3.1.1",
        "config": {"effective": "abc123", "attempted": "abc123", "error": None}, "shard": "0/1",
        "publisher": "plant", "resend": False,
        "streams": {"press-01": {"epoch": "new", "low": 2, "next": 5}, "cnc-07": {"epoch": "new", "low": 1, "next": 1}},
        "ts": NOW,
    }  # fmt: skip
    assert said(messages[1]) == {
        "state": "offline", "session": dialogue.session, "reason": "not connected yet", "since": NOW,
        "last_good": None, "achieved_ms": None, "scans": {"due": 0, "done": 0, "late": 0}, "readings": 0,
        "ts": NOW,
    }  # fmt: skip
    assert said(messages[2]) == {
        "version": 1,
        "tags": [{"tag": "t1", "type": "float32", "unit": "Cel"}, {"tag": "t2", "type": "float32", "unit": "Cel"}],
    }
    for kind, message in zip(("agent_status", "device_status", "catalogue"), messages, strict=False):
        validate(kind, message)


def test_a_refused_configuration_is_in_the_status(stage: Stage) -> None:
    """What was tried last and why it was refused stand beside what runs, with the next tick."""
    dialogue = stage.begin()
    stage.online(dialogue)
    stage.image.agent = structs.replace(
        stage.image.agent, attempted="def456", error="agent.yaml:3: `x` is not a key", shard="1/3"
    )
    [tick] = dialogue(Tick(ts=NOW + 30_000, streams=[]))
    assert said(tick)["config"] == {
        "effective": "abc123", "attempted": "def456", "error": "agent.yaml:3: `x` is not a key",
    }  # fmt: skip
    assert said(tick)["shard"] == "1/3"
    validate("agent_status", tick)


def test_ticks_and_the_end(stage: Stage) -> None:
    """The status is repeated with every tick, and says offline at the end, with the time."""
    dialogue = stage.begin()
    stage.online(dialogue)
    stream = Stream("e", "press-01", 9, 8)
    [tick] = dialogue(Tick(ts=NOW + 30_000, streams=[stream]))
    assert (said(tick)["state"], said(tick)["ts"], said(tick)["streams"]["press-01"]["next"]) == (
        "online",
        NOW + 30_000,
        9,
    )
    [end] = dialogue(Offline(ts=NOW + 31_000, streams=[stream]))
    assert (said(end)["state"], said(end)["ts"], end.topic, end.retain) == ("offline", NOW + 31_000, STATUS, True)
    validate("agent_status", end)


def test_a_changed_device_says_its_status(stage: Stage) -> None:
    """A change of state is one message; the catalogue comes again only in a new version."""
    stage.add()
    dialogue = stage.begin()
    stage.online(dialogue)
    stage.image.set_state("press-01", "degraded", now=NOW + 5, reason="slow", achieved_ms=2500)
    [status] = dialogue(DeviceChanged(device="press-01", ts=NOW + 5))
    assert said(status) == {
        "state": "degraded", "session": dialogue.session, "reason": "slow", "since": NOW + 5, "last_good": None,
        "achieved_ms": 2500, "scans": {"due": 0, "done": 0, "late": 0}, "readings": 0, "ts": NOW + 5,
    }  # fmt: skip
    stage.image.describe("press-01", {0: "uint16"})
    messages = dialogue(DeviceChanged(device="press-01", ts=NOW + 6))
    assert topics(messages) == [(f"{PRESS}/status", False), (f"{PRESS}/tags", False)]
    assert (said(messages[1])["version"], said(messages[1])["tags"][0]["type"]) == (2, "uint16")


def test_a_changed_state_looks_at_no_other_device(stage: Stage) -> None:
    """Five hundred devices may be lost at once: with a look at all of them for each the loop would stand still."""
    asked: list[str] = []

    def wants(device: str) -> bool:
        asked.append(device)
        return True

    for number in range(40):
        stage.add(f"d{number}")
    dialogue = stage.begin(wants=wants)
    stage.online(dialogue)
    asked.clear()
    stage.image.set_state("d7", "degraded", now=NOW + 5, reason="slow")
    assert len(dialogue(DeviceChanged(device="d7", ts=NOW + 5))) == 1
    assert set(asked) == {"d7"}


def test_a_removed_device_is_said_and_cleared(stage: Stage) -> None:
    """Removal: state removed, then nothing retained on status and catalogue."""
    stage.add()
    dialogue = stage.begin()
    stage.online(dialogue)
    stage.image.remove("press-01")
    messages = dialogue(DeviceChanged(device="press-01", ts=NOW + 7))
    assert topics(messages) == [(f"{PRESS}/status", False), (f"{PRESS}/status", True), (f"{PRESS}/tags", True)]
    assert (said(messages[0])["state"], said(messages[0])["since"]) == ("removed", NOW + 7)
    validate("device_status", messages[0])
    assert all(message.retain for message in messages)
    assert dialogue(DeviceChanged(device="press-01", ts=NOW + 8)) == []


def test_what_was_removed_while_stopped_is_cleared(stage: Stage) -> None:
    """What an earlier run left retained is cleared by the next session, until a tick has passed."""
    stage.add()
    stage.add("cnc-07", location=["line-2"])
    stage.online(stage.begin())
    stage.image.remove("press-01")
    stage.image.remove("cnc-07")
    stage.add("cnc-07", location=["line-3"])
    expected = [
        (f"{PRESS}/status", False), (f"{PRESS}/status", True), (f"{PRESS}/tags", True),
        ("edge/line-2/cnc-07/status", False), ("edge/line-2/cnc-07/status", True), ("edge/line-2/cnc-07/tags", True),
    ]  # fmt: skip
    assert topics(stage.online(stage.begin()))[1:7] == expected  # cut before it was all said: …
    again = stage.begin()
    assert topics(stage.online(again))[1:7] == expected  # … said again
    again(Tick(ts=NOW, streams=[]))
    assert [topic for topic, _ in topics(stage.online(stage.begin()))] == [
        STATUS, "edge/line-3/cnc-07/status", "edge/line-3/cnc-07/tags",
    ]  # fmt: skip


def test_a_device_the_route_no_longer_wants_is_cleared(stage: Stage) -> None:
    """`devices:` of the publisher counts like the configuration."""
    stage.add()
    stage.online(stage.begin())
    messages = stage.online(stage.begin(wants=lambda device: device != "press-01"))
    assert topics(messages)[1:] == [(f"{PRESS}/status", False), (f"{PRESS}/status", True), (f"{PRESS}/tags", True)]


def test_a_device_that_comes_back_is_not_cleared(stage: Stage) -> None:
    """Removed and configured again under the same topic: it stays."""
    stage.add()
    dialogue = stage.begin()
    stage.online(dialogue)
    stage.image.remove("press-01")
    dialogue(DeviceChanged(device="press-01", ts=NOW))
    stage.add()
    assert topics(dialogue(DeviceChanged(device="press-01", ts=NOW))) == [
        (f"{PRESS}/status", False), (f"{PRESS}/tags", False),
    ]  # fmt: skip
    assert len(stage.online(stage.begin())) == 3


def test_records_of_a_moved_device_go_to_the_new_place(stage: Stage) -> None:
    """A new location is a new topic: the old one is cleared, readings follow at once."""
    stage.add()
    dialogue = stage.begin()
    stage.online(dialogue)
    assert dialogue(record([good()]))[0].topic == f"{PRESS}/readings"
    stage.add(location=["acme", "suzhou", "line-9"])
    messages = dialogue(DeviceChanged(device="press-01", ts=NOW))
    assert (f"{PRESS}/status", True) in topics(messages)
    assert ("edge/acme/suzhou/line-9/press-01/tags", False) in topics(messages)
    assert dialogue(record([good()]))[0].topic == "edge/acme/suzhou/line-9/press-01/readings"


def test_a_large_catalogue_is_cut(stage: Stage) -> None:
    """Over the limit, the catalogue goes to /tags/1 …, /tags says how many; parts no longer needed are emptied."""
    many = [TagInfo(tag=f"tag-{n}", description="某个标签" * 5) for n in range(200)]
    stage.add(tags=many)
    dialogue = stage.begin(max_message_bytes=4096)
    messages = stage.online(dialogue)[2:]
    count = len(messages) - 1
    assert count > 1
    assert said(messages[0]) == {"version": 1, "parts": count}
    names: list[str] = []
    for number, message in enumerate(messages[1:], 1):
        assert message.topic == f"{PRESS}/tags/{number}"
        assert len(message.payload) < 4096
        assert said(message)["part"] == [number, count]
        names += [tag["tag"] for tag in said(message)["tags"]]
        validate("catalogue", message)
    validate("catalogue", messages[0])
    assert names == [tag.tag for tag in many]
    stage.add(tags=("t1",), cat=2)
    after = dialogue(DeviceChanged(device="press-01", ts=NOW))
    assert topics(after)[1:] == [(f"{PRESS}/tags", False)] + [(f"{PRESS}/tags/{n}", True) for n in range(1, count + 1)]


def test_a_broken_memo_is_survived(stage: Stage) -> None:
    """A note nobody can read costs the memory of old topics, nothing else."""
    stage.add()
    stage.memo["json.retained"] = b"\xff{"
    assert len(stage.online(stage.begin())) == 3


def test_levels_of_the_location_in_the_prefix(stage: Stage) -> None:
    """ISA-95 variables name levels as they are; one that a device of the past does not have is `_`."""
    stage.add(location=("acme", "苏州", "stamping", "line 1"))
    dialogue = stage.begin(topic="{root}/{enterprise}.{site}/{line}/{agent}/{device}")
    prefix = "edge/acme.苏州/line 1/gw-01/press-01"
    assert {f"{prefix}/status", f"{prefix}/tags"} < {one.topic for one in stage.online(dialogue)}
    heard = dialogue(record([good("t1", 1)]))
    assert [one.topic for one in heard] == [f"{prefix}/readings"]
    gone = dialogue(record([good("t1", 1)], device="gone"))
    assert [one.topic for one in gone] == ["edge/gw-01._/_/gw-01/gone/readings"]


@pytest.mark.parametrize(
    ("session", "state", "retain", "topic", "conflict"),
    [
        ("other", "online", False, STATUS, True),
        ("other", "online", True, STATUS, False),  # stored before we came
        ("other", "offline", False, STATUS, False),  # a will of our own past
        ("own", "online", False, STATUS, False),
        ("other", "online", False, "edge/agents/gw-02/status", False),
    ],
)
def test_conflicts(stage: Stage, session: str, state: str, retain: bool, topic: str, conflict: bool) -> None:
    """Another session that says online on our status topic, live, is a conflict: said once, never answered."""
    dialogue = stage.begin()
    stage.online(dialogue)
    name = dialogue.session if session == "own" else session
    payload = f'{{"state":"{state}","session":"{name}","more":[1]}}'.encode()
    with capture_logs() as logs:
        for _ in range(2):
            assert dialogue(Incoming(topic=topic, payload=payload, retain=retain)) == []
    assert [line["event"] for line in logs] == (["publisher.conflict"] if conflict else [])
    assert dialogue.conflict == ("other" if conflict else None)


def test_who_speaks_between_our_sessions_is_a_conflict(stage: Stage) -> None:
    """Two agents with one client_id put each other out and never meet: what is retained between two sessions tells."""
    encoder = JsonConfig().build(RouteInfo(name="plant", agent="gw-01"))

    def connect(retained: str | None) -> StatusDialogue:
        dialogue = encoder.begin(stage.image, stage.memo)
        assert isinstance(dialogue, StatusDialogue)
        stage.online(dialogue)
        if retained is not None:
            payload = f'{{"state":"offline","session":"{retained}"}}'.encode()
            dialogue(Incoming(topic=STATUS, payload=payload, retain=True))
        return dialogue

    newer, older = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "00000000000000000000000000"
    with capture_logs() as logs:
        first = connect(newer)  # of an earlier run of ours
        second = connect(first.session)
        third = connect(older)  # a broker restored from an old copy
        assert [one.conflict for one in (first, second, third)] == [None, None, None]
        assert [connect(newer).conflict for _ in range(3)] == [newer] * 3  # known of each session, said once
    assert [line["event"] for line in logs] == ["publisher.conflict"]


def test_a_connect_that_was_given_up_is_ours(stage: Stage) -> None:
    """A link that hung lets it through later, and the broker says its will: no stranger, and put right at once."""
    sessions = Sessions()
    stage.online(stage.begin(sessions=sessions))
    given_up = stage.begin(sessions=sessions)
    assert given_up.will is not None
    present = stage.begin(sessions=sessions)
    stage.online(present)
    with capture_logs() as logs:
        assert present(Incoming(topic=STATUS, payload=given_up.will.payload, retain=True)) == []
        [answer] = present(Incoming(topic=STATUS, payload=given_up.will.payload))
    assert (said(answer)["state"], said(answer)["session"]) == ("online", present.session)
    assert present.conflict is None
    assert not logs


def test_a_lasting_conflict_is_said_rarely() -> None:
    """Agents that put each other out begin a session every other second: once a minute says how often."""
    now = 0.0
    rivals = Rivals(lambda: now)
    with capture_logs() as logs:
        for second in range(0, 121, 2):
            now = float(second)
            rivals.heard("gw-01", STATUS, f"session {second}")
    assert [(line["session"], line["repeats"]) for line in logs] == [
        ("session 0", 0), ("session 60", 29), ("session 120", 29),
    ]  # fmt: skip


def test_two_routes_of_one_run_are_one_agent(stage: Stage) -> None:
    """What another route of ours says is no conflict, and its will does not leave the agent offline for everybody."""
    sessions = Sessions()
    one, other = (stage.begin(name=name, sessions=sessions) for name in ("one", "other"))
    [online, *_] = stage.online(other)
    stage.online(one)
    with capture_logs() as logs:
        assert one(Incoming(topic=STATUS, payload=online.payload)) == []
        assert one(Incoming(topic=STATUS, payload=online.payload, retain=True)) == []
        assert other.will is not None
        assert one(Incoming(topic=STATUS, payload=other.will.payload, retain=True)) == []
        streams = [Stream("E", "press-01", 7, 5, 7)]
        [answer] = one(Incoming(topic=STATUS, payload=other.will.payload, streams=streams))
        assert (answer.topic, answer.retain) == (STATUS, True)
        assert said(answer)["streams"] == {"press-01": {"epoch": "E", "low": 5, "next": 7}}
        assert (said(answer)["state"], said(answer)["session"]) == ("online", one.session)
        assert one(Incoming(topic=STATUS, payload=answer.payload)) == []
        assert one.will is not None
        assert one(Incoming(topic=STATUS, payload=one.will.payload)) == []
    assert not logs
    for _ in range(REMEMBERED + 1):  # a route that comes and goes does not push out the other
        stage.online(stage.begin(name="one", sessions=sessions))
    assert other.session in sessions
    stranger = stage.begin(name="one")
    [strange, *_] = stage.online(stranger)
    with capture_logs() as logs:
        one(Incoming(topic=STATUS, payload=strange.payload))
    assert [line["event"] for line in logs] == ["publisher.conflict"]


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[]", b"null", b'{"state":1}', b'{"state":"online","session":"\xff"}', b'{"x":' * 5000]
)
def test_junk_on_our_topic_is_ignored(stage: Stage, payload: bytes) -> None:
    """Whatever somebody writes to our topic, nothing happens."""
    assert stage.begin()(Incoming(topic=STATUS, payload=payload)) == []


# --- streams, earlier ones, and records that are sent again -----------------------------------------------------------


def test_earlier_streams_of_a_device_stand_under_its_present_one(stage: Stage) -> None:
    """Newest first, with what was counted in them; and the device's own status has the present counts."""
    stage.add()
    before = [Ended("old", 7, NOW, 60, Scans(9, 6, 3)), Ended("older", 3, NOW)]
    stage.streams = [Stream("new", "press-01", 5, 2, readings=40, scans=Scans(5, 4, 1), before=before)]
    dialogue = stage.begin(resend=lambda: True)
    status, device, *_ = stage.online(dialogue)
    assert said(status)["resend"] is True
    assert said(status)["streams"]["press-01"]["before"] == [
        {"epoch": "old", "next": 7, "readings": 60, "scans": {"due": 9, "done": 6, "late": 3}},
        {"epoch": "older", "next": 3},
    ]
    assert (said(device)["scans"], said(device)["readings"]) == ({"due": 5, "done": 4, "late": 1}, 40)
    validate("agent_status", status)
    validate("device_status", device)


def test_streams_that_do_not_fit_the_status_stand_beside_it(stage: Stage) -> None:
    """In parts, each within the limit, all of them; parts there were more of before are taken back."""
    many = [Stream(f"01KB2X{number:020}", f"device-{number:03}", 5, 2) for number in range(60)]
    dialogue = stage.begin()
    stage.online(dialogue, max_packet_bytes=1024)
    status, *parts = dialogue(Tick(ts=NOW, streams=many))
    assert (said(status)["streams"], said(status)["streams_parts"]) == ({}, len(parts))
    assert [part.topic for part in parts] == [f"edge/agents/gw-01/streams/{i + 1}" for i in range(len(parts))]
    assert all(len(part.payload) < 1000 and part.retain for part in parts)
    told = {name: one for part in parts for name, one in said(part)["streams"].items()}
    assert told == {one.device: {"epoch": one.epoch, "low": 2, "next": 5} for one in many}
    for part in parts:
        validate("streams_part", part)
    validate("agent_status", status)
    status, *fewer = dialogue(Tick(ts=NOW, streams=many[:25]))
    left = said(status)["streams_parts"]
    assert [part.topic for part in fewer] == [part.topic for part in parts]
    assert [part.payload == b"" for part in fewer] == [i >= left for i in range(len(parts))]
    *gone, end = stage.begin()(Offline(ts=NOW, streams=many[:1]))  # the next session has room for them
    assert said(end)["streams"].keys() == {"device-000"}
    assert [one.topic for one in gone] == [part.topic for part in parts[:left]]
    assert all(one.payload == b"" for one in gone)


def test_a_record_that_is_sent_again_says_so(stage: Stage) -> None:
    """Beside `historical`; a gap that answers a request names it, others do not."""
    stage.add()
    dialogue = stage.begin()
    stage.online(dialogue)
    again = record([good()], historical=True)
    again.resent = True
    [message] = dialogue(again)
    assert (said(message)["historical"], said(message)["resent"]) == (True, True)
    validate("readings", message)
    gap = Gap(
        id="01KB2X", kind="lost", device="press-01", epoch="E", from_seq=3, to_seq=4, from_ts=1, to_ts=2, reason="gone",
        request="A", late=True,
    )  # fmt: skip
    lost = structs.replace(again, content=gap, seq=0)
    [message] = dialogue(lost)
    assert said(message)["request"] == "A"
    assert "late" not in said(message)
    validate("gap", message)
    [message] = dialogue(structs.replace(lost, content=structs.replace(gap, request=None)))
    assert "request" not in said(message)


@pytest.mark.parametrize("devices", [1, 7, 20, 50])
def test_retained_topics_are_published_again_a_share_each_tick(stage: Stage, devices: int) -> None:
    """All of them within ten minutes of ticks, round after round; no tick repeats more than its share of devices."""
    for number in range(devices):
        stage.add(f"d{number}", location=["hall"])
    dialogue = stage.begin()
    around = topics(stage.online(dialogue))[1:]
    for _round in range(2):
        ticks = [topics(dialogue(Tick(ts=NOW, streams=[])))[1:] for _ in range(20)]
        assert sorted(topic for tick in ticks for topic in tick) == sorted(around)
        assert max(len({topic.rpartition("/")[0] for topic, _ in tick}) for tick in ticks) == ceil(devices / 20)


def test_a_device_that_is_gone_is_not_published_again(stage: Stage) -> None:
    """Its topics were emptied when it went and stay so; the others keep their turn."""
    for number in range(40):
        stage.add(f"d{number}", location=["hall"])
    dialogue = stage.begin()
    stage.online(dialogue)
    dialogue(Tick(ts=NOW, streams=[]))
    stage.image.remove("d5")
    dialogue(DeviceChanged(device="d5", ts=NOW))
    again = [topic for _ in range(19) for topic in topics(dialogue(Tick(ts=NOW, streams=[])))[1:]]
    assert {topic for topic, _ in again} == {
        f"edge/hall/d{number}/{part}" for number in range(2, 40) if number != 5 for part in ("status", "tags")
    }
    assert not any(emptied for _, emptied in again)


@pytest.mark.parametrize("stopped", [False, True])
def test_what_another_shard_reads_is_handed_over_in_silence(stage: Stage, *, stopped: bool) -> None:
    """Nothing of a device that moved is taken back, while it runs and after a stop; what is removed then is."""
    stage.add()
    dialogue = stage.begin()
    stage.online(dialogue)
    stage.image.elsewhere = {"press-01": Elsewhere("gw-02", ("acme", "suzhou"))}
    stage.image.remove("press-01")
    if stopped:
        dialogue = stage.begin()
        assert topics(stage.online(dialogue)) == [(STATUS, False)]
    else:
        assert dialogue(DeviceChanged(device="press-01", ts=NOW)) == []
    assert dialogue(record([good()]))[0].topic == f"{PRESS}/readings"  # what still waits finds its topic
    stage.image.elsewhere = {}
    dialogue(Tick(ts=NOW, streams=[]))
    assert topics(stage.online(stage.begin())) == [(STATUS, False)]  # whoever reads it now takes it back


@pytest.mark.parametrize(
    ("topic", "location"),
    [("{root}/{agent}/{device}", ("acme", "suzhou")), ("{root}/{location}/{device}", ("acme", "wuxi"))],
)
def test_topics_the_other_shard_has_not_are_taken_back(stage: Stage, topic: str, location: tuple[str, ...]) -> None:
    """Where the device has another place there, nobody else would ever clear the old one."""
    stage.add()
    dialogue = stage.begin(topic=topic)
    stage.online(dialogue)
    stage.image.elsewhere = {"press-01": Elsewhere("gw-02", location)}
    stage.image.remove("press-01")
    messages = dialogue(DeviceChanged(device="press-01", ts=NOW))
    emptied = [name.rpartition("/")[2] for name, empty in topics(messages) if empty]
    assert emptied == ["status", "tags"]
