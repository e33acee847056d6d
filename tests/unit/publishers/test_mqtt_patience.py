"""How long an acknowledgement is waited for: slow, stuck, forgetful, and brokers that throw away."""

from __future__ import annotations

import pytest

from agent.publishers.mqtt.patience import FORGOTTEN, STALLED, STUCK, Given, Unacknowledged, judge

KEEP_ALIVE = 30.0


def waiting(
    *, progress: float = 0.0, moved: float = 0.0, answered: bool = False, proven: bool = True
) -> Unacknowledged:
    return Unacknowledged(sent=0.0, progress=progress, moved=moved, answered=answered, proven=proven, topic="t")


@pytest.mark.parametrize(
    ("one", "now", "expected"),
    [
        (waiting(), 5.0, "wait"),
        (waiting(), STALLED / 2 + 1, "ask"),
        (waiting(answered=True), STALLED + 1, "too fast"),
        (waiting(), STALLED + 1, "ask"),  # the ping waits behind a slow link
        (waiting(answered=True, proven=False), STALLED + 1, "wait"),  # it never acknowledged anything: not its rate
        (waiting(answered=True, progress=STALLED), STALLED + 1, "ask"),  # others are acknowledged
        (waiting(answered=True, progress=2 * STALLED), 2 * STALLED + 1, "too fast"),  # this one is gone
        (waiting(proven=False), STUCK * KEEP_ALIVE + 1, "stuck"),
        (waiting(progress=FORGOTTEN * KEEP_ALIVE), FORGOTTEN * KEEP_ALIVE + 1, "stuck"),
    ],
)
def test_verdicts(one: Unacknowledged, now: float, expected: str) -> None:
    """A session ends for what only a reconnect brings again, and for nothing that is merely slow."""
    verdict = judge(one, now, KEEP_ALIVE)
    found = ("too fast" if verdict.too_fast else "stuck") if isinstance(verdict, Given) else verdict
    assert found == expected
