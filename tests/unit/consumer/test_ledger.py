"""The books of one stream: what is missing, pending, declared or said twice."""

from __future__ import annotations

import msgspec
import pytest

from agent.consumer.audit import Audit
from agent.consumer.contract import UndecodableError, decode
from agent.consumer.ledger import LISTED
from agent.consumer.state import keep, resume
from agent.consumer.streams import REMEMBERED, HeardStream, StreamKey
from agent.core.errors import PermanentError
from tests.unit.consumer.side import Side


def test_a_complete_stream_is_clean(side):
    """Nothing lost, nothing found; the line says so in the promised words."""
    for seq in range(1, 11):
        side.record(seq, low=seq)
    assert side.audit.ok
    assert side.audit.line().startswith("audit: messages=10 readings=10 missing=0 duplicates=0 undeclared_gaps=0")


def test_a_hole_below_low_is_missing_and_names_device_and_numbers(side):
    """The agent says nothing below 8 is waiting any more, yet 4 to 6 never came."""
    for seq in (1, 2, 3, 7, 8, 9):
        side.record(seq, low=min(seq, 8))
    assert side.missing == [("press", 4, 6)]
    assert str(side.found()[0]).startswith("missing gw/press epoch E1 seq 4-6:")
    assert not side.audit.ok
    assert " missing=3 " in side.audit.line()
    assert " undeclared_gaps=1 " in side.audit.line()


def test_a_hole_at_or_above_low_is_pending(side):
    """What the agent still calls unsent may come; when it comes the hole is gone."""
    side.record(1)
    side.record(5, low=2)
    assert side.audit.ok
    assert side.audit.pending() == 3
    for seq in (2, 3, 4):
        side.record(seq, low=seq, historical=True)
    assert side.audit.pending() == 0
    assert side.audit.historical == 3


def test_a_declared_hole_is_no_defect_wherever_it_is_declared(side):
    """A gap excuses its numbers, whether it comes before or after the hole shows."""
    side.record(1)
    side.gap("dropped", 2, 3)
    side.record(4, low=4)
    side.record(8, low=8)
    assert side.missing == [("press", 5, 7)]
    side.gap("expired", 5, 7)
    assert side.audit.ok
    assert side.audit.gaps == 2


def test_down_excuses_the_time_but_no_number(side):
    """A restart's declaration has a last number, and excuses none of them."""
    side.record(1)
    side.record(5, low=5)
    side.gap("down", None, 5)
    side.gap("down", 1, 5)
    assert side.missing == [("press", 2, 4)]


def test_a_late_listener_does_not_blame_what_was_before(side):
    """Numbers before the first one heard are none of its business."""
    side.record(100, low=100)
    side.record(50, low=50, historical=True)
    side.record(101, low=101)
    assert side.audit.ok
    assert side.audit.pending() == 0


def test_who_joins_during_a_backlog_misses_nothing_that_came_live_before(side):
    """20 to 99 were sent live while nobody listened; what is missing from the first live record on is missing."""
    side.status("S1", retained=True)
    side.record(10, low=10, historical=True)
    side.status("S1", press=("E1", 100, 100))
    assert side.audit.ok
    side.record(100, low=100)
    side.record(19, low=19, historical=True)
    assert side.audit.ok
    side.record(102, low=102)
    assert side.missing == [("press", 101, 101)]


def test_an_epoch_heard_from_its_beginning_counts_from_one(side):
    """The session's first word says low=1: what never comes from there on is missing."""
    side.status("S1", press=("E1", 1, 4))
    side.record(4, low=4, snapshot=True)
    assert side.missing == [("press", 1, 3)]


def test_the_end_is_known_from_the_last_status(side):
    """An agent that says goodbye with next=6 and low=6 has nothing more to say, so 5 is missing."""
    side.record(4, low=4)
    side.status("S1", retained=True)
    side.status("S1", "offline", press=("E1", 6, 6))
    assert side.missing == [("press", 5, 5)]


def test_a_retained_status_claims_nothing(side):
    """It may be half a minute old."""
    side.record(4, low=4)
    side.status("S1", retained=True, press=("E1", 9, 9))
    assert side.audit.ok


def test_repetitions_are_duplicates_even_when_low_and_history_differ(side):
    """Sent again after a broken connection a record is the same record."""
    side.record(1, low=1)
    assert side.record(1, low=1, historical=True) is None
    assert " duplicates=1 " in side.audit.line()
    assert side.audit.readings == 1
    assert side.audit.ok


def test_one_key_with_two_payloads_is_a_conflict(side):
    """The same number with another value is the worst of all."""
    side.record(1)
    side.record(1, value=99)
    assert [f.kind for f in side.found()] == ["conflict"]
    assert not side.audit.ok


