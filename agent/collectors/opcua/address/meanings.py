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
        self.told: dict[str, str] = {}  #: what the log says of those that moved
        self._read: set[int] = set()  #: indexes under which nodes were found

    def moved(self, namespaces: Sequence[str]) -> dict[int, Moved]:
        """The indexes that mean something else in this NamespaceArray."""
        found = {}
        known = set(self._uris.values())
        for index, uri in self._uris.items():
            now = namespaces[index] if index < len(namespaces) else None
            # What was never read may have been wrong while the server was loading.
            if now == uri or not (index in self._read or known.issuperset(namespaces[1:])):
                continue
            if namespaces.count(uri) == 1:
                found[index] = Moved(uri, namespaces.index(uri))
            elif uri not in namespaces and now in known:
                found[index] = Moved(uri, None)
        return found

    def learn(self, namespaces: Sequence[str], read: Iterable[int]) -> None:
        """A connection stands with this NamespaceArray; nodes were found under these indexes."""
        moved = self.moved(namespaces)
        for index, uri in enumerate(namespaces):
            if index and index not in moved and namespaces.count(uri) == 1:
                self._uris[index] = uri
        self._read.update(read)
