"""An answer that comes twice: some converters send what they have received once more. Pure.

The second one is the same to the byte and comes soon, so it is no other master's. But it must not meet a later request
of the same form. So behind the first answer of a connection the line is given a moment to show whether it does that,
and where it does, nothing is asked until another would be late.
"""

from __future__ import annotations

_SOON = 0.5  #: seconds; what comes later is somebody else's
_FIRST = 0.05  #: seconds the line has behind its first answer
_SLOWER = 2.5  #: times as late another may be
_FORGET = 60.0  #: seconds without any; then the line does that no more


class AnsweredAgain:
    """Of one connection. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._newest = b""  #: the frame of the newest answer
        self._came = 0.0  #: when it came
        self._delay = 0.0  #: how much later another came at most
        self._again = -_FORGET  #: when that was
        self._until = 0.0  #: nothing is asked before

    def answered(self, frame: bytes, now: float) -> None:
        """An answer has come."""
        if not self._newest:
            self._until = now + _FIRST
        self._newest, self._came = frame, now
        if self.expected(now):
            self._expect_another()
        else:
            self._delay = 0.0

    def expected(self, now: float) -> bool:
        """Whether the line does that."""
        return now - self._again < _FORGET

    def begins(self, data: bytes | bytearray, now: float) -> int | None:
        """Bytes of the newest answer where it stands at the beginning once more; 0: something else does; None: more
        has to come.
        """
        if not self._newest or now - self._came > _SOON:
            return 0
        if data.startswith(self._newest):
            self._delay, self._again = max(self._delay, now - self._came), now
            self._expect_another()
            return len(self._newest)
        if not data or not self._newest.startswith(data):
            return 0
        self._until = max(self._until, now + _FIRST)
        return None

    def _expect_another(self) -> None:
        self._until = self._came + min(max(self._delay * _SLOWER, _FIRST), _SOON)

    def wait(self, now: float) -> float:
        """Seconds until something may be asked."""
        return self._until - now
