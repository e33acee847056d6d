"""The routes that publish: begun, ended, replaced and adjusted one by one; each with its outbox, which outlives it."""

from __future__ import annotations

import asyncio
from asyncio import Event, Future, Task, TaskGroup
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.config.secret_files import secret_files
from agent.core.clock import Clock
from agent.core.errors import PermanentError
from agent.core.image import Image
from agent.outbox import SqliteOutbox, open_outbox
from agent.outbox.operator.protocol import OutboxQuestion
from agent.runtime.control import Control
from agent.runtime.drafts import RouteDraft
from agent.runtime.ending import finish, let_go
from agent.runtime.north.route import Route
from agent.runtime.outlet import Outlet
from agent.settings.outbox import OutboxSettings
from agent.telemetry import metrics
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger

#: What is left is delivered within this when the agent stops, seconds.
DRAIN_WITHIN = 4.0
#: A route publishes `offline` and closes within this, seconds.
SAY_GOODBYE_WITHIN = 1.5
#: The outbox of a removed publisher is flushed and closed within this, seconds: a disk commits within one, and one that
#: hangs must not hold up the rest of the reload.
CLOSE_WITHIN = 3.0
#: Bytes a value may take of a device that no route wants: the default of max_message_bytes.
DEFAULT_ROOM = 96 << 10

log = get_logger("publisher")


@dataclass
class _Store:
    """An open outbox, kept open by a task of its own."""

    outbox: SqliteOutbox
    task: Task[None]
    close: Event = field(default_factory=Event)
    undo: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class _Publishing:
    route: Route
    draft: RouteDraft
    task: Task[None]


