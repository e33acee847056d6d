"""The parts of a running agent and what ties them: begun, replaced and ended one by one.

    outboxes ⊃ northbound (routes) ⊃ southbound (buses, devices)

The nesting is the order: northbound begins first and ends last. From one configuration to the next goes a
:class:`~agent.config.diff.Difference`: parts it does not name are not touched. A start is the difference to nothing.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import TaskGroup
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from agent.config.diff import Difference, difference
from agent.config.model import Config
from agent.core.clock import Clock
from agent.core.image import Image, TagInfo
from agent.core.ports import Bus
from agent.core.sessions import Sessions
from agent.core.threads import run_in_thread
from agent.runtime.catalogue import Catalogues, Version
from agent.runtime.context import RunningContext
from agent.runtime.control import Control
from agent.runtime.drafts import Draft, draft_device, draft_route
from agent.runtime.northbound import Northbound
from agent.runtime.outlet import Outlet
from agent.runtime.southbound import Southbound
from agent.runtime.steps import Steps
from agent.settings.outbox import OutboxSettings

#: When so many parts of former configurations have ended, somebody counts what they have left.
MOST_ENDED = 100
#: So many objects may lie about, 1 to 2 MB: 12 OPC UA devices leave as many, Modbus devices none.
MOST_LEFT = 10_000
#: A disk may take so long for what devices have told last, seconds.
FLUSH_WITHIN = 0.5


class Topology:
    """Belongs to the event loop; only :meth:`draft` may be called in a thread, and one at a time."""

    def __init__(
        self,
        groups: tuple[TaskGroup, TaskGroup, TaskGroup],
        *,
        image: Image,
        steps: Steps,
        control: Control,
        data_dir: Path,
        clock: Clock,
    ) -> None:
        """`groups` for the tasks of outboxes, of routes, and of devices and buses, each nested in the one before."""
        stores, north, south = groups
        self.outlet = Outlet()
        self.north = Northbound(stores, north, image, self.outlet, control, data_dir, clock)
        self.south = Southbound(south, image, self.outlet, steps, clock)
        self._image = image
        self._data_dir = data_dir
        self._clock = clock
        self._sessions = Sessions()
        self._catalogues = Catalogues(data_dir / "catalogues.json")
        self._ended = 0  # parts, and reloads, since somebody counted what they have left
        self._fewest = sys.maxsize  # objects that were set aside after a reload
        self._undo = [image.listen(self._keep), steps.set_back(self._set_back, last=True)]

    # --- building -----------------------------------------------------------------------------------------------------

    def draft(self, config: Config, diff: Difference) -> Draft:
        """Build what is new in a configuration. Touches nothing that runs.

        A part that cannot be built is in `unbuilt`; run all the same, it fails alone.
        """
        replaced = [name for name, change in diff.devices_changed.items() if not change.tags_only]
        leaving = self.south.leaving([*diff.devices_removed, *replaced])
        standing = self.south.buses.standing(leaving)
        publishers = {name: config.publishers[name] for name in (*diff.publishers_added, *diff.publishers_changed)}
        routes = {
            name: draft_route(
                name, one, self._context(f"publisher {name}", {}), sessions=self._sessions, clock=self._clock
            )
            for name, one in publishers.items()
        }
        names = [*diff.devices_added, *diff.devices_changed]
        catalogues: Mapping[str, list[TagInfo]] = {name: config.devices[name].catalogue() for name in names}
        versions = self._catalogues.versions(catalogues, self._clock.now_ms())
        devices = {
            name: draft_device(
                name,
                config.devices[name],
                config.location_of(name),
                versions[name],
                self._context(f"device {name}", standing),
                image=self._image,
                clock=self._clock,
                change=diff.devices_changed.get(name),
            )
            for name in names
        }
        return Draft(config, diff, devices, routes)

    def _context(self, component: str, standing: dict[str, Bus]) -> RunningContext:
        north = self.north
        return RunningContext(
            self._image,
            self._data_dir,
            self._clock,
            standing,
            component=component,
            recorded=north.recorded,
            room=north.room,
        )

    def version(self, device: str, tags: Sequence[TagInfo]) -> Version:
        """Of a catalogue that is not built from the configuration."""
        return self._catalogues.versions({device: tags}, self._clock.now_ms())[device]

    # --- running ------------------------------------------------------------------------------------------------------

    async def open(self, draft: Draft) -> None:
        """Open the outboxes of new publishers. Raises PermanentError: then nothing has changed.

        It does where one cannot be opened, and where one that goes could not be closed without a loss.
        """
        self.north.keeps(draft.difference.publishers_removed)
        opened: list[str] = []
        try:
            for name in draft.difference.publishers_added:
                await self.north.open(draft.routes[name], _settings(draft.config, name))
                opened.append(name)
        except BaseException:
            for name in opened:
                await self.north.close(name)
            raise

    async def leave(self, draft: Draft) -> None:
        """End what is no longer wanted, and what has a successor: it lets go of what only one may have."""
        diff = draft.difference
        await self.north.remove(diff.publishers_removed)
        await self.north.leave([name for name, change in diff.publishers_changed.items() if not change.in_place])
        await self.south.remove(diff.devices_removed)
        await self.south.leave([name for name, change in diff.devices_changed.items() if not change.tags_only])

    async def begin(self, draft: Draft) -> None:
        """Run what was drafted. Its outboxes are open, and what it succeeds was left.

        Northbound begins before southbound, so that nothing is read that nobody keeps.
        """
        diff, devices = draft.difference, draft.devices
        for name, route in draft.routes.items():
            change = diff.publishers_changed.get(name)
            start = self.north.adjust if change is not None and change.in_place else self.north.begin
            start(route, _settings(draft.config, name))
        changed = {name: (change, devices[name]) for name, change in diff.devices_changed.items()}
        self.south.succeed({name: one for name, one in changed.items() if not one[0].tags_only})
        for name in diff.devices_added:
            self.south.begin(devices[name])
        await self.south.retag({name: one for name, one in changed.items() if one[0].tags_only})
        ended = [*diff.devices_removed, *diff.publishers_removed, *diff.publishers_changed]
        ended += [name for name, change in diff.devices_changed.items() if not change.tags_only]
        self._ended += 1 + len(ended)
        gc.collect(0)
        gc.freeze()  # configuration, models and plans live as long as the process
        if self._fewest == sys.maxsize:
            self._fewest = gc.get_freeze_count()

    def look_through(self) -> None:
        """Free what has ended in cycles while it was set aside (`gc.freeze`) with all that lived: nobody else finds it.

        Only where that is much: it holds the loop for half a microsecond an object. Best before a reload reads.
        """
        if self._ended < MOST_ENDED:
            return
        self._ended = 0
        self._fewest = min(self._fewest, gc.get_freeze_count())
        if gc.get_freeze_count() - self._fewest >= MOST_LEFT:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._fewest = gc.get_freeze_count()

    async def end(self) -> None:
        """Leave the devices, and deliver what is left as far as there is time."""
        await self.south.end()
        await self.north.drain()

    async def close(self) -> int:
        """Publish `offline` and close everything; how many records are left on disk."""
        left = await self.north.end()
        while self._undo:
            self._undo.pop()()
        await asyncio.wait([run_in_thread(self._catalogues.flush, "catalogues")], timeout=FLUSH_WITHIN)
        return left

    # --- what parts tell ----------------------------------------------------------------------------------------------

    def missing(self, section: str, name: str) -> str | None:
        """Why a device or a publisher does not work since it was last changed; None where it does, or is gone."""
        if section == "devices":
            one = self.south.devices.get(name)
            if one is None or one.back:
                return None
            return self._image.devices[name].reason or "it has not answered yet"
        route = self.north.routes.get(name)
        return None if route is None or route.state == "online" else route.reason or "it is not connected yet"

    def wake(self, files: Collection[Path] | None = None) -> None:
        """Parts that wait try again: those whose secret or certificate files have changed, or (None) all."""
        self.south.wake(files)
        self.north.wake(files)

    def _keep(self, device: str) -> None:
        if device in self._image.devices:
            self._catalogues.keep(self._image.devices[device], self._clock.now_ms())

    def _set_back(self, by: int) -> None:
        """The wall clock was set back; the devices have been told."""
        self._image.set_back(by, self._clock.now_ms())
        self.south.set_back(by)
        for route in self.north.routes.values():
            route.outbox.end_session("the wall clock was set back")


def nothing_of(config: Config) -> Config:
    """The same configuration without devices and publishers: what a start begins from."""
    return config.model_copy(update={"devices": {}, "publishers": {}})


def start_of(config: Config) -> Difference:
    """What has to begin at a start."""
    return difference(nothing_of(config), config)


def _settings(config: Config, publisher: str) -> OutboxSettings:
    return config.publishers[publisher].outbox or config.outbox
