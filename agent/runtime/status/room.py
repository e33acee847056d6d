"""How much room is left, and for how long: early warnings of a full outbox and a full disk. Pure."""

from __future__ import annotations

from collections import deque

#: A rate is measured over the last five minutes, and known after ten seconds.
WINDOW, SOONEST = 300.0, 10.0
#: Questions closer to each other than this share one look at the disk, seconds.
CLOSEST = 1.0


class Rate:
    """Growth of a figure per second, as of its last looks. A figure that begins anew at zero is followed from there."""

    def __init__(self, *, counter: bool = False) -> None:
        self._counter = counter
        self._looks: deque[tuple[float, float]] = deque()

    def look(self, now: float, figure: float) -> None:
        """The figure at this moment, monotonic seconds."""
        looks = self._looks
        if self._counter and looks and figure < looks[-1][1]:
            looks.clear()
        if len(looks) > 1 and now - looks[-2][0] < CLOSEST:
            looks.pop()
        looks.append((now, figure))
        while len(looks) > 2 and looks[1][0] <= now - WINDOW:
            looks.popleft()

    @property
    def per_second(self) -> float | None:
        """None while it is not known."""
        if not self._looks:
            return None
        (since, before), (now, figure) = self._looks[0], self._looks[-1]
        return (figure - before) / (now - since) if now - since >= SOONEST else None


def seconds_until(room: float, per_second: float | None) -> int | None:
    """How long a room lasts that gets smaller so fast; None where it does not, or that is not known."""
    if per_second is None or per_second <= 0:
        return None
    return int(max(0.0, room) / per_second)


def outage(lasts: int | None, max_age: float | None, waited: float) -> int | None:
    """How long an outage may last: until the room is used up, or the oldest record has waited for `max_age`."""
    return lasts if lasts is None or max_age is None else max(0, min(lasts, int(max_age - waited)))


class Level:
    """Which of rising bounds a share has passed, with hysteresis, so that each is news once."""

    def __init__(self, *bounds: float, slack: float) -> None:
        self._bounds = bounds
        self._slack = slack
        self.passed = 0  #: how many bounds

    def look(self, share: float) -> int | None:
        """How many it has passed, where that is news: another bound, or 0 when all is well again."""
        passed = sum(share >= bound for bound in self._bounds)
        if passed > self.passed:
            self.passed = passed
            return passed
        was = self.passed
        while self.passed and share < self._bounds[self.passed - 1] - self._slack:
            self.passed -= 1
        return 0 if was and not self.passed else None


class Room:
    """One outbox: how far it is filled, and for how long it goes on taking what comes."""

    #: Shares of what it may hold at which somebody is warned.
    BOUNDS = (0.7, 0.9)

    def __init__(self) -> None:
        self._bytes, self._appended = Rate(), Rate(counter=True)
        self._level = Level(*self.BOUNDS, slack=0.1)
        self._held = self._limit = 0

    def look(self, now: float, *, held: int, limit: int, appended: int) -> int | None:
        """Bytes held, bytes it may hold, bytes that ever came in. Which bound that passes, where that is news."""
        self._held, self._limit = held, limit
        self._bytes.look(now, held)
        self._appended.look(now, appended)
        return self._level.look(self.filled)

    @property
    def filled(self) -> float:
        """Share of what it may hold."""
        return self._held / self._limit if self._limit else 0.0

    @property
    def left(self) -> int:
        """Bytes."""
        return max(0, self._limit - self._held)

    @property
    def lasts(self) -> int | None:
        """Seconds for which the room lasts where the broker takes nothing; None: not known, or nothing comes."""
        return seconds_until(self.left, self._appended.per_second)

    @property
    def full_in(self) -> int | None:
        """Seconds until it is full at the rate at which it fills just now; where it does not, see :attr:`lasts`."""
        return seconds_until(self.left, self._bytes.per_second) if self.filled else None


class Disk:
    """Free bytes of a disk against the floor below which nothing grows any more."""

    def __init__(self) -> None:
        self._free = Rate()
        self._level = Level(0.5, 1.0, slack=0.05)
        self.free: int | None = None
        self.floor = 0

    def look(self, now: float, *, free: int, floor: int) -> int | None:
        """Warns where less than twice the floor is free (1), and below the floor (2); 0 when all is well again."""
        self.free, self.floor = free, floor
        self._free.look(now, free)
        return self._level.look(floor / free if free > 0 else 2.0) if floor else None

    @property
    def low(self) -> bool:
        """Whether it is below the floor."""
        return self.free is not None and self.free < self.floor

    @property
    def floor_in(self) -> int | None:
        """Seconds until the floor is reached at the present rate; None where that is not to be expected."""
        rate = self._free.per_second
        return None if rate is None or self.free is None else seconds_until(self.free - self.floor, -rate)
