"""What the twins share: rows of `tag`, remembered (a lookup a reading), and how states are told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from agent.consumer.contract import Reading
from agent.historian.values import clean

_Ids = dict[tuple[str, str | None], int]

#: Rows that are remembered, some 400 bytes each; beyond, those of the devices that changed least lately are looked up
#: again.
MOST_KNOWN = 200_000
#: Messages kept although nobody can read them; beyond, the oldest go.
MOST_ASIDE = 10_000


class TagCache:
    """What a transaction learns counts once it is committed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Ids] = {}
        self._rows = 0  #: in all of them
        self._fresh: dict[tuple[str, str], _Ids] = {}

    def ids(
        self, readings: Sequence[Reading], path: str, device: str,
        load: Callable[[str, str, list[str]], list[tuple[int, str, str | None]]],
        make: Callable[[str, str, str, str | None, int], int],
    ) -> list[int]:  # fmt: skip
        """The row of each reading's tag: remembered, loaded or made. `load` gives all rows of these names."""
        where = path, device
        known = self._known.get(where, {})
        try:
            return [known[reading.tag, reading.unit] for reading in readings]
        except KeyError:
            pass
        fresh = self._fresh.setdefault(where, {})
        lacking = [one for one in readings if (one.tag, one.unit) not in known and (one.tag, one.unit) not in fresh]
        if lacking:
            named: dict[str, list[int]] = {}
            for number, name, unit in load(path, device, list({clean(one.tag) or "" for one in lacking})):
                fresh[name, unit or None] = number
                named.setdefault(name, []).append(number)
            for one in lacking:
                if (one.tag, one.unit) not in fresh:
                    fresh[one.tag, one.unit] = self._row(fresh, named, one, where, make)
        return [known.get((one.tag, one.unit)) or fresh[one.tag, one.unit] for one in readings]

    @staticmethod
    def _row(
        fresh: _Ids, named: dict[str, list[int]], reading: Reading, where: tuple[str, str],
        make: Callable[[str, str, str, str | None, int], int],
    ) -> int:  # fmt: skip
        name, unit = clean(reading.tag) or "", clean(reading.unit) or None
        if (name, unit) in fresh:
            return fresh[name, unit]
        rows = named.setdefault(name, [])
        if unit is None and reading.value is None and rows:  # a value that is not there has no unit: the newest row
            return max(rows)
        fresh[name, unit] = made = make(*where, name, unit, reading.ts)
        rows.append(made)
        return made

    def settle(self) -> None:
        """The transaction is committed."""
        for where, fresh in self._fresh.items():
            known = self._known.pop(where, {})
            self._rows -= len(known)
            known.update(fresh)
            self._known[where] = known
            self._rows += len(known)
        self._fresh = {}
        while self._rows > MOST_KNOWN:
            self._rows -= len(self._known.pop(next(iter(self._known))))

    def forget(self) -> None:
        """It is not."""
        self._fresh = {}


def digest(*told: object) -> str:
    """Tells states of one thing apart."""
    return blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def interval_of(interval: object) -> int | None:
    """Milliseconds between two readings of a tag; None where it is read once, or whenever it changes."""
    return interval if type(interval) is int and 0 < interval < 1 << 40 else None
