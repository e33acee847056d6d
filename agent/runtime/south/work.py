"""What of a device changes with its tags; the rest of it, its connection above all, outlives a change of tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from agent.core.flow import TagFacts
from agent.core.image import TagInfo
from agent.core.ports import Collector, Normalizer


class Work(NamedTuple):
    """Who reads the tags of a device, and who makes readings of them."""

    collector: Collector
    normalizer: Normalizer
    disabled_tags: tuple[int, ...] = ()
    disabled_now: tuple[int, ...] = ()  #: those that were not disabled before
    finds_tags: bool = False
    intervals: Sequence[float] = ()  #: of its poll groups, seconds
    value_type: Callable[[int, str], str] = lambda _position, raw: raw
    found_info: Callable[[str, TagFacts | None], TagInfo] = lambda name, _facts: TagInfo(tag=name)
    before: Callable[[Work], None] = lambda _work: None  #: called with what it takes the place of, at that instant

    def reads_any(self, tags: int) -> bool:
        """Whether there is anything to read, where so many tags are configured."""
        return self.finds_tags or tags > len(self.disabled_tags)
