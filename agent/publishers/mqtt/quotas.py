"""Whose quota PUBACK 0x97 speaks of: the connection's, or that of one topic (a full queue behind it). Pure.

A connection that is too fast has now this topic refused, now that one, and a slower one helps. Where the same topic is
refused again and again while others are taken, nothing but its own data is to wait.
"""

from __future__ import annotations

#: So many refusals of a topic in a row, with others taken between them, are no accident …
_SURE = 3
#: … so many where another topic was such a one.
_LIKE_ANOTHER = 2
#: Refusals within this time are one, seconds: all that was in flight has the same answer.
_ONE = 1.0


class Quotas:
    """Of one session; times are monotonic seconds."""

    def __init__(self) -> None:
        self._refused: dict[str, tuple[int, float]] = {}  #: how often since it was taken, and when last
        self._taken = float("-inf")
        self._enough = _SURE

    def refused(self, topic: str, now: float) -> bool:
        """It was refused; whether it is the topic."""
        count, last = self._refused.get(topic, (0, float("-inf")))
        if not count or (now - last >= _ONE and self._taken > last):
            count += 1
            self._refused[topic] = count, now
        if count < self._enough:
            return False
        self._enough = _LIKE_ANOTHER
        return True

    def taken(self, topic: str, now: float) -> None:
        """The broker took a message on it."""
        self._taken = now
        if self._refused:
            self._refused.pop(topic, None)
