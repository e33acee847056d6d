"""From one configuration to the next while the agent runs: read, compare, build, and only then change anything.

    load ─▶ difference ─▶ draft ─▶ open outboxes ─▶ apply          (the first three in a thread)
      └── one mistake anywhere, and nothing has changed ──┘

One reload is under way at a time. Who asks meanwhile is answered by the next one, which reads the files again; what was
read before and is not applied yet is forgotten.
"""

from __future__ import annotations

import asyncio
import gc
from asyncio import Event, Future
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from msgspec import Raw, structs

from agent.config.diff import Difference, difference
from agent.config.files import Reads
from agent.config.loader import Loaded, load
from agent.config.model import Config
from agent.config.report import Report, report
from agent.core.clock import Clock
from agent.core.errors import ConfigError, PermanentError
from agent.core.image import Image
from agent.core.threads import calculated
from agent.runtime.drafts import Draft
from agent.runtime.reload.journal import Entry, Journal, packed
from agent.runtime.supervisor import judge
from agent.runtime.topology import Topology
from agent.telemetry import metrics
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger

#: So many names of changed parts stand in one line of the log.
MOST_NAMED = 20
#: What was read is forgotten for newer files so often in a row; then it is applied, and read again after that. Else who
#: asks more often than files can be read would never get an answer.
MOST_FORGOTTEN = 3

log = get_logger("config")


@dataclass(frozen=True)
class Outcome:
    """What became of one reload."""

    result: Literal["applied", "refused", "nothing"]
    """nothing: what was read means what runs already."""
    hash: str  #: of the configuration that was read
    difference: Difference = field(default_factory=Difference)
    mistakes: tuple[str, ...] = ()  #: why it was refused
    report: Report | None = None  #: what changed, as it may be shown; None where it was refused


class _RefusedError(Exception):
    """What was read is not applied."""

    def __init__(self, hash_: str, mistakes: tuple[str, ...]) -> None:
        super().__init__(*mistakes)
        self.outcome = Outcome("refused", hash_, mistakes=mistakes)


