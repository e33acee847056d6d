"""Which source a device is taken from, where two publishers of one agent bring it. Pure.

Each publisher numbers its records by itself, so both would be stored. The source that stands first in the
configuration is taken, the other's messages are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.historian.stores.port import Way


class Ways:
    """`takes` decides message by message; a source that stands further up takes a device over when it brings it."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._rank = {name: rank for rank, name in enumerate(sources)}
        self._owner: dict[tuple[str, str], int] = {}
        self._paths: dict[str, int] = {}

    def known(self, way: Way) -> None:
        """What an earlier run stored."""
        if way.source in self._rank:
            self.takes(way.source, way.agent, way.device, way.path)

    def takes(self, source: str, agent: str, device: str, path: str | None = None) -> bool:
        """Whether what this source says of the device is to be stored."""
        if len(self._rank) == 1:
            return True
        rank = self._rank[source]
        owner = self._owner.get((agent, device), rank)
        if rank > owner:
            return False
        self._owner[agent, device] = rank
        if path is not None:
            self._paths[path] = rank
        return True

    def takes_path(self, source: str, path: str) -> bool:
        """The same of what is tied to a device by its path alone."""
        return self._rank[source] <= self._paths.get(path, self._rank[source])
