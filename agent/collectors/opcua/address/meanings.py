"""What `ns=2` means: the namespace that had this index when it was last read. Pure.

A server may number its namespaces otherwise after a restart, or another server of a redundant pair may. Then the index
of a configuration names another namespace's node, perhaps one that exists. So where the namespace it meant is known
under another index, that one is followed; where it is gone and the index belongs to another that was there before,
nobody can tell, and the tags are bad. A namespace that is new under a free index is taken for one that was renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from agent.collectors.opcua.address.namespaces import Moved


class KeptMeanings(Struct, frozen=True):
    """What outlives the process."""

    uris: dict[int, str]
    before: frozenset[str]
    read: frozenset[int]


class IndexMeanings:
    """Of one device, over its connections."""

    def __init__(self, kept: KeptMeanings = KeptMeanings({}, frozenset(), frozenset())) -> None:  # noqa: B008 - frozen
        self._uris = dict(kept.uris)
        self._before = kept.before  #: what the last connection's server had
        self.told: dict[str, str] = {}  #: what the log says of those that moved
        self.read = set(kept.read)  #: indexes under which nodes were found

    @property
    def kept(self) -> KeptMeanings:
        """What another run needs to know."""
        return KeptMeanings(dict(self._uris), self._before, frozenset(self.read))

    def moved(self, namespaces: Sequence[str]) -> dict[int, Moved]:
        """The indexes that mean something else in this NamespaceArray."""
        found = {}
        known, places = self._before.union(self._uris.values()), _places(namespaces)
        all_known = known.issuperset(namespaces[1:])
        for index, uri in self._uris.items():
            now = namespaces[index] if index < len(namespaces) else None
            # What was never read may have been wrong while the server was loading.
            if now == uri or not (index in self.read or all_known):
                continue
            at = places.get(uri, [])
            if len(at) == 1:
                found[index] = Moved(uri, at[0])
            elif not at and now in known:
                found[index] = Moved(uri, None)
        return found

    def learn(self, namespaces: Sequence[str]) -> None:
        """A connection stands with this NamespaceArray."""
        moved = self.moved(namespaces)
        for uri, at in _places(namespaces).items():
            if len(at) == 1 and at[0] and at[0] not in moved:
                self._uris[at[0]] = uri
        self._before = frozenset(namespaces)

    def without(self, indexes: Iterable[int]) -> IndexMeanings:
        """For a configuration that writes these anew: they mean what the server has under them today."""
        gone = set(indexes)
        uris = {index: uri for index, uri in self._uris.items() if index not in gone}
        made = IndexMeanings(KeptMeanings(uris, self._before, frozenset(self.read - gone)))
        made.told = self.told
        return made


def _places(namespaces: Sequence[str]) -> dict[str, list[int]]:
    """Indexes of each."""
    found: dict[str, list[int]] = {}
    for index, uri in enumerate(namespaces):
        found.setdefault(uri, []).append(index)
    return found