class Reloader:
    """Belongs to the event loop; :meth:`run` has to be running for anything to happen."""

    def __init__(
        self,
        path: Path,
        loaded: Loaded,
        topology: Topology,
        *,
        image: Image,
        clock: Clock,
        settle: Callable[[Config, Difference], Awaitable[None]],
    ) -> None:
        """`settle(config, difference)` applies what is no device and no publisher: `log`, `http`, …."""
        self.path = path
        self.effective = loaded  #: what runs
        self.attempted = loaded.hash  #: what was read last
        self.error: str | None = None  #: why that is not what runs
        self.mistakes: tuple[str, ...] = ()  #: all of that
        self.journal = Journal()
        self._topology = topology
        self._image = image
        self._clock = clock
        self._settle = settle
        self._bugs = Bugs("reload")
        self._missing: str | None = None  # files that were there when they were read last
        self._incomplete: str | None = None  # why not all of what was applied may run, until a restart
        self._forgotten = 0  # in a row
        self._asked: list[Future[Outcome]] = []
        self._wanted = Event()
        self._reason = ""
        self._listeners: dict[object, Callable[[Reads, bool], None]] = {}

    def listen(self, callback: Callable[[Reads, bool], None]) -> Callable[[], None]:
        """Call `callback(reads, applied)` after each attempt; the returned function ends that."""
        key = object()
        self._listeners[key] = callback

        def undo() -> None:
            self._listeners.pop(key, None)

        return undo

    def request(self, reason: str) -> None:
        """Reload soon; nobody waits for it."""
        self._reason = reason
        self._wanted.set()

    async def reload(self, reason: str) -> Outcome:
        """Read the configuration again and apply it. Returns when that is done, or refused."""
        asked: Future[Outcome] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self.request(reason)
        return await asked

    async def compare(self) -> Report:
        """What would change, as the files are now. Raises ConfigError."""
        effective = self.effective
        return await calculated(lambda: report(effective, load(self.path)))

    async def run(self) -> None:
        """Serve who asks, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            asked, self._asked = self._asked, []
            outcome = await self._attempt()
            if outcome is None:
                self._asked = asked + self._asked
                continue
            self._topology.wake()  # whoever asks for a reload has mended something, perhaps beside the configuration
            for one in asked:
                if not one.done():
                    one.set_result(outcome)

    # --- one attempt --------------------------------------------------------------------------------------------------

    async def _attempt(self) -> Outcome | None:
        """None: files were reported to have changed again meanwhile, and nothing has been applied."""
        self._topology.look_through()
        began = self._clock.monotonic()
        reads = Reads()
        try:
            loaded, diff, draft = await calculated(self._read, reads)
            if self._wanted.is_set() and self._forgotten < MOST_FORGOTTEN:
                self._forgotten += 1
                return None
            self._forgotten = 0
            await self._open(loaded, draft)
        except _RefusedError as refused:
            self._refuse(refused.outcome)
            self._tell(reads, applied=False)
            return refused.outcome
        except Exception as error:  # noqa: BLE001 - ours: what runs goes on
            self._bugs.met(error)
            outcome = Outcome("refused", reads.hash(), mistakes=(f"{type(error).__name__}: {error}",))
            self._refuse(outcome)
            self._tell(reads, applied=False)
            return outcome
        validated = self._clock.monotonic()
        before = self.effective
        self._image.elsewhere = loaded.elsewhere  # before devices go: one that moved is not removed
        await self._apply(loaded, draft)
        self._in_force(loaded)
        self._tell(reads, applied=True)
        if diff:
            took = self._clock.monotonic()
            read_ms, applied_ms = round((validated - began) * 1000), round((took - validated) * 1000)
            log.info(
                "config.reloaded", reason=self._reason, hash=loaded.hash, read_ms=read_ms, applied_ms=applied_ms,
                **_named(diff),
            )  # fmt: skip
        else:
            log.info("config.unchanged", reason=self._reason, hash=loaded.hash)
        outcome = Outcome("applied" if diff else "nothing", loaded.hash, diff)
        told, packed = await self._told(before, loaded, diff)
        self._note(outcome, packed)
        return replace(outcome, report=told)

    def _read(self, reads: Reads) -> tuple[Loaded, Difference, Draft]:
        """In a thread."""
        try:
            loaded = load(self.path, reads=reads)
        except ConfigError as error:
            raise _RefusedError(reads.hash(), tuple(map(str, error.mistakes))) from None
        diff = difference(self.effective.config, loaded.config)
        if diff.restart:
            keys = ", ".join(map(str, diff.restart))
            words = f"{keys}: cannot change while the agent runs; restart it, or take the change back"
            raise _RefusedError(loaded.hash, (words,))
        try:
            draft = self._topology.draft(loaded.config, diff)
        except (PermanentError, ConfigError) as error:
            raise _RefusedError(loaded.hash, (str(error),)) from None
        for part, unbuilt in draft.unbuilt.items():
            if judge(unbuilt).kind == "bug":
                Bugs(part).met(unbuilt)
        if draft.unbuilt:
            raise _RefusedError(
                loaded.hash, tuple(f"{part}: {judge(why).reason}" for part, why in draft.unbuilt.items())
            )
        gc.freeze()  # configuration, models and plans live as long as the process: nobody looks through them any more
        return loaded, diff, draft

    async def _open(self, loaded: Loaded, draft: Draft) -> None:
        try:
            await self._topology.open(draft)
        except PermanentError as error:
            raise _RefusedError(loaded.hash, (str(error),)) from None

    async def _apply(self, loaded: Loaded, draft: Draft) -> None:
        try:
            await self._topology.leave(draft)
            await self._settle(loaded.config, draft.difference)  # in between: ports go from one kind of part to another
            await self._topology.begin(draft)
        except Exception as error:  # noqa: BLE001 - ours: a part may be missing, the others go on
            self._bugs.met(error)
            what = f"{type(error).__name__}: {error}"
            self._incomplete = f"a bug in the agent, see its log; a part may be missing until it is restarted: {what}"

    # --- what is known of it ------------------------------------------------------------------------------------------

    async def _told(self, before: Loaded, after: Loaded, diff: Difference) -> tuple[Report | None, Raw | None]:
        def told() -> tuple[Report, Raw | None]:
            found = report(before, after, diff)
            return found, packed(found)

        try:
            return await calculated(told)
        except Exception as error:  # noqa: BLE001 - ours: the reload is done, and only not described
            self._bugs.met(error)
            return None, None

    def _note(self, outcome: Outcome, differs: Raw | None = None) -> None:
        now, asked_by = self._clock.now_ms(), self._reason
        self.journal.add(Entry(now, asked_by, outcome.result, outcome.hash, outcome.mistakes, differs))

    def files_missing(self, files: Sequence[str]) -> None:
        """Files of the configuration are not there; none: they are back as they were. What runs goes on."""
        self._missing = f"missing: {', '.join(files)}; what was read before runs on" if files else None
        self._publish()

    def _refuse(self, outcome: Outcome) -> None:
        self._note(outcome)
        self._missing = None
        self.attempted, self.mistakes = outcome.hash, outcome.mistakes
        more = len(outcome.mistakes) - 1
        reason, arrow, hint = outcome.mistakes[0].partition(" -> ")
        self.error = reason + (f" (and {more} more)" if more else "") + arrow + hint
        log.error("config.rejected", mistakes=list(outcome.mistakes))
        self._publish()

    def _in_force(self, loaded: Loaded) -> None:
        before = self.effective.hash
        self.effective, self.attempted, self.error = loaded, loaded.hash, self._incomplete
        self._missing = None
        self.mistakes = () if self.error is None else (self.error,)
        if loaded.hash != before:
            metrics.forget("hash", before)
            metrics.CONFIG_INFO.labels(loaded.hash).set(1)
        self._publish()

    def _publish(self) -> None:
        """In the agent's status, at every broker."""
        attempted = None if self.attempted == self.effective.hash else self.attempted
        before = self._image.agent
        error = self._missing or self.error
        self._image.agent = structs.replace(before, config=self.effective.hash, attempted=attempted, error=error)
        if self._image.agent != before:
            for route in self._topology.north.routes.values():
                route.say_agent()

    def _tell(self, reads: Reads, *, applied: bool) -> None:
        for callback in tuple(self._listeners.values()):
            try:
                callback(reads, applied)
            except Exception as error:  # noqa: BLE001 - whoever listens has a bug
                self._bugs.met(error)


def _named(diff: Difference) -> dict[str, list[str] | None]:
    """What changed, for the log: names, and what of the rest; nothing where nothing did."""
    found = {
        "devices_added": list(diff.devices_added),
        "devices_removed": list(diff.devices_removed),
        "devices_replaced": [name for name, change in diff.devices_changed.items() if not change.tags_only],
        "devices_retagged": [name for name, change in diff.devices_changed.items() if change.tags_only],
        "publishers_added": list(diff.publishers_added),
        "publishers_removed": list(diff.publishers_removed),
        "publishers_changed": list(diff.publishers_changed),
        "settings": [str(change) for change in diff.settings],
    }
    return {key: _some(names) if names else None for key, names in found.items()}


def _some(names: list[str]) -> list[str]:
    left = len(names) - MOST_NAMED
    return names if left <= 0 else [*names[:MOST_NAMED], f"and {left} more"]
