"""What the catalogue says about one event."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["debug", "info", "warning", "error"]


class Event(NamedTuple):
    """What an operator must know about one event."""

    level: Level
    meaning: str
    #: What somebody can do about it; for every error, and for the warnings that wait for somebody.
    remedy: str = ""
