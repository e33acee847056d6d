"""What the twins share: rows of `tag`, remembered (a lookup a reading), and how states are told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from agent.consumer.contract import Reading
from agent.historian.values import clean

_Ids = dict[tuple[str, str | None], int]

#: So many devices are remembered; beyond, all are looked up again.
MOST_DEVICES = 20_000
#: Messages kept although nobody can read them; beyond, the oldest go.
MOST_ASIDE = 10_000


class TagCache:
    """What a transaction learns counts once it is committed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Ids] = {}
        self._fresh: dict[tuple[str, str], _Ids] = {}

    def ids(
        self, readings: Sequence[Reading], path: str, device: str,
        load: Callable[[str, str], list[tuple[int, str, str | None]]],
        make: Callable[[str, str, str, str | None, int], int],
    ) -> list[int]:  # fmt: skip
        """The row of each reading's tag: remembered, loaded or made."""
        where = path, device
        known = self._fresh.get(where) or self._known.get(where)
        if known is not None:
            try:
                return [known[reading.tag, reading.unit] for reading in readings]
            except KeyError:
                pass
        known = dict(known) if known is not None else {}
        known.update({(name, unit): number for number, name, unit in load(path, device)})
        self._fresh[where] = known
        for reading in readings:
            if (reading.tag, reading.unit) not in known:
                known[reading.tag, reading.unit] = self._row(known, reading, where, make)
        return [known[reading.tag, reading.unit] for reading in readings]

    @staticmethod
    def _row(
        known: _Ids, reading: Reading, where: tuple[str, str],
        make: Callable[[str, str, str, str | None, int], int],
    ) -> int:  # fmt: skip
        name, unit = clean(reading.tag) or "", clean(reading.unit)
        if (name, unit) in known:
            return known[name, unit]
        if unit is None and reading.value is None:  # a value that is not there has no unit: it is the tag's newest row
            rows = [row for (tag, _), row in known.items() if tag == name]
            if rows:
                return max(rows)
        return make(*where, name, unit, reading.ts)

    def settle(self) -> None:
        """The transaction is committed."""
        if self._fresh:
            self._known.update(self._fresh)
            self._fresh = {}
            if len(self._known) > MOST_DEVICES:
                self._known = {}

    def forget(self) -> None:
        """It is not."""
        self._fresh = {}


def digest(*told: object) -> str:
    """Tells states of one thing apart."""
    return blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def interval_of(interval: object) -> int | None:
    """Milliseconds between two readings of a tag; None where it is read once, or whenever it changes."""
    return interval if type(interval) is int and 0 < interval < 1 << 40 else None
