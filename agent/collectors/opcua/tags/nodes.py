"""Which tags a connection cannot get at the moment, and what changed about that. Pure.

A node the server does not know, an unknown namespace or a refused monitored item makes its tag bad, once, and is tried
again for as long as the connection lives: a controller may still be loading its program.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.address.paths import BrowsePath
from agent.collectors.opcua.plan import TagPoint
from agent.core.flow import Answer
from agent.core.quality import BAD_NODE_ID_UNKNOWN


class MissingTags:
    """The tags that wait for their node."""

    def __init__(self) -> None:
        self._codes: dict[int, int] = {}  # position → status it is bad with
        self._points: dict[int, TagPoint] = {}

    def __len__(self) -> int:
        return len(self._points)

    @property
    def points(self) -> list[TagPoint]:
        """All of them, in the order of the tag table."""
        return [self._points[position] for position in sorted(self._points)]

    def code(self, point: TagPoint) -> int:
        """The status this tag is bad with; 0 where it is not missing."""
        return self._codes.get(point.position, 0)

    def add(self, refused: Iterable[tuple[TagPoint, int, str]], now_ms: int) -> Answer | None:
        """These are (still) missing, with status and reason; the readings to say where that is news."""
        news = []
        for point, code, reason in refused:
            self._points[point.position] = point
            if self._codes.get(point.position) != code:
                self._codes[point.position] = code
                news.append((point.position, code, reason))
        if not news:
            return None
        news.sort()
        return Answer(
            tags=tuple(position for position, _, _ in news),
            values=[None] * len(news),
            ts=now_ms,
            status=[code for _, code, _ in news],
            reason={at: reason for at, (_, _, reason) in enumerate(news)},
        )

    def found(self, points: Iterable[TagPoint]) -> list[TagPoint]:
        """These are there; those that were missing before come back."""
        back = [point for point in points if self._points.pop(point.position, None) is not None]
        for point in back:
            del self._codes[point.position]
        return back


class Resolved(NamedTuple):
    """Where tags are on this connection."""

    known: list[tuple[TagPoint, int]]  #: with their namespace index
    ways: list[tuple[TagPoint, list[tuple[int, str]]]]  #: by browse path, with the indexes of its names
    refused: list[tuple[TagPoint, int, str]]  #: whose namespace the server does not have


def resolve(points: Iterable[TagPoint], namespaces: Namespaces) -> Resolved:
    """By the namespaces of this connection."""
    made = Resolved([], [], [])
    for point in points:
        address = point.address
        if isinstance(address, BrowsePath):
            names = address.names_in(namespaces)
            if isinstance(names, list):
                made.ways.append((point, names))
            else:
                made.refused.append((point, BAD_NODE_ID_UNKNOWN, namespaces.trouble(names)))
            continue
        index = address.index_in(namespaces)
        if index is None:
            made.refused.append((point, BAD_NODE_ID_UNKNOWN, namespaces.trouble(address.namespace)))
        else:
            made.known.append((point, index))
    return made
