"""`type: lines`: a reading is `name=value` in a line of text; `type: raising` is a mistake of its author."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from agent.core.flow import Batch, DialogueEvent, Message, Record
from agent.core.image import Image
from agent.core.ports import Dialogue, Encoder, Memo, RouteInfo
from agent.settings import EncoderConfig


class LinesConfig(EncoderConfig):
    """Readings as lines of text."""

    type: Literal["lines"]
    """Readings as lines of text."""

    def build(self, route: RouteInfo) -> Encoder:
        return LinesEncoder(route)


class LinesEncoder:
    """Implements `core.ports.Encoder`; what it does not say about snapshots and ticks is left as it usually is."""

    def __init__(self, route: RouteInfo) -> None:
        self._route = route

    def begin(self, image: Image, memo: Memo, /) -> Dialogue:
        """Nothing is remembered from session to session."""
        return LinesDialogue(self._route)


class LinesDialogue:
    """Implements `core.ports.Dialogue`."""

    will: Message | None = None
    listens: Sequence[str] = ()

    def __init__(self, route: RouteInfo) -> None:
        self._route = route

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        """Records become text; of everything else nothing is told."""
        if not isinstance(event, Record) or not isinstance(event.content, Batch):
            return ()
        lines = (f"{one.tag}={one.value!r} {one.quality} {one.ts}" for one in event.content.readings)
        payload = "\n".join(lines).encode(errors="replace")
        return [Message(topic=f"{self._route.name}/{event.content.device}", payload=payload)]


class RaisingConfig(EncoderConfig):
    """An encoder that raises on every event."""

    type: Literal["raising"]
    """An encoder that raises on every event."""

    def build(self, route: RouteInfo) -> Encoder:
        return RaisingEncoder(route)


class RaisingEncoder(LinesEncoder):
    """Its dialogue raises whatever it is told."""

    def begin(self, image: Image, memo: Memo, /) -> Dialogue:
        """A dialogue with a mistake in it."""
        return RaisingDialogue(self._route)


class RaisingDialogue(LinesDialogue):
    """Raises on every event."""

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        """Never returns."""
        raise ZeroDivisionError(f"a mistake of its author, at {type(event).__name__}")
