"""The books over epochs, sessions and our own absences."""

from __future__ import annotations


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
