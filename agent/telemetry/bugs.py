"""Bugs of one component: counted each time, the traceback logged once for each place in the code."""

from __future__ import annotations

import traceback
from contextlib import suppress

from agent.core.errors import PermanentError, TransientError, leaves
from agent.core.text import carried
from agent.telemetry.logging import get_logger
from agent.telemetry.metrics import BUGS

#: So many different bugs are remembered as logged; beyond, the oldest is forgotten.
MOST_BUGS = 100

log = get_logger("supervisor")


class Bugs:
    """Of one component, for as long as it lives."""

    def __init__(self, component: str) -> None:
        self._component = component
        self._logged: dict[str, None] = {}  # places, in the order they were logged

    def met(self, error: BaseException) -> None:
        """An error that nobody translated. Never raises: the caller must go on with its own work.

        `component.bug` is logged where the bug is new: the same class from the same line is the same bug.
        """
        with suppress(Exception):
            BUGS.labels(self._component).inc()
            bug = _bug(error)
            where = _place(bug)
            if where in self._logged:
                return
            if len(self._logged) >= MOST_BUGS:
                del self._logged[next(iter(self._logged))]
            self._logged[where] = None
            reason = carried(f"{type(bug).__name__}: {bug}")
            trace = carried("".join(traceback.format_exception(error)))
            log.error("component.bug", component=self._component, reason=reason, traceback=trace)


def _bug(error: BaseException) -> BaseException:
    """What in a group of errors is none that somebody translated."""
    inner = list(leaves(error))
    return next((one for one in inner if not isinstance(one, TransientError | PermanentError)), inner[0])


def _place(bug: BaseException) -> str:
    """Which bug this is: its class and the line that raised it. Its words may differ each time."""
    frames = traceback.extract_tb(bug.__traceback__, limit=-1)
    return f"{type(bug).__name__} {frames[0].filename}:{frames[0].lineno}" if frames else type(bug).__name__
