"""Packets that the broker sends although nothing asks for them: how many are too many. Pure.

A broker with a bug answers twice, now and then or always. One that does nothing else costs what reads it, and with it
every device of the process; each of its packets breaks the protocol, so nothing is lost by leaving it.
"""

from __future__ import annotations

#: So many at once, and so many a second, are put up with.
MOST, PER_SECOND = 1_000, 100

_SUBACK, _PINGRESP = 0x90, 0xD0
_CONNACK, _PUBLISH, _PUBACK, _DISCONNECT, _AUTH = 0x20, 0x30, 0x40, 0xE0, 0xF0
#: Each is judged by who reads it.
_OTHERS = frozenset((_PUBLISH, _PUBACK, _DISCONNECT, _AUTH))


class Unasked:
    """Of one connection."""

    def __init__(self) -> None:
        self.breach: str | None = None  #: why the broker has to be left, once it has to
        self._open = {_CONNACK: 1, _SUBACK: 0, _PINGRESP: 0}  # answers that may come
        self._room, self._at = float(MOST), 0.0

    def subscribed(self) -> None:
        """A SUBSCRIBE goes out."""
        self._open[_SUBACK] += 1

    def pinged(self) -> None:
        """A PINGREQ goes out."""
        self._open[_PINGRESP] += 1

    def answered(self, times: int = 1) -> None:
        """PUBACKs of what we have said: one that says it twice is put up with, however much we say."""
        self._room = min(self._room + times, MOST)

    def lawful(self, kind: int, now: float) -> bool:
        """A packet came, `kind` is the upper half of its first byte; whether it may."""
        if kind in _OTHERS:
            return True
        if self._open.get(kind, 0):
            self._open[kind] -= 1
            return True
        self.came(now)
        return False

    def came(self, now: float) -> None:
        """One that nothing asked for."""
        self._room = min(MOST, self._room + (now - self._at) * PER_SECOND) - 1
        self._at = now
        if self._room < 0:
            self.breach = f"the broker floods: more than {MOST:,} packets that nothing asked for"