def test_parts_make_a_record_only_together(side):
    """A record of three parts is there when all three are."""
    side.record(1)
    for part in ([1, 3], [3, 3]):
        side.record(2, low=2, value=part[0], part=part)
    side.record(3, low=3)
    assert side.missing == [("press", 2, 2)]
    side.record(2, low=3, value=2, part=[2, 3])
    assert side.audit.ok
    side.record(2, low=3, value=2, part=[2, 3])
    assert " duplicates=1 " in side.audit.line()


def test_records_of_which_parts_never_come_are_bounded(side, monkeypatch):
    """Whoever publishes may begin any number of records: the oldest stay holes, the newest can become whole."""
    monkeypatch.setattr("agent.consumer.streams.REMEMBERED", 10)
    for seq in range(1, 31):
        side.record(seq, part=[1, 2])
    (stream,) = side.audit.ledger.streams.values()
    assert sorted(stream.lacking(1, 30)) == list(range(21, 31))
    side.record(30, value=2, part=[2, 2])
    side.record(5, value=2, part=[2, 2])
    side.record(31, low=31)
    assert side.missing == [("press", 1, 29)]


def test_streams_of_devices_are_apart(side):
    """The same numbers of two devices are four records."""
    for device in ("press", "cnc"):
        for seq in (1, 2):
            side.record(seq, low=seq, device=device)
    assert side.audit.ok
    assert " duplicates=0 " in side.audit.line()


def test_books_go_on_in_the_next_audit(side, tmp_path):
    """Counts, holes, declarations and payloads are remembered; what passed in between does not count."""
    side.record(1)
    side.record(4, low=4)
    side.gap("dropped", 2, 2)
    side.record(5, low=4, part=[1, 2])
    keep(side.audit, tmp_path / "state")
    later = Side()
    assert resume(later.audit, tmp_path / "state")
    later.record(5, low=4, part=[2, 2], historical=True)
    later.record(4, low=4, historical=True)
    later.record(1, value=7, historical=True)
    later.record(20, low=20)
    later.record(22, low=22)
    assert later.missing == [("press", 3, 3), ("press", 21, 21)]
    assert [f.kind for f in later.found()] == ["missing", "missing", "conflict"]
    assert later.audit.line().startswith("audit: messages=8 readings=6 missing=2 duplicates=1 ")
    assert "declared_gaps=1" in later.audit.line()
    later.record(3, low=22, historical=True)
    assert later.missing == [("press", 21, 21)]
    keep(later.audit, tmp_path / "state")
    third = Audit()
    assert resume(third, tmp_path / "state")
    assert third.runs == 3
    assert "missing=1" in third.line()


@pytest.mark.parametrize("content", [b"", b"\x80", b"no state", b"\x81\xa7version\x09"])
def test_a_file_that_is_no_state_is_refused(tmp_path, content):
    """It is not overwritten, and what to do is said."""
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(PermanentError, match="holds no state"):
        resume(Audit(), tmp_path / "state")
    assert not resume(Audit(), tmp_path / "none")
    with pytest.raises(PermanentError, match="cannot be kept"):
        keep(Audit(), tmp_path / "nowhere" / "state")


@pytest.mark.parametrize(
    "payload",
    [b"{", b"[]", b"\xff", b'{"schema":"edge.readings.v2"}', b'{"schema":1}'],
)
def test_what_cannot_be_read_is_a_finding_not_a_crash(side, payload):
    """Any bytes may come on a topic."""
    assert side.audit.feed("edge/site/press/readings", payload) is None
    assert [f.kind for f in side.found()] == ["undecodable"]


def test_impossible_numbers_are_undecodable(side):
    """Sequence numbers start at 1, and part 3 of 2 is none."""
    assert side.record(0) is None
    assert side.record(1, low=0) is None
    assert side.record(1, part=[3, 2]) is None
    assert len(side.found("undecodable")) == 3


def test_other_topics_say_nothing():
    """Catalogues, ends of retained messages and foreign roots are passed over; a broken status is said."""
    assert decode("edge/site/press/tags", b"{}") is None
    assert decode("edge/site/press/status", b"") is None
    assert decode("other/press/readings", b"{") is None
    for payload in (b"{}", b'{"state":"online","session":"\xff"}', b'{"x":' * 5000):
        with pytest.raises(UndecodableError, match="edge/site/press/status"):
            decode("edge/site/press/status", payload)


def test_fingerprints_are_bounded():
    """A repetition older than the memory is still a duplicate."""
    stream = HeardStream(StreamKey("gw", "E1", "press"))
    for seq in range(1, REMEMBERED + 10):
        assert stream.hear(seq, 1, None, b"a") == "new"
    assert stream.hear(1, 1, None, b"b") == "duplicate"
    assert stream.hear(REMEMBERED, 1, None, b"b") == "conflict"


def test_contents_of_old_epochs_are_forgotten(side):
    """An agent that starts every hour for weeks costs its audit no memory; what comes twice soon after is known."""
    for epoch in range(1, 7):
        for seq in range(1, 51):
            side.record(seq, low=seq, epoch=f"E{epoch}")
    assert sum(len(stream._fingerprints) for stream in side.audit.ledger.streams.values()) == 3 * 50
    side.record(50, epoch="E5", value="another", historical=True)
    side.record(50, epoch="E1", value="another", historical=True)
    assert [(one.epoch, one.first) for one in side.found("conflict")] == [("E5", 50)]


