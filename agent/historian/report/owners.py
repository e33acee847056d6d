"""What belongs to which device of a day: streams, tags, states, losses, and when it was none of the plant's. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase

from agent.historian.report.facts import DeclaredLoss, Facts, State, Stream, Tag
from agent.historian.report.spans import Account, Span, merged, offline, without


class Owners:
    """What belongs to which device."""

    def __init__(self, facts: Facts) -> None:
        self.streams: dict[str, list[Stream]] = defaultdict(list)
        for stream in facts.streams:
            self.streams[stream.path].append(stream)
        self.tags: dict[str, list[Tag]] = defaultdict(list)
        for tag in facts.tags:
            self.tags[tag.path].append(tag)
        self.states: dict[str, list[State]] = defaultdict(list)
        for state in facts.states:
            self.states[state.path].append(state)
        self.paths = sorted({*self.streams, *self.tags, *self.states} - {""}, key=lambda path: (self.name(path), path))
        self._losses: dict[tuple[str, str], list[DeclaredLoss]] = defaultdict(list)
        for loss in facts.losses:
            self._losses[loss.agent, loss.device].append(loss)
        self._where = {(one.agent, one.device, one.epoch): one.path for one in facts.streams}
        self._day = facts.day.begin, facts.day.until
        self._removed = {path: offline(states, facts.day.until, ("removed",)) for path, states in self.states.items()}
        self._planned = facts.stops

    def settle(self, accounts: Mapping[int, Account]) -> None:
        """Leave out what is no longer there: a device whose topics have moved, a tag that is in no catalogue any more.

        Their rows stay, since old readings point to them. What has a reading of the day counts on this day.
        """
        for path, tags in self.tags.items():
            newest = max((tag.catalogue for tag in tags if tag.catalogue is not None), default=None)
            read = {tag.id for tag in tags if tag.id in accounts and accounts[tag.id].readings}
            here = bool(self.streams.get(path)) and without(self._day, self._removed.get(path, ()))
            known = newest, None
            self.tags[path] = [tag for tag in tags if tag.id in read or (here and tag.catalogue in known)]
        self.paths = [path for path in self.paths if path not in self.tags or self.tags[path]]

    def stops(self, path: str) -> list[Span]:
        """When nothing is expected of it: planned, and while it was not configured."""
        planned = [(one.begin, one.end) for one in self._planned if fnmatchcase(self.name(path), one.device)]
        return merged([*planned, *self._removed.get(path, ())])

    def name(self, path: str) -> str:
        for known in (self.streams.get(path), self.tags.get(path)):
            if known:
                return known[-1].device
        return path.rpartition("/")[2]

    def agent(self, path: str) -> str:
        return self.streams[path][-1].agent if self.streams.get(path) else ""

    def losses(self, path: str) -> list[DeclaredLoss]:
        """Two agents of one name may have devices of one name."""
        known = self._losses.get((self.agent(path), self.name(path)), [])
        return [one for one in known if self._where.get((one.agent, one.device, one.epoch or ""), path) == path]
