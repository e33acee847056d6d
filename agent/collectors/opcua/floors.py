"""What a server says about periods, held against sense. Pure.

A field nobody filled in is 0 on the wire; a hostile one is negative, tiny or no number. None of them may make the agent
ask in a hot loop or give a connection up that stands: what was asked for counts instead.
"""

from __future__ import annotations

import math

PERIOD = 1.0  #: seconds: nothing a server revises has the agent do something more often than this …
PUBLISHING = 0.05  #: … but publishing, seconds


def period(revised: float, asked: float, floor: float = PERIOD) -> float:
    """A period as the server revised it, seconds; what was asked for where the revised one cannot be meant."""
    return revised if math.isfinite(revised) and revised >= min(floor, asked) else asked


def count(revised: int, asked: int) -> int:
    """The same of a number of periods, or of places in a queue."""
    return revised if revised >= 1 else asked
