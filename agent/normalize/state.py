"""What the normalizer remembers of each tag: flat lists, indexed by position in the device's tag table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.core.flow import Why

#: Earlier than any time a device can claim (OPC UA's clock begins in 1601).
NEVER = -(1 << 62)


class Owner(Protocol):
    """A group of tags that keeps their times itself while nobody else needs them."""

    def release(self) -> None:
        """Write the times back and forget them."""


class TagStates:
    """Newest and last reported state of each tag.

    Writing times per reading is what the column-wise path avoids: while `owner[i]` is set, it holds `stamp` and `src`
    of tag i, and must be released before they are read.
    """

    __slots__ = (
        "crowded",
        "newest",
        "owner",
        "pending",
        "reason",
        "reported",
        "said",
        "seen",
        "src",
        "stamp",
        "status",
    )

    def __init__(self, size: int) -> None:
        self.stamp = [NEVER] * size  #: newest `ts` said
        self.src: list[int | None] = [None] * size  #: source time of the newest value
        self.seen = [NEVER] * size  #: when the newest value arrived, agent's clock (kept for `each` tags only)
        self.pending: list[Why | None] = ["initial"] * size  #: why the next reading is published whatever it is
        self.status = [0] * size  #: status code of the newest state
        self.reason: list[str | None] = [None] * size
        self.newest: list[object] = [None] * size  #: newest value, said or not (kept for `each` tags only)
        self.reported: list[object] = [None] * size  #: the value a deadband is measured from
        self.said = [float("inf")] * size  #: monotonic seconds when it was last said; infinite before
        self.owner: list[Owner | None] = [None] * size
        self.crowded: list[int] = []  #: tags whose `ts` repeated with the sample at hand (instants.py)

    def begin_after(self, times: Sequence[int]) -> None:
        """No tag's `ts` goes back behind these."""
        self.stamp[:] = map(max, self.stamp, times)

    def carry(self, before: TagStates, kept: Mapping[int, int]) -> None:
        """Go on with all that was known of these tags (position now → before); nobody owns their times."""
        for name in self.__slots__:
            if name != "crowded":
                mine, its = getattr(self, name), getattr(before, name)
                for i, at in kept.items():
                    mine[i] = its[at]

    def extend(self, more: int) -> None:
        """So many tags more, of which nothing is known yet."""
        fresh = TagStates(more)
        for name in self.__slots__:
            getattr(self, name).extend(getattr(fresh, name))
