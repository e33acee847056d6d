"""Columns that stand still: tags said on change alone, whose raw values are those of the answer before.

The slow twin is `TagValues._good`, which looks at each. What it found nothing to say about it finds nothing to say
about again, as long as raw value and type are the same and nobody else has touched the tag: so two columns are compared
at once, and only what differs is looked at. Tags with `max_silence` are not among them: theirs is to be said again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, count
from operator import ne
from typing import Any

from agent.normalize.rules import Rule
from agent.normalize.state import TagStates

#: Equal ones of one type are alike to every rule. Not so arrays: [1] equals [True].
_COMPARABLE = frozenset((int, float, bool, str, bytes))


def may_stand(rule: Rule) -> bool:
    """Whether a tag's unchanged value is nothing to say, ever."""
    return rule.differs is not None and rule.enabled and not rule.silence


class Still:
    """Tags of one column, and their newest raw values while nobody else touches these tags."""

    def __init__(self, tags: tuple[int, ...], state: TagStates) -> None:
        self._tags = tags
        self._state = state
        self._types: list[type] | None = None  #: None: nothing is remembered
        #: The newest. Whoever brings this very tuple (codec.py: of a block whose bytes are the same) says nothing new.
        self.values: tuple[Any, ...] = ()
        self.src: Sequence[int | None] | None = None

    def changed(self, values: Sequence[Any]) -> Sequence[int] | None:
        """Where these values are others than before; None where each must be looked at. Then :meth:`keep` them."""
        if self._types is None or self._types != list(map(type, values)):
            self.release()
            return None
        return () if tuple(values) == self.values else list(compress(count(), map(ne, values, self.values)))

    def keep(self, values: Sequence[Any], srcs: Sequence[int | None] | None) -> None:
        """All has been said about these; be told of whoever else touches these tags from now on."""
        if self._types is None and not self._take(list(map(type, values))):
            return
        self.values, self.src = tuple(values), srcs  # a list may be filled anew; a tuple stays the same one

    def _take(self, types: list[type]) -> bool:
        if not _COMPARABLE.issuperset(types):
            return False
        owners = self._state.owner
        for i in self._tags:
            owner = owners[i]
            if owner is not None:
                owner.release()
        for i in self._tags:
            owners[i] = self
        self._types = types
        return True

    def release(self) -> None:
        """Write the source times back, and look at each tag the next time."""
        if self._types is None:
            return
        self._types, self.values = None, ()
        state = self._state
        for n, i in enumerate(self._tags):
            state.owner[i] = None
            state.src[i] = None if self.src is None else self.src[n]
