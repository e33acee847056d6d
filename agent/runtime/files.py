"""The secret and certificate files a component cannot do without: it waits for them, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from agent.config.secret_files import unusable
from agent.core.clock import Clock
from agent.core.threads import run_in_thread
from agent.telemetry.logging import get_logger

#: Seconds between looks for a file that is missing.
LOOK_EVERY = 5.0

log = get_logger("supervisor")


class Files:
    """Asked before each attempt of one component: a volume may come late at a boot, a secret go away for a moment."""

    def __init__(
        self, component: str, files: Sequence[tuple[str, Path]], clock: Clock, waits: Callable[[str], None]
    ) -> None:
        """`files`: key and path of each; `waits(reason)` is called while one of them cannot be used."""
        self._component = component
        self._files = tuple(files)
        self._clock = clock
        self._waits = waits

    async def usable(self) -> None:
        """Return when all of them can be used. Logs the first one that cannot, each once."""
        told: set[str] = set()
        while self._files and (missing := await run_in_thread(self._missing, f"{self._component}: files")) is not None:
            key, reason, hint = missing
            self._waits(f"waits for {key}: {reason}")
            if reason not in told:
                told.add(reason)
                log.warning("component.waits_for_file", component=self._component, key=key, reason=reason, hint=hint)
            await self._clock.sleep(LOOK_EVERY)

    def _missing(self) -> tuple[str, str, str] | None:
        for key, file in self._files:
            if (found := unusable(key, file)) is not None:
                return (key, *found)
        return None
