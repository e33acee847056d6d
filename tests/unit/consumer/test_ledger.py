from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.consumer.audit import Audit
from agent.consumer.contract import UndecodableError, decode
from agent.consumer.state import keep, resume
from agent.consumer.streams import REMEMBERED, HeardStream, StreamKey
from agent.core.errors import PermanentError

KEY = StreamKey("gw", "E1", "press")


class Side:
    """Writes the contract's messages and feeds them to an audit."""

    def __init__(self):
        self.now = 1000.0
        self.audit = Audit(monotonic=lambda: self.now)

    def record(self, seq, *, low=1, device="press", epoch="E1", value=None, **extra):
        readings = [{"tag": "t", "value": seq if value is None else value, "ts": 1, "quality": "good"}]
        body = {
            "schema": "edge.readings.v1", "agent": "gw", "device": device, "epoch": epoch, "seq": seq, "low": low,
            "ts": 1, "cat": 1, "readings": readings,
        }  # fmt: skip
        return self._feed(f"edge/site/{device}/readings", body | extra)

    def gap(self, kind="dropped", first=None, last=None, *, epoch="E1", device="press"):
        body = {
            "id": "G", "kind": kind, "agent": "gw", "device": device, "epoch": epoch, "from_seq": first,
            "to_seq": last, "from_ts": 1, "to_ts": 2, "tags": None, "records": None, "readings": None, "reason": "r",
        }  # fmt: skip
        return self._feed(f"edge/site/{device}/gaps", body)

    def status(self, session, state="online", *, retained=False, **streams):
        claims = {
            device: {"epoch": epoch, "low": low, "next": following}
            for device, (epoch, low, following) in streams.items()
        }
        return self._feed(
            "edge/agents/gw/status", {"state": state, "session": session, "streams": claims}, retained=retained
        )

    def _feed(self, topic, body, *, retained=False):
        return self.audit.feed(topic, msgspec.json.encode(body), retained=retained)

    def found(self, kind=None):
        return [f for f in self.audit.findings() if kind is None or f.kind == kind]

    @property
    def missing(self):
        return [(f.device, f.first, f.last) for f in self.found("missing")]


@pytest.fixture
def side():
    return Side()


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


def test_a_new_epoch_needs_a_word_about_the_old_one(side):
    """After a restart `down` names the epoch before; silence is found once its backlog had time to come."""
    side.record(1)
    side.record(1, epoch="E2")
    assert side.audit.ok
    side.now += 11
    assert [f.kind for f in side.found()] == ["epoch"]
    side.gap("down", None, 1, epoch="E1")
    assert side.audit.ok


def test_two_agents_that_speak_by_turns_under_one_id_are_a_conflict(side):
    """An epoch that was followed by another is over; when it speaks live again there are two agents. Said once."""
    for seq in (1, 2, 3):
        side.record(seq, epoch="E1", snapshot=True)
        side.record(seq, epoch="E2", snapshot=True)
    assert [(f.kind, f.epoch) for f in side.found("conflict")] == [("conflict", "E1")]


def test_a_running_backlog_delays_the_word_about_the_old_epoch(side):
    """The declaration waits behind the backlog, so the backlog's progress excuses it."""
    for seq in (1, 2):
        side.record(seq)
    side.record(1, epoch="E2")
    side.now += 9
    side.record(3, historical=True)
    side.now += 9
    assert side.audit.ok


def test_an_epoch_that_is_over_owes_its_numbers_to_the_last(side):
    """`down` tells the last number; what the backlog did not bring once it is quiet is missing."""
    side.status("S1", press=("E1", 1, 1))
    for seq in (1, 2, 4):
        side.record(seq, snapshot=True)
    side.status("S1", "offline")
    side.status("S2", press=("E2", 1, 1))
    side.record(1, epoch="E2", snapshot=True)
    side.gap("down", None, 6)
    assert (side.missing, side.audit.pending()) == ([], 3)
    side.now += 14
    side.record(5, historical=True)
    side.now += 14
    assert (side.missing, side.audit.pending()) == ([], 2)
    side.now += 2
    assert (side.missing, side.audit.pending()) == ([("press", 3, 3), ("press", 6, 6)], 0)
    side.status("S2", "offline", press=("E2", 2, 2))
    assert side.missing == []


def test_a_lost_tail_of_unknown_length_is_declared(side):
    """After a power cut: from 5 on, nobody knows to where."""
    for seq in (1, 2, 4):
        side.record(seq, low=4)
    side.gap("lost", 5, None)
    side.record(8, low=9)
    assert side.missing == [("press", 3, 3)]
    assert side.audit.pending() == 0


