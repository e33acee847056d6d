"""Messages that only their user properties name: the same audit, message by message."""

from __future__ import annotations

import pytest

from agent.consumer.audit import Audit
from agent.consumer.contract import UndecodableError
from agent.consumer.marks import read_marks
from agent.consumer.source import uncovered
from tests.unit.consumer.side import Side

TOPIC = "umh/v1/site/press/_raw/"


class Marks(Side):
    """Feeds marked messages to the audit."""

    def say(self, seq, index, of, *, low=1, lane="live", payload=b"1", topic=None, epoch="E1", **more):
        given = {"agent": "gw", "device": "press", "epoch": epoch, "seq": seq, "low": low, "of": of, "index": index}
        given |= {"historical": "true"} if lane == "historical" else {}
        self.mark(given | more, payload, topic or f"{TOPIC}{index}")

    def mark(self, given, payload=b"1", topic=TOPIC):
        properties = [(name, str(value)) for name, value in given.items()]
        self.audit.feed_marked(topic, payload, properties)

    def records(self, *numbers, of=3, **keys):
        for seq in numbers:
            for index in range(1, of + 1):
                self.say(seq, index, of, **keys)


@pytest.fixture
def side():
    return Marks()


def test_complete_records_are_clean(side):
    """All messages of all records: nothing is found, and every one is counted."""
    side.records(1, 2, 3)
    side.records(4, low=4)
    assert side.audit.findings() == []
    assert side.audit.line().startswith("audit: messages=12 readings=0 missing=0 duplicates=0 undeclared_gaps=0")


def test_one_message_that_never_came_is_named(side):
    """Message 2 of 3 of record 5 is lost: missing once nothing below 6 is waiting, pending before."""
    side.records(4)
    side.say(5, 1, 3)
    side.say(5, 3, 3)
    side.records(6, low=5)
    assert side.audit.ok
    assert side.audit.pending() == 1
    side.records(7, low=6)
    [found] = side.found("missing")
    text = "never came, and nobody declared them lost; 2 of the 3 messages of 5 came, not 2"
    assert str(found) == f"missing gw/press epoch E1 seq 5: {text}"
    assert not side.audit.ok


def test_topics_that_are_not_listened_to_are_named_as_a_cause(side):
    """Of every record the same part came: `umh` says bad readings below the root, the others elsewhere."""
    for seq in range(1, 5):
        side.say(seq, 1, 3)
    side.records(5, low=5)
    [found] = side.found("missing")
    assert (found.first, found.last) == (1, 4)
    assert found.text.endswith("not listened to: --topic FILTER, or -c agent.yaml, hears them")


def test_a_record_of_which_nothing_came_is_missing_as_ever(side):
    """The numbers tell, with or without a word of the agent's status."""
    side.records(1)
    side.records(4, low=4)
    assert side.missing == [("press", 2, 3)]
    assert "came, not" not in side.found("missing")[0].text


def test_many_lost_messages_make_a_line_of_bounded_length(side):
    """A thousand messages, of which every second is lost, in ten records."""
    for seq in range(1, 12):
        for index in range(1, 1001, 1 if seq == 1 else 2):
            side.say(seq, index, 1000)
    side.records(12, low=12, of=1)
    [found] = side.found("missing")
    assert (found.first, found.last) == (2, 11)
    assert "500 of the 1000 messages of 2 came, not 2, 4, 6, 8, 10 and 495 more" in found.text
    assert len(found.text) < 400


def test_a_declared_gap_excuses_its_records(side):
    """Gaps are the same messages whatever the encoder."""
    side.records(1)
    side.gap("dropped", 2, 3)
    side.records(4, low=4)
    assert side.audit.ok
    assert side.audit.gaps == 1


def test_repetitions_are_counted_once_each(side):
    """A window sent again as history, also under other topics and in another shape, is duplicates and no conflict."""
    side.records(1, 2)
    side.records(2, lane="historical", payload=b'{"value":1}', topic="edge/press/t/history")
    side.records(3, low=3)
    assert side.audit.findings() == []
    assert " duplicates=3 " in side.audit.line()


