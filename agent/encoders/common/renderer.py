"""The seam between the messages around readings, which are the same everywhere, and those of the readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from agent.core.flow import Batch, Message, Record
from agent.core.image import Image
from agent.core.ports import RouteInfo


class Setting(Struct, frozen=True, kw_only=True):
    """What a renderer works in: made anew when the session stands, because then the broker's limits are known."""

    route: RouteInfo
    image: Image
    limit: int  #: bytes of a whole packet
    properties: bool  #: user properties travel with a message
    prefix: Callable[[str], str]  #: `{topic}` of a device, also of one that is no longer configured
    location: Callable[[str], Sequence[str]]  #: its location, likewise


class Renderer(Protocol):
    """Records → messages; the hot path. Belongs to one session."""

    def readings(self, record: Record, batch: Batch, /) -> Sequence[Message]:
        """The messages of one record, in order; together they acknowledge it.

        Raises Rejected where one of them can never be sent.
        """

    def moved(self, device: str, /) -> None:
        """Place or catalogue of the device may have changed."""

    def stays(self, device: str, /) -> Iterable[str]:
        """Topics under which newest values of the device stay retained."""


MakeRenderer = Callable[[Setting], Renderer]