def test_a_lost_store_is_a_word_about_the_epoch_before(side):
    """Where not even the epoch is known any more, saying so is all that can be said."""
    side.record(1)
    side.record(1, epoch="E2")
    side.gap("lost", None, None, epoch=None)
    side.now += 20
    assert side.found("epoch") == []


def test_streams_of_devices_are_apart(side):
    """The same numbers of two devices are four records."""
    for device in ("press", "cnc"):
        for seq in (1, 2):
            side.record(seq, low=seq, device=device)
    assert side.audit.ok
    assert " duplicates=0 " in side.audit.line()


def test_order_holds_within_a_lane_of_a_session(side):
    """Backlog beside live is no disorder; a step back within one lane is; a new session starts anew."""
    side.status("S1", press=("E1", 1, 1))
    side.record(1, snapshot=True)
    side.record(5)
    side.record(2, historical=True)
    side.record(6)
    side.record(3, historical=True)
    assert side.found("disorder") == []
    side.record(4)
    assert [(f.first, f.kind) for f in side.found("disorder")] == [(4, "disorder")]
    side.status("S2", press=("E1", 7, 9))
    side.record(8, low=7, snapshot=True)
    side.record(7, low=7, historical=True)
    assert len(side.found("disorder")) == 1


def test_first_live_record_of_a_session_is_a_snapshot(side):
    """For each device; backlog before it does not count, and a session we came into late owes us nothing."""
    side.status("S0", retained=True)
    side.record(1)
    side.status("S1", press=("E1", 2, 2))
    side.record(2, historical=True)
    side.record(3, snapshot=True)
    side.record(4)
    side.record(1, device="cnc")
    assert [(f.device, f.kind) for f in side.found()] == [("cnc", "no_snapshot")]


def test_two_routes_of_one_agent_take_turns(side):
    """Their sessions alternate on one status topic: neither begins anew by that, and each still owes its snapshot."""
    side.status("A")
    side.record(1, snapshot=True)
    side.status("B")
    side.record(1, device="cnc", epoch="E2", snapshot=True)
    for seq in range(2, 6):
        side.status("A", press=("E1", seq, seq))
        side.record(seq)
        side.record(seq, device="cnc", epoch="E2")
        side.status("B", cnc=("E2", seq, seq))
        side.record(seq + 10, low=2)
        side.record(seq + 10, device="cnc", epoch="E2", low=2)
    assert side.found("no_snapshot") == []
    side.status("A", "offline")  # its will; B goes on
    side.record(100, device="cnc", epoch="E2", low=2)
    side.status("C", press=("E1", 2, 101))
    side.record(101, device="cnc", epoch="E2", low=2)
    assert side.found("no_snapshot") == []
    side.record(101, low=2)
    assert [(f.device, f.kind) for f in side.found("no_snapshot")] == [("press", "no_snapshot")]


def test_a_late_will_changes_nothing(side):
    """Offline of a session that is not the agent's present one is old news."""
    side.status("S1", press=("E1", 1, 1))
    side.record(1, snapshot=True)
    side.status("S0", "offline")
    side.record(2)
    assert side.found() == []


def test_our_own_absence_is_not_the_agents_fault(side):
    """What was missing before stays missing; what passed while we were away does not count."""
    side.record(1)
    side.record(4, low=4)
    side.audit.interrupted()
    side.record(40, low=40)
    side.record(42, low=42)
    assert side.missing == [("press", 2, 3), ("press", 41, 41)]
    assert [(f.first, f.last) for f in side.found("unheard")] == [(5, 39)]
    assert side.audit.line().endswith("unheard=35")
    for seq in range(5, 40):  # sent again
        side.record(seq, low=42, historical=True)
    assert side.found("unheard") == []
    assert side.missing == [("press", 2, 3), ("press", 41, 41)]


def test_what_was_pending_when_our_session_was_lost_may_be_lost_with_it(side):
    """It came while we were away, or never: unheard, not missing. What is not acknowledged yet is still pending."""
    side.record(1)
    side.record(3, low=2)
    side.audit.interrupted()
    assert [(hole.first, hole.last) for hole in side.audit.pending_holes()] == [(2, 2)]
    side.record(6, low=5)
    assert [(f.kind, f.first, f.last) for f in side.found()] == [("unheard", 2, 2), ("unheard", 4, 4)]
    assert [(hole.first, hole.last) for hole in side.audit.pending_holes()] == [(5, 5)]