def test_what_is_found_without_end_is_counted(side):
    """The first thousand of a kind are listed, another kind all the same, and the books keep the count."""
    for number in range(LISTED + 7):
        side.audit.feed("edge/site/press/readings", b"junk %d" % number)
    side.record(1)
    side.record(1, value="another")
    books = Audit()
    books.resume(msgspec.msgpack.decode(msgspec.msgpack.encode(side.audit.dump())))
    for audit in (side.audit, books):
        assert len(audit.findings()) == LISTED + 1
        assert f" undecodable={LISTED + 7} " in audit.line()
        assert audit.notes() == ["note: 7 more findings of kind undecodable"]
        assert not audit.ok


def test_retained_readings_are_somebody_elses(side):
    """No agent retains readings or gaps: what a broker has of them is no word of this one's, and is said."""
    side.record(900, epoch="E0", retained=True)
    side.gap("dropped", 1, 9, retained=True)
    side.record(1)
    side.record(12, low=12)
    side.now += 100
    assert side.missing == [("press", 2, 11)]
    assert side.found("epoch") == []
    assert side.audit.notes() == ["note: 2 retained readings or gaps are left over from others: no agent retains any"]


def test_beside_the_root_others_may_speak(side):
    """`topic:` of a publisher may lie elsewhere: what is ours there counts, what is not is no mistake."""
    side.record(1)
    body = {"agent": "gw", "device": "press", "epoch": "E1", "seq": 2, "low": 2, "ts": 1, "cat": 1, "readings": []}
    side.audit.feed("hall/press/readings", msgspec.json.encode({"schema": "edge.readings.v1", **body}))
    assert side.audit.messages == 2
    for topic, payload in (
        ("hall/x/readings", b"21.5"), ("hall/x/gaps", b"\xff"), ("hall/x/status", b"ON"),
        ("hall/x/readings", msgspec.json.encode({"schema": "other", **body})),
    ):  # fmt: skip
        assert decode(topic, payload) is None
    assert side.audit.findings() == []


# --- what is sent again, and streams told of in parts -----------------------------------------------------------------


def test_what_is_sent_again_stands_outside_the_order(side):
    """It fills holes, is no disorder wherever it comes, and says nothing of its neighbours."""
    side.record(20, low=20, historical=True, resent=True)
    side.record(100, low=100)
    side.record(103, low=103)
    assert side.missing == [("press", 101, 102)]
    side.record(102, low=103, historical=True, resent=True)
    side.record(101, low=103, historical=True, resent=True)
    assert side.found() == []
    side.record(100, low=104, historical=True, resent=True)
    assert side.audit.ledger.counts["duplicate"] == 1
    assert side.found() == []


def test_a_gap_that_answers_a_request_ends_no_epoch(side):
    """Its numbers are declared; the stream goes on, and another epoch still has to be declared."""
    side.record(1)
    side.record(4, low=4)
    side.gap("lost", 2, 3, request="R")
    assert side.found() == []
    side.record(1, epoch="E2", snapshot=True)
    side.now += 60
    assert [finding.kind for finding in side.found()] == ["epoch"]


def test_a_lost_tail_shows_by_what_the_next_epoch_says_of_it(side):
    """The broker lost the last records and the gap with them: the status names the epoch's end."""
    side.status("S0", retained=True)
    side.record(1)
    side.record(2)
    side.status("S2")
    before = [{"epoch": "E1", "next": 6}, {"epoch": "E0", "next": 3}]
    side.streams("S2", press={"epoch": "E2", "low": 1, "next": 2, "before": before})
    side.record(1, epoch="E2", snapshot=True)
    side.now += 60
    assert side.missing == [("press", 3, 5)]
    side.record(3, historical=True, resent=True)
    side.record(4, historical=True, resent=True)
    side.gap("lost", 5, 5, request="R")
    assert side.missing == []


def test_streams_in_parts_count_like_those_of_the_status(side):
    """From where they begin, in the session they belong to only."""
    side.status("S1")
    side.streams("S0", (1, 2), mill={"epoch": "E1", "low": 1, "next": 9})
    side.streams("S1", (1, 2), press={"epoch": "E1", "low": 1, "next": 4})
    side.record(4, low=4, snapshot=True)
    side.record(9, low=9, device="mill", snapshot=True)
    assert side.missing == [("press", 1, 3)]


def test_requests_of_other_consumers_are_not_readings(side):
    """Nobody wonders about them."""
    side._feed("edge/agents/gw/resend", {"id": "R", "device": "press", "epoch": "E1", "from_seq": 1, "to_seq": 2})
    assert side.audit.notes() == []
    assert side.found() == []
