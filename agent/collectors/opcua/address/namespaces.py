"""The namespaces of a server on one connection: which index a URI, or an index of a configuration, stands for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Moved(NamedTuple):
    """An index that means something else on this connection."""

    uri: str  #: what it meant
    now: int | None  #: index of that namespace; None: it is gone


_AS_WRITTEN: Mapping[int, Moved] = {}


class Namespaces(NamedTuple):
    """The NamespaceArray, and the indexes (`ns=2`) that meant other ones of it: see `meanings.py`."""

    uris: Sequence[str] = ()
    moved: Mapping[int, Moved] = _AS_WRITTEN

    def find(self, namespace: int | str) -> int | None:
        """Index of a namespace as it is configured; None where the server does not have it, or has it twice."""
        if isinstance(namespace, int):
            moved = self.moved.get(namespace)
            return namespace if moved is None else moved.now
        return self.uris.index(namespace) if self.uris.count(namespace) == 1 else None

    def trouble(self, namespace: int | str) -> str:
        """Why there is no index of it."""
        if isinstance(namespace, int):
            return (
                f"ns={namespace} meant the namespace {self.moved[namespace].uri}, which the server does not know now "
                f"-> write nsu={self.uris[namespace]} if that is meant"
            )
        if namespace in self.uris:
            return f"the server has the namespace {namespace} more than once"
        return f"the server does not know the namespace {namespace}"