def test_an_epoch_that_ended_while_we_were_away_is_unheard(side):
    """Its last number is declared afterwards; what we have not of it is named, once its agent has been quiet."""
    side.status("S1", press=("E1", 1, 1))
    side.record(1, snapshot=True)
    side.audit.interrupted()
    side.status("S2", press=("E2", 1, 1))
    side.record(1, epoch="E2", snapshot=True)
    side.gap("down", last=4)
    assert side.audit.pending() == 3
    side.now += 60
    assert [(f.kind, f.epoch, f.first, f.last) for f in side.found()] == [("unheard", "E1", 2, 4)]


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
    stream = HeardStream(KEY)
    for seq in range(1, REMEMBERED + 10):
        assert stream.hear(seq, 1, None, b"a") == "new"
    assert stream.hear(1, 1, None, b"b") == "duplicate"
    assert stream.hear(REMEMBERED, 1, None, b"b") == "conflict"


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


# --- against a brute-force model --------------------------------------------------------------------------------------


@st.composite
def histories(draw):
    """What a correct agent sends over several connections, with what is declared lost: (kind, ...) in order."""
    count = draw(st.integers(1, 40))
    dropped = draw(st.sets(st.integers(2, count), max_size=8)) if count > 1 else set()
    first = draw(st.integers(1, count))
    order = [seq for seq in range(1, count + 1) if seq not in dropped]
    late = [seq for seq in order if seq > first and draw(st.integers(0, 3)) == 0]
    live = [seq for seq in order if seq not in late]
    events = [("record", seq) for seq in live] + [("late", seq) for seq in late]
    events += [("gap", seq) for seq in dropped]
    for event in draw(st.lists(st.sampled_from(events), max_size=5)):
        events.insert(draw(st.integers(events.index(event) + 1, len(events))), event)
    return events


def play(events):
    """Feed the events with a truthful `low`: nothing below it is unsent or undeclared at that moment."""
    side = Side()
    remaining: dict[int, int] = {}
    for place, event in enumerate(events):
        remaining.setdefault(event[1], place)
    for place, (kind, seq) in enumerate(events):
        open_numbers = [number for number, first in remaining.items() if first >= place]
        low = min(open_numbers, default=max(remaining) + 1)
        if kind == "gap":
            side.gap("dropped", seq, seq)
        else:
            side.record(seq, low=low, historical=kind == "late")
    return side


@given(events=histories())
def test_a_correct_agent_is_never_blamed(events):
    """Whatever the order of backlog, live, gaps and repetitions: nothing is missing, nothing pending at the end."""
    side = play(events)
    assert side.audit.ok
    assert side.audit.pending() == 0
    assert side.audit.ledger.counts["duplicate"] == sum(kind != "gap" for kind, _ in events) - len(
        {seq for kind, seq in events if kind != "gap"}
    )


@given(events=histories(), data=st.data())
def test_whatever_is_taken_out_is_found(events, data):
    """Drop every copy of one record between the first and the last, and exactly that number is missing."""
    heard = [seq for kind, seq in events if kind != "gap"]
    inner = [seq for seq in set(heard) if heard[0] < seq < max(heard)]
    if not inner:
        return
    victim = data.draw(st.sampled_from(inner))
    mutated = [event for event in events if event[1] != victim]
    side = play(mutated)
    side.record(max(heard) + 1, low=max(heard) + 1)
    assert side.missing == [("press", victim, victim)]


@given(events=histories(), data=st.data())
def test_a_second_payload_under_one_key_is_found(events, data):
    """Say one number again with another value anywhere later: a conflict, and nothing else."""
    side = play(events)
    victim = data.draw(st.sampled_from([seq for kind, seq in events if kind != "gap"]))
    side.record(victim, value=-1)
    assert [(f.kind, f.first) for f in side.found() if f.kind != "disorder"] == [("conflict", victim)]


@given(
    messages=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=40),
    gaps=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=4),
)
def test_holes_are_those_of_the_definition(messages, gaps):
    """Arbitrary numbers and lows: missing = below low, pending = from low on, both from base and undeclared."""
    stream = HeardStream(KEY)
    for seq, low in messages:
        stream.hear(seq, low, None, b"")
    for first, more in gaps:
        stream.declare(first, first + more)
    seen = {seq for seq, _ in messages}
    declared = {first + offset for first, more in gaps for offset in range(more + 1)}
    base, low, end = messages[0][0], max(low for _, low in messages), max(seen) + 1
    expected = {
        number: "missing" if number < low else "pending" for number in range(base, end) if number not in seen | declared
    }
    found = {number: hole.state for hole in stream.holes() for number in range(hole.first, hole.last + 1)}
    assert found == expected
