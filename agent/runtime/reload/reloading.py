"""Answers `edge-agent diff` and `edge-agent reload`, at the agent's socket.

The agent reads the files itself, in its own environment: only it knows what a `${NAME}` in them means to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from agent.config.report import Report
from agent.core.clock import Clock
from agent.core.errors import ConfigError
from agent.runtime.control import Control
from agent.runtime.reload.reload_protocol import DiffQuestion, ReloadAnswer, ReloadQuestion
from agent.runtime.reload.reloader import Reloader

#: Seconds between looks at which parts are back.
_LOOK = 0.1


class Reconfiguring:
    """Answers the two commands."""

    def __init__(self, reloader: Reloader, missing: Callable[[str, str], str | None], clock: Clock) -> None:
        """`missing(section, name)`: why a device, a publisher or ("http", "") is not back; None where it is."""
        self._reloader = reloader
        self._missing = missing
        self._clock = clock

    def serve(self, control: Control) -> Callable[[], None]:
        """Answer at the agent's socket, until the undo that is returned is called."""
        undo = [
            control.serve("file", self._file),
            control.serve("diff", self.diff, DiffQuestion),
            control.serve("reload", self.reload, ReloadQuestion),
        ]

        def leave() -> None:
            for one in undo:
                one()

        return leave

    async def diff(self, question: DiffQuestion) -> ReloadAnswer:
        """What would change. Nothing does."""
        if (other := self._other(question.file)) is not None:
            return ReloadAnswer([other])
        try:
            return ReloadAnswer(report=await self._reloader.compare())
        except ConfigError as error:
            return ReloadAnswer([str(mistake) for mistake in error.mistakes])

    async def reload(self, question: ReloadQuestion) -> ReloadAnswer:
        """Apply it, and wait for those it changed."""
        if (other := self._other(question.file)) is not None:
            return ReloadAnswer([other])
        if self._reloader.effective.config.agent.reload == "off":
            return ReloadAnswer(["`agent.reload` is off in the configuration that runs -> restart the agent"])
        outcome = await self._reloader.reload("command")
        if outcome.result == "refused":
            return ReloadAnswer(list(outcome.mistakes))
        if outcome.report is None:
            reason = "it is applied; what changed could not be told, see the agent's log"
            raise RuntimeError(reason)
        late = {} if question.wait is None else await self._late(outcome.report, question.wait)
        return ReloadAnswer(report=outcome.report, late=late)

    async def _file(self, _: object) -> str:
        return self._mine()

    def _mine(self) -> str:
        return os.path.realpath(self._reloader.path)

    def _other(self, file: str | None) -> str | None:
        mine = self._mine()
        if file is None or file == mine:
            return None
        return f"the agent runs {mine}, not {file} -> name that file with -c, or the agent with --data-dir"

    async def _late(self, done: Report, seconds: float) -> dict[str, str]:
        """Parts that were added or changed and are not online within `seconds`, with the reason."""
        names = [("devices", name) for name in (*done.devices.added, *done.devices.changed)]
        names += [("publishers", name) for name in (*done.publishers.added, *done.publishers.changed)]
        if any(one.key.split(".")[0] == "http" for one in done.settings):
            names.append(("http", ""))
        deadline = self._clock.monotonic() + seconds
        while True:
            found = {f"{section}.{name}".rstrip("."): self._missing(section, name) for section, name in names}
            late = {name: reason for name, reason in found.items() if reason is not None}
            if not late or self._clock.monotonic() >= deadline:
                return late
            await self._clock.sleep(_LOOK)