class Northbound:
    """All routes of one agent. Belongs to the event loop."""

    def __init__(
        self,
        stores: TaskGroup,
        group: TaskGroup,
        image: Image,
        outlet: Outlet,
        control: Control,
        data_dir: Path,
        clock: Clock,
    ) -> None:
        self._stores_group = stores
        self._group = group
        self._image = image
        self._outlet = outlet
        self._control = control
        self._data_dir = data_dir
        self._clock = clock
        self._stores: dict[str, _Store] = {}
        self._publishing: dict[str, _Publishing] = {}
        self._closing: dict[str, Task[None]] = {}  # outboxes of removed publishers, which their disk holds up
        self._lingering: dict[str, list[Task[None]]] = {}  # sessions that should have ended, and have not

    @property
    def routes(self) -> Mapping[str, Route]:
        """Those that publish, by name."""
        return {name: one.route for name, one in self._publishing.items()}

    def running(self) -> list[Route]:
        """The same, as of now."""
        return [one.route for one in self._publishing.values()]

    # --- outboxes -----------------------------------------------------------------------------------------------------

    async def open(self, draft: RouteDraft, settings: OutboxSettings) -> None:
        """Open the outbox of a publisher that is new. Raises PermanentError where that cannot be."""
        name = draft.name
        for former in filter(None, (name, draft.config.was)):
            if former in self._closing and not self._closing[former].done():
                raise PermanentError(
                    f"publishers.{name}: the outbox of `{former}` is not closed yet, the data disk holds it up "
                    "-> look at the disk, then reload again"
                )
        outbox = open_outbox(
            self._data_dir,
            name=name,
            settings=settings,
            clock=self._clock,
            max_record_bytes=draft.config.max_message_bytes,
            was=draft.config.was,
        )
        opened: Future[None] = asyncio.get_running_loop().create_future()
        close = Event()
        task = self._stores_group.create_task(_keep_open(outbox, opened, close), name=f"outbox {name}")
        try:
            await opened
        except BaseException:
            close.set()  # nobody waits for it any more: closed as soon as it is open
            raise
        self._stores[name] = _Store(
            outbox, task, close, [self._control.serve(f"outbox {name}", outbox.answer, OutboxQuestion)]
        )

    def keeps(self, names: Sequence[str]) -> None:
        """Raise PermanentError where one of these outboxes may not be closed: what its disk refuses would be lost."""
        for name in names:
            stats = self._stores[name].outbox.stats
            if stats.refusal is not None and stats.records:
                reason, _, hint = stats.refusal.partition(" -> ")
                raise PermanentError(
                    f"publishers.{name}: its disk refuses, and what is in memory would be lost with it: {reason}",
                    f"{hint or 'look at the disk'}; then reload again",
                )

    async def close(self, name: str) -> None:
        """Close an outbox; its file stays as it is."""
        await asyncio.wait([self._release(name)])

    def _release(self, name: str) -> Task[None]:
        """Nothing goes into this outbox any more; the task ends when it is closed."""
        store = self._stores.pop(name)
        while store.undo:
            store.undo.pop()()
        store.close.set()
        return store.task

    def recorded(self, device: str) -> int | None:
        """Any route may have handed out what another did not commit any more."""
        known = [
            self._stores[name].outbox.recorded(device)
            for name, one in self._publishing.items()
            if one.draft.wants(device)
        ]
        return max((at for at in known if at is not None), default=None)

    def room(self, device: str) -> int:
        """What the largest message of any of its routes may have."""
        wanting = [one.draft.config.max_message_bytes for one in self._publishing.values() if one.draft.wants(device)]
        return max(wanting, default=DEFAULT_ROOM)

    # --- routes -------------------------------------------------------------------------------------------------------

    def begin(self, draft: RouteDraft, settings: OutboxSettings) -> None:
        """Publish what is in the outbox, which is open; where a former session has not ended, as soon as it has."""
        name = draft.name
        store = self._stores[name]
        store.outbox.apply(settings, max_record_bytes=draft.config.max_message_bytes)
        route = Route(
            name,
            draft.publisher,
            draft.encoder,
            store.outbox,
            self._image,
            clock=self._clock,
            replay=draft.config.replay,
            wants=draft.wants,
            files=list(secret_files(draft.config)),
        )
        undo = self._outlet.route(name, draft.wants, store.outbox.append, store.outbox.scanned)
        store.undo[1:] = [undo]
        draft.context.begin()
        task = self._group.create_task(_guarded(route, self._lingering.get(name, [])), name=f"publisher {name}")
        self._publishing[name] = _Publishing(route, draft, task)

    async def leave(self, names: Sequence[str]) -> None:
        """End these routes, bounded: a broker that takes nothing any more holds nobody up. Their outboxes stay open."""
        left = [self._publishing.pop(name) for name in names]
        for one in left:
            one.route.leave()
        await finish([one.task for one in left], SAY_GOODBYE_WITHIN)
        for name, one in zip(names, left, strict=True):
            late = [task for task in (*self._lingering.pop(name, []), one.task) if not task.done()]
            if late:
                self._lingering[name] = late
            one.draft.context.end()
            let_go(one.route, one.task)

    async def remove(self, names: Sequence[str]) -> None:
        """These are no longer configured: their files stay, and are named."""
        await self.leave(names)
        async with TaskGroup() as group:
            for name in names:
                group.create_task(self._put_away(name), name=f"remove publisher {name}")

    async def _put_away(self, name: str) -> None:
        """Flush and close, bounded: what the disk holds up is left to the outbox's own task."""
        store = self._stores[name]
        outbox = store.outbox
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await outbox.flush()
                await asyncio.wait([self._release(name)])
        records = outbox.stats.records
        if name in self._stores:
            self._release(name)
        if not store.task.done():
            log.warning("component.stop_slow", component=f"outbox {name}", waited_s=CLOSE_WITHIN)
            self._closing[name] = store.task
        metrics.forget("publisher", name)
        metrics.forget("component", f"publisher {name}")
        log.info("publisher.removed", publisher=name, records=records, file=str(outbox.path))

    def adjust(self, draft: RouteDraft, settings: OutboxSettings) -> None:
        """Apply what may change while the session goes on."""
        name = draft.name
        one = self._publishing[name]
        carried = one.draft.wants
        before = {device for device in self._image.devices if carried(device)}
        carried.globs = draft.wants.globs
        moved = [device for device in self._image.devices if carried(device) != (device in before)]
        self._outlet.rewire()
        self._stores[name].outbox.apply(settings, max_record_bytes=draft.config.max_message_bytes)
        try:
            one.route.adjust(draft.publisher, draft.config.replay, moved)
        except Exception as error:  # noqa: BLE001 - costs this publisher its change, not the others theirs
            Bugs(f"publisher {name}").met(error)
        one.draft.answers.on = draft.answers.on
        one.draft = replace(one.draft, config=draft.config)

    def wake(self, files: Collection[Path] | None) -> None:
        """Let those who use one of these files (None: all) try again now, where they wait."""
        for one in self._publishing.values():
            if files is None or any(file in files for _, file in secret_files(one.draft.config)):
                one.route.wake()

    async def drain(self) -> None:
        """Deliver what is left, until the deadline; what no broker takes stays on disk."""
        routes = list(self.routes.values())
        async with TaskGroup() as group:
            await finish(
                [group.create_task(route.drain(), name=f"drain {route.name}") for route in routes], DRAIN_WITHIN
            )
        if all(route.outbox.stats.records == 0 for route in routes):
            log.info("publisher.drained")

    async def end(self) -> int:
        """Publish `offline` at every broker and close all outboxes; how many records are left on disk."""
        await self.leave(list(self._publishing))
        left = sum(store.outbox.stats.records for store in self._stores.values())
        for name in list(self._stores):
            await self.close(name)
        return left


async def _keep_open(outbox: SqliteOutbox, opened: Future[None], close: Event) -> None:
    try:
        async with outbox.open():
            if not opened.done():
                opened.set_result(None)
            await close.wait()
    except Exception as error:
        if opened.cancelled():
            return
        if opened.done():
            raise
        opened.set_exception(error)


async def _guarded(route: Route, former: Collection[Task[None]]) -> None:
    """Two sessions at once would read the same outbox, and speak under the same name: `former` ones end first."""
    if former:
        with route.standing.waiting("the former session has not ended yet"):
            await asyncio.wait(former)
    try:
        await route.run()
    except Exception as error:  # noqa: BLE001 - costs the route, not the others
        Bugs(f"publisher {route.name}").met(error)
