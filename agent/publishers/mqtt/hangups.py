"""What can be learned from a broker that disconnects without a reason. Pure.

MQTT 3.1.1 has no DISCONNECT from the server, and mosquitto 2.0 sends none on a takeover. Two things are told apart:

* a packet larger than any this broker has taken was in flight, `TRIES` times in a row, `SOLE` times with nothing on
  other topics beside it: it is probably too large. Where a topic is forbidden, another one of that size is taken;
* sessions end soon after they began, again and again, while connecting always works: probably another client uses our
  client_id, and each throws the other out.
"""

from __future__ import annotations

from typing import NamedTuple

#: So many disconnects in a row are no accident.
TRIES = 3
SOLE = 2
#: A takeover ends a session within this time, seconds: the other one comes back.
SOON = 60.0
#: From this many on we keep away, so that at least the other one can work, …
KEEP_AWAY_AFTER = 6
#: … this long, seconds.
KEEP_AWAY = 60.0
#: A limit learned never goes below this, bytes.
SMALLEST = 1024
#: So much larger than all that was taken, and size is the better guess than the topic.
CLEARLY = 1.25


class End(NamedTuple):
    """How a session ended. Sizes are those of whole packets."""

    hung_up: bool  #: the broker closed the connection, and said nothing
    lasted: float  #: seconds since CONNACK
    largest_flying: int  #: not acknowledged; 0: nothing was in flight
    largest_taken: int  #: acknowledged in this session
    sole: bool = True  #: what was in flight had one topic


class HangupVerdict(NamedTuple):
    """What the next sessions do about it."""

    limit: int | None = None  #: largest packet from now on
    rival: bool = False  #: somebody else uses our client_id: said now, once
    keep_away: float | None = None


class Hangups:
    """Counts from one session to the next."""

    def __init__(self, *, taken: int = 0, large: int = 0, sole: int = 0) -> None:
        self.taken = taken  #: bytes of the largest packet this broker has acknowledged
        self.large = large  #: disconnects in a row with a larger one in flight …
        self.sole = sole  #: … and nothing on another topic
        self._short = 0
        self._idle = False
        self._said = False

    def failed(self) -> None:
        """Connecting failed: the broker is not there, which explains a lot."""
        self._short, self._idle = 0, False

    def ended(self, end: End) -> HangupVerdict:
        """A session is over."""
        self.taken = max(self.taken, end.largest_taken)
        limit = self._too_large(end)
        if limit is not None or self.large:  # a packet that is too large explains it
            self._short, self._idle = 0, False
            return HangupVerdict(limit)
        return HangupVerdict(None, *self._rival(end))

    def _too_large(self, end: End) -> int | None:
        if not end.hung_up or end.largest_flying <= max(self.taken, SMALLEST):
            if end.hung_up or end.largest_taken:
                self.large = self.sole = 0
            return None
        self.large += 1
        self.sole += end.sole
        if self.large < TRIES or self.sole < SOLE:
            return None
        self.large = 1  # size it is: a smaller one that is too large shows sooner
        return max(SMALLEST, self.taken, end.largest_flying // 2)

    def _rival(self, end: End) -> tuple[bool, float | None]:
        if not end.hung_up or end.lasted >= SOON:
            self._short, self._idle = 0, False
            if end.lasted >= SOON:
                self._said = False
            return False, None
        self._short += 1
        self._idle |= not end.largest_flying  # else something that was sent may be the reason
        if self._short < TRIES or not self._idle:
            return False, None
        new, self._said = not self._said, True
        return new, KEEP_AWAY if self._short >= KEEP_AWAY_AFTER else None
