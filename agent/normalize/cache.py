"""Columns by identity of their `Answer.tags` tuple: compiled when a tuple comes for the second time."""

from __future__ import annotations

from collections.abc import Sequence

from agent.normalize.columns import Column
from agent.normalize.rules import Rule
from agent.normalize.state import TagStates


class ColumnCache:
    """Polled blocks hand over the same tuple on every scan; notifications make a new one each time.

    A tuple seen once is only remembered; one-off tuples therefore never cost a compilation. Both memories are bounded
    in positions they hold, so that a whole scan always fits and a stream of one-off tuples never grows. They hold the
    tuples themselves, so that an id cannot come to mean another tuple.
    """

    def __init__(self, names: Sequence[str], rules: Sequence[Rule], state: TagStates) -> None:
        self._names = names
        self._rules = rules
        self._state = state
        self._columns: dict[int, Column] = {}
        self._once: dict[int, tuple[int, ...]] = {}
        self._most = 4 * len(rules) + 1024  # positions
        self._held = 0
        self._held_once = 0

    def get(self, tags: tuple[int, ...]) -> Column | None:
        """The compiled column of this very tuple; None where it is new."""
        key = id(tags)
        column = self._columns.get(key)
        if column is not None:
            return column
        if key in self._once:
            del self._once[key]
            self._held_once -= len(tags)
            return self._compiled(tags)
        if self._held_once + len(tags) > self._most:
            self._once.clear()
            self._held_once = 0
        self._once[key] = tags
        self._held_once += len(tags)
        return None

    def _compiled(self, tags: tuple[int, ...]) -> Column:
        if self._held + len(tags) > self._most:
            self.release()
            self._columns.clear()
            self._held = 0
        column = self._columns[id(tags)] = Column(tags, self._names, self._rules, self._state)
        self._held += len(tags)
        return column

    def release(self) -> None:
        """Give back the times of all tags."""
        for column in self._columns.values():
            column.release()