def test_an_incomplete_record_is_filled_by_its_repetition(side):
    """What the first delivery left out comes with the second; nothing is missing then."""
    side.say(1, 1, 2)
    side.records(1, of=2, lane="historical")
    side.records(2, of=2, low=2)
    assert side.audit.findings() == []
    assert " duplicates=1 " in side.audit.line()


def test_one_identity_with_two_contents_is_a_conflict(side):
    """Within a lane a message is the same whenever it comes."""
    side.say(1, 1, 2)
    side.say(1, 1, 2, payload=b"2")
    [found] = side.found("conflict")
    assert (found.device, found.first) == ("press", 1)


def test_order_holds_within_a_record_too(side):
    """Messages of one record rise within a lane, as records do."""
    side.say(1, 2, 3)
    side.say(1, 1, 3)
    [found] = side.found("disorder")
    assert found.text == "came after message 2 of it in the live lane of one session"
    side.say(1, 3, 3)
    side.records(3)
    side.records(2)
    assert [one.first for one in side.found("disorder")][1:] == [2, 2, 2]


def test_a_record_under_way_when_we_came_is_not_held_against_anybody(side):
    """The first message heard is the second of its record: the first one passed before we listened."""
    side.say(7, 2, 3)
    side.say(7, 3, 3)
    side.records(8, 9, low=9)
    assert side.audit.findings() == []
    assert side.audit.pending() == 0


def test_a_session_begins_with_a_snapshot(side):
    """`snapshot` is a property here."""
    side.status("S1", press=("E1", 1, 1))
    side.records(1, snapshot="true")
    assert side.audit.findings() == []
    side.status("S2", press=("E1", 2, 2))
    side.records(2)
    assert [one.kind for one in side.audit.findings()] == ["no_snapshot"]


def test_newest_values_from_before_we_listened_say_nothing(side):
    """They are retained, and of records long gone."""
    side.audit.feed_marked(f"{TOPIC}1", b"1", [("index", "1")], retained=True)
    assert side.audit.messages == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epoch": ""}, "no user property epoch"),
        ({"seq": "x"}, "not numbers"),
        ({"seq": "0"}, "start at 1"),
        ({"low": "0"}, "start at 1"),
        ({"index": "4"}, "index ends with of"),
        ({"of": "-1"}, "not numbers"),
        ({"low": "9" * 30}, "not numbers"),
    ],
)
def test_properties_that_make_no_sense_are_said(side, changed, words):
    """An `undecodable` finding with the topic; the audit goes on."""
    whole = {"agent": "gw", "device": "press", "epoch": "E1", "seq": 1, "low": 1, "of": 3, "index": 1}
    side.mark(whole | changed)
    [found] = side.audit.findings()
    assert found.kind == "undecodable"
    assert words in found.text
    assert TOPIC in found.text
    with pytest.raises(UndecodableError):
        read_marks(TOPIC, b"", [("index", "1")])


def test_what_nobody_can_audit_is_said():
    """Values without properties are counted, with an example; what the contract knows, and empty ones, are none."""
    audit = Audit()
    for topic, payload in (
        ("edge/site/press/t/value", b"1"), ("edge/site/press/u/value", b"1"), ("edge/site/press/t/value", b"2"),
        ("edge/site/press/tags", b"{}"), ("edge/site/press/tags/12", b"{}"), ("edge/site/press/v/value", b""),
    ):  # fmt: skip
        audit.feed(topic, payload)
    audit.feed("edge/site/press/w/value", b"1", retained=True)
    [note] = audit.notes()
    assert note.startswith("note: 3 messages on 2 topics, as edge/site/press/t/value, carry no user properties: ")
    assert audit.ok


def test_a_filter_that_another_covers_is_left_out():
    """A broker may deliver a message once for each filter that matches."""
    assert uncovered(["edge/#", "edge/+/+/value", "umh/v1/#", "umh/v1/a", "edge/#"]) == ["edge/#", "umh/v1/#"]
    assert uncovered(["a/b", "a/+", "+/b/#", "c"]) == ["a/+", "+/b/#", "c"]
    assert uncovered(["a/#", "a"]) == ["a/#"]  # `a/#` takes `a`, too
    assert uncovered(["a/b", "#"]) == ["#"]
    assert uncovered(["a/+", "a/#"]) == ["a/#"]
