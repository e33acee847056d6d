"""What `ns=2` means: the namespace that had this index when it was last read. Pure.

A server may number its namespaces otherwise after a restart, or another server of a redundant pair may. Then the index
of a configuration names another namespace's node, perhaps one that exists. So where the namespace it meant is known
under another index, that one is followed; where it is gone and the index belongs to another that was there before,
nobody can tell, and the tags are bad. A namespace that is new under a free index is taken for one that was renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Moved(NamedTuple):
    """An index that means something else on this connection."""

    uri: str  #: what it meant
    now: int | None  #: index of that namespace; None: it is gone


class IndexMeanings:
    """Of one device, over its connections."""

    def __init__(self) -> None:
        self._uris: dict[int, str] = {}
        self._before: frozenset[str] = frozenset()  #: what the last connection's server had
        self.told: dict[str, str] = {}  #: what the log says of those that moved
        self._read: set[int] = set()  #: indexes under which nodes were found

    def moved(self, namespaces: Sequence[str]) -> dict[int, Moved]:
        """The indexes that mean something else in this NamespaceArray."""
        found = {}
        known, places = self._before.union(self._uris.values()), _places(namespaces)
        all_known = known.issuperset(namespaces[1:])
        for index, uri in self._uris.items():
            now = namespaces[index] if index < len(namespaces) else None
            # What was never read may have been wrong while the server was loading.
            if now == uri or not (index in self._read or all_known):
                continue
            at = places.get(uri, [])
            if len(at) == 1:
                found[index] = Moved(uri, at[0])
            elif not at and now in known:
                found[index] = Moved(uri, None)
        return found

    def learn(self, namespaces: Sequence[str], read: Iterable[int]) -> None:
        """A connection stands with this NamespaceArray; nodes were found under these indexes."""
        moved = self.moved(namespaces)
        for uri, at in _places(namespaces).items():
            if len(at) == 1 and at[0] and at[0] not in moved:
                self._uris[at[0]] = uri
        self._before = frozenset(namespaces)
        self._read.update(read)

    def without(self, indexes: Iterable[int]) -> IndexMeanings:
        """For a configuration that writes these anew: they mean what the server has under them today."""
        made, gone = IndexMeanings(), set(indexes)
        made._uris = {index: uri for index, uri in self._uris.items() if index not in gone}
        made._before, made._read, made.told = self._before, self._read - gone, self.told
        return made


def _places(namespaces: Sequence[str]) -> dict[str, list[int]]:
    """Indexes of each."""
    found: dict[str, list[int]] = {}
    for index, uri in enumerate(namespaces):
        found.setdefault(uri, []).append(index)
    return found
