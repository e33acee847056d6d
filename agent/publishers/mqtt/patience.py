"""How long an acknowledgement is waited for. Pure; times are monotonic seconds.

MQTT has what was not acknowledged sent again after a reconnect only (4.4), so a broker that has lost a message must be
left, and one that is slow must not.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

#: No acknowledgement at all for so many keep-alives while something waits for one: the broker is stuck, …
STUCK = 3
#: … or for so many this one message, while others are acknowledged: it has forgotten it.
FORGOTTEN = 10
#: The same for so long (two keep-alives, if that is less) at a broker that answers a PINGREQ sent later: it has thrown
#: messages away, as brokers do that bill by the message.
STALLED = 16.0


class Unacknowledged(NamedTuple):
    """The oldest message that is not acknowledged."""

    sent: float
    progress: float  #: last acknowledgement of anything, or bytes that moved
    moved: float  #: bytes that moved
    answered: bool  #: a PINGREQ behind it has been answered
    proven: bool  #: the broker has acknowledged something in this session
    topic: str


class Given(NamedTuple):
    """Waited long enough: end the session."""

    text: str
    too_fast: bool = False


def judge(one: Unacknowledged, now: float, keep_alive: float) -> Given | Literal["wait", "ask"]:
    """What to do about it; ask: send a PINGREQ."""
    silent, waits, patience = now - max(one.progress, one.sent), now - one.sent, min(STALLED, 2 * keep_alive)
    if one.proven and one.answered:
        if silent > patience:
            text = f"the broker has acknowledged nothing for {silent:.0f} s, and answers: too many messages a second?"
            return Given(text, too_fast=True)
        if waits > 2 * patience:
            return Given(f"the broker has thrown a message away: {one.topic}", too_fast=True)
    if silent > STUCK * keep_alive:
        return Given(f"the broker has acknowledged nothing for {STUCK * keep_alive:g} s")
    if now - max(one.moved, one.sent) > FORGOTTEN * keep_alive:
        return Given(f"the broker has not acknowledged a message for {FORGOTTEN * keep_alive:g} s")
    return "ask" if one.proven and (silent > patience / 2 or waits > patience) else "wait"
