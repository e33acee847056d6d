"""A share of a bus's time for what need not be asked. Pure."""

from __future__ import annotations


class Allowance:
    """Seconds of a bus that may be spent beyond what is due: a share of all time, and a little in advance.

    One request may overdraw it (nobody knows how long it will take); then nothing more is spent until it is earned.
    """

    BURST = 0.5

    def __init__(self, now: float, share: float = 0.1) -> None:
        self._share = share
        self._left = self.BURST
        self._at = now

    def earn(self, now: float) -> None:
        """Time has passed."""
        self._left = min(self.BURST, self._left + (now - self._at) * self._share)
        self._at = now

    def spend(self, seconds: float) -> None:
        """A request took so long."""
        self._left -= seconds

    @property
    def free(self) -> bool:
        """Whether something more may be asked."""
        return self._left > 0

    @property
    def wait(self) -> float:
        """Seconds until it is free again; 0 where it is."""
        return 0.0 if self._left > 0 else -self._left / self._share + 0.001
