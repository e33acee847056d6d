"""Other tags over a connection that stands: what goes, what comes, and where the rest is in the new table. Pure.

On the connection the tags keep the positions they have; those that come are put behind them, those that go leave a
hole. What is handed on counts as the new table does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import structs

from agent.collectors.common.polling import PollGroup
from agent.collectors.opcua.plan import ConnectionPlan, TagPoint
from agent.core.flow import Answer, Loss, Sample

#: So many tuples of positions are remembered with their translation.
_MOST_TUPLES = 1000


class TagChange(NamedTuple):
    """From the plan of a connection to another one of the same device."""

    plan: ConnectionPlan  #: of the connection from now on
    gone: list[TagPoint]
    come: list[TagPoint]
    places: dict[int, int]  #: position on the connection → in the new table


def tag_change(live: ConnectionPlan, wanted: ConnectionPlan) -> TagChange | None:
    """None: what is wanted needs another connection.

    Events, nodes that are found and history are tied to positions in more places than can be moved; nor can a rhythm
    be added that no tag has yet.
    """
    rhythms = {group.interval for group in live.groups} | {None}
    plans = live, wanted
    special = any(one.notifiers or one.selection or one.backfill for one in plans)
    if special or not {group.interval for group in wanted.groups} <= rhythms:
        return None
    old, new = _by_name(live), _by_name(wanted)
    places: dict[int, int] = {}
    come: list[TagPoint] = []
    size = live.size
    groups: dict[float | None, list[int]] = {group.interval: [] for group in live.groups}
    for name, (point, interval, silence) in new.items():
        before = old.get(name)
        if before is not None and before[1:] == (interval, silence) and _same(before[0], point):
            position = before[0].position
        else:
            position = size
            come.append(point._replace(position=position))
            size += 1
        places[position] = point.position
        groups.setdefault(interval, []).append(position)
    kept = {position: point for position, point in live.points.items() if position in places}
    plan = wanted._replace(
        size=size,
        points={**kept, **{point.position: point for point in come}},
        groups=[PollGroup(interval, tuple(positions)) for interval, positions in groups.items()],
        silences={at: wanted.silences[place] for at, place in places.items() if place in wanted.silences},
    )
    return TagChange(plan, [point for at, point in live.points.items() if at not in places], come, places)


def _by_name(plan: ConnectionPlan) -> dict[str, tuple[TagPoint, float | None, float | None]]:
    """Each tag that is read, with its interval and its longest silence."""
    intervals = {position: group.interval for group in plan.groups for position in group.positions}
    return {
        point.name: (point, intervals.get(position), plan.silences.get(position))
        for position, point in plan.points.items()
    }


def _same(one: TagPoint, other: TagPoint) -> bool:
    return one._replace(position=0) == other._replace(position=0)


class Renumbering:
    """What is handed on, with positions as in another table."""

    def __init__(self, places: Mapping[int, int]) -> None:
        self._places = places
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __call__(self, sample: Sample) -> Sample:
        """The sample without the tags that are gone; nothing of it may be used any more."""
        places = self._places
        labels, unconfirmed = sample.labels, sample.unconfirmed
        if isinstance(unconfirmed, frozenset) and unconfirmed:
            unconfirmed = frozenset(place for at, place in places.items() if at in unconfirmed)
        return structs.replace(
            sample,
            answers=[answer for answer in map(self._answer, sample.answers) if answer is not None],
            losses=[loss for loss in map(self._loss, sample.losses) if loss is not None],
            unconfirmed=unconfirmed,
            types=_moved(sample.types, places),
            labels=None if labels is None else _moved(labels, places),
        )

    def _answer(self, answer: Answer) -> Answer | None:
        tags = self._known.get(answer.tags)
        if tags is None:
            tags = tuple(self._places[at] for at in answer.tags if at in self._places)
            if len(self._known) >= _MOST_TUPLES:
                self._known.clear()
            self._known[answer.tags] = tags
        if len(tags) == len(answer.tags):
            return structs.replace(answer, tags=tags)
        return self._part(answer, tags) if tags else None

    def _part(self, answer: Answer, tags: tuple[int, ...]) -> Answer:
        kept = [place for place, at in enumerate(answer.tags) if at in self._places]
        reason = answer.reason
        if isinstance(reason, Mapping):
            reason = {now: reason[was] for now, was in enumerate(kept) if was in reason}
        return Answer(
            tags=tags,
            values=[answer.values[place] for place in kept],
            ts=answer.ts,
            status=answer.status if isinstance(answer.status, int) else _picked(answer.status, kept),
            src=None if answer.src is None else _picked(answer.src, kept),
            reason=reason,
            doubted=None if answer.doubted is None else _picked(answer.doubted, kept),
        )

    def _loss(self, loss: Loss) -> Loss | None:
        if loss.tags is None:
            return loss
        tags = tuple(self._places[at] for at in loss.tags if at in self._places)
        return Loss(loss.from_ts, loss.to_ts, loss.reason, tags, loss.readings) if tags else None


def _picked(column: Sequence[Any], kept: Sequence[int]) -> list[Any]:
    return [column[place] for place in kept]


def _moved(by_position: Mapping[int, Any] | None, places: Mapping[int, int]) -> dict[int, Any] | None:
    if by_position is None:
        return None
    return {places[at]: value for at, value in by_position.items() if at in places} or None
