"""The composition root: configuration → parts → two nested task groups.

    outboxes ⊃ northbound (routes, web) ⊃ southbound (buses, devices)

The nesting is the order: northbound opens first and closes last. On stop the devices are left, the outboxes drain until
a deadline, northbound says offline and closes; what is left stays on disk. All of it within :data:`STOP_WITHIN`.
"""

from __future__ import annotations

import asyncio
import gc
from asyncio import Task, TaskGroup
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from fnmatch import fnmatchcase
from functools import partial

from msgspec import structs

from agent import __version__
from agent.config.model import Config
from agent.config.secret_files import secret_files
from agent.core.backoff import Backoff
from agent.core.clock import Clock, SystemClock
from agent.core.errors import PermanentError
from agent.core.flow import Batch, Gap
from agent.core.image import AgentInfo, Image
from agent.core.ports import Bus
from agent.core.sessions import Sessions
from agent.normalize import compile_normalizer
from agent.outbox import open_outbox
from agent.outbox.operator.protocol import Ask
from agent.outbox.orphans import orphans, tell
from agent.runtime.catalogue import Catalogues
from agent.runtime.context import RunningContext
from agent.runtime.control import Control
from agent.runtime.device import Device
from agent.runtime.overview import Overview
from agent.runtime.ownership import owned
from agent.runtime.pulse import Pulse
from agent.runtime.route import Route
from agent.runtime.steps import Steps
from agent.runtime.supervisor import Attempt, Supervisor
from agent.settings.devices import DeviceConfig
from agent.settings.publishers import PublisherConfig
from agent.settings.values import is_loopback
from agent.telemetry import metrics
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger

#: The whole way from the signal to the end, seconds, and its parts.
STOP_WITHIN = 8.0
LEAVE_DEVICES_WITHIN = 2.0
DRAIN_WITHIN = 4.0
SAY_GOODBYE_WITHIN = 1.5

log = get_logger("agent")


async def run(config: Config, config_hash: str, *, stop: asyncio.Event, clock: Clock | None = None) -> None:
    """Run the agent until `stop` is set. Raises PermanentError where it cannot start at all."""
    app = _App(config, config_hash, clock or SystemClock())
    with owned(app.data_dir, config.agent.id):
        await app.run(stop)


class _App:
    """All parts of one run."""

    def __init__(self, config: Config, config_hash: str, clock: Clock) -> None:
        self.data_dir = config.agent.data_dir
        self._config = config
        self._clock = clock
        self._steps = Steps(clock)
        self.control = Control(self.data_dir, clock)
        self._started = clock.now_ms()
        self._ready = False
        self._sessions = Sessions()
        self._tasks: dict[str, Task[None]] = {}
        self._routes: Sequence[Route] = ()
        self._devices: Sequence[Device] = ()
        self._image = Image(AgentInfo(config.agent.id, __version__, config_hash), bug=Bugs("image").met)
        self._overview = Overview(
            self._image, self.data_dir, clock=clock, routes=lambda: self._routes, devices=lambda: self._devices
        )
        self.control.serve("status", self._overview.answer)
        metrics.BUILD_INFO.labels(__version__).set(1)
        metrics.CONFIG_INFO.labels(config_hash).set(1)
        metrics.START_TIME.set(self._started / 1000)

    async def run(self, stop: asyncio.Event) -> None:
        log.info("agent.starting", agent=self._image.agent.id, version=__version__, config=self._image.agent.config)
        context = RunningContext(self._image, self.data_dir, self._clock, recorded=self._recorded)
        catalogues = Catalogues(self.data_dir / "catalogues.json")
        configured = {name: device.catalogue() for name, device in self._config.devices.items()}
        for name, (cat, tags) in catalogues.versions(configured, self._started).items():
            self._image.add(
                name,
                location=self._config.location_of(name),
                tags=tags,
                cat=cat,
                now=self._started,
                description=self._config.devices[name].description,
            )
        self._image.listen(partial(_keep, catalogues, self._image, self._clock))
        async with AsyncExitStack() as stores:
            routes = [
                await self._open_route(name, one, context, stores) for name, one in self._config.publishers.items()
            ]
            self._routes = routes
            tell(orphans(self.data_dir, self._config.publishers))
            devices = [self._device(name, one, context, routes) for name, one in self._config.devices.items()]
            self._devices = devices
            self._steps.set_back(partial(self._set_back, routes), last=True)
            gc.collect()
            gc.freeze()  # configuration, models and plans live as long as the process
            await self._live(context.buses, devices, routes, stop)
            left = sum(route.outbox.stats.records for route in routes)
        log.info("agent.stopped", left=left)

    # --- building -----------------------------------------------------------------------------------------------------

    async def _open_route(
        self, name: str, config: PublisherConfig, context: RunningContext, stores: AsyncExitStack
    ) -> Route:
        wants = _matcher(config.devices)
        info = structs.replace(
            config.route(name, self._image.agent.id), wants=wants, sessions=self._sessions, clock=self._clock
        )
        outbox = open_outbox(
            self.data_dir,
            name=name,
            settings=config.outbox or self._config.outbox,
            clock=self._clock,
            max_record_bytes=config.max_message_bytes,
            was=config.was,
        )
        await stores.enter_async_context(outbox.open())
        stores.callback(self.control.serve(f"outbox {name}", outbox.answer, Ask))
        if config.encoder is None:
            reason = f"publisher {name} has no encoder"
            raise PermanentError(reason, "write `encoder: {type: json}`")
        encoder = config.encoder.build(info)
        publisher = config.build(name, context)
        return Route(
            name,
            publisher,
            encoder,
            outbox,
            self._image,
            clock=self._clock,
            replay=config.replay,
            wants=wants,
            files=list(secret_files(config)),
        )

    def _recorded(self, device: str) -> int | None:
        """Any route may have handed out what another did not commit any more."""
        known = [route.outbox.recorded(device) for route in self._routes if route.wants(device)]
        return max((at for at in known if at is not None), default=None)

    def _device(self, name: str, config: DeviceConfig, context: RunningContext, routes: Iterable[Route]) -> Device:
        table = config.tag_table
        if not config.enabled:
            table = {tag: one.model_copy(update={"enabled": False}) for tag, one in table.items()}
        image, tags = self._image.devices[name], list(table.values())
        append: list[Callable[[Batch | Gap], None]] = [route.outbox.append for route in routes if route.wants(name)]
        return Device(
            name,
            config.build(name, context),
            compile_normalizer(name, table, cat=lambda: image.cat, clock=self._clock),
            self._image,
            append,
            clock=self._clock,
            steps=self._steps,
            disabled_tags=tuple(position for position, tag in enumerate(tags) if not tag.enabled),
            max_delay=config.batch.max_delay,
            finds_tags=config.enabled and config.finds_tags,
            files=list(secret_files(config)),
            value_type=lambda position, raw: tags[position].value_type(raw) if position < len(tags) else raw,
        )

    def _set_back(self, routes: Sequence[Route], by: int) -> None:
        """The wall clock was set back; the devices have been told."""
        self._image.set_back(by, self._clock.now_ms())
        for route in routes:
            route.outbox.end_session("the wall clock was set back")

    # --- living -------------------------------------------------------------------------------------------------------

    async def _live(
        self,
        buses: dict[str, Bus],
        devices: Sequence[Device],
        routes: Sequence[Route],
        stop: asyncio.Event,
    ) -> None:
        async with TaskGroup() as north:
            pulse = north.create_task(self._pulse(), name="pulse")
            watching = north.create_task(self._watch(), name="overview")
            web = north.create_task(self._web(), name="web")
            control = north.create_task(self.control.run(), name="control")
            publishing = [north.create_task(route.run(), name=f"publisher {route.name}") for route in routes]
            async with TaskGroup() as south:
                reading = [south.create_task(device.run(), name=f"device {device.name}") for device in devices]
                driving = [south.create_task(self._bus(key, bus), name=f"bus {key}") for key, bus in buses.items()]
                self._ready = True
                log.info("agent.started", devices=len(devices), publishers=len(routes))
                await stop.wait()
                self._ready = False
                log.info("agent.stopping", within_s=STOP_WITHIN)
                await _end(reading, LEAVE_DEVICES_WITHIN)
                await _end(driving, 1.0)
            await self._drain(routes)
            for route in routes:
                route.leave()
            await _finish(publishing, SAY_GOODBYE_WITHIN)
            await _end([web, watching, pulse, control], 1.0)

    async def _pulse(self) -> None:
        supervisor = Supervisor("pulse", clock=self._clock, backoff=Backoff())

        async def attempt(_: Attempt) -> None:
            await Pulse(self._clock, self._steps).run()

        await supervisor.run(attempt)

    async def _watch(self) -> None:
        supervisor = Supervisor("overview", clock=self._clock, backoff=Backoff())

        async def attempt(_: Attempt) -> None:
            await self._overview.run()

        await supervisor.run(attempt)

    async def _bus(self, key: str, bus: Bus) -> None:
        supervisor = Supervisor(f"bus {key}", clock=self._clock, backoff=Backoff())

        async def attempt(_: Attempt) -> None:
            await bus.run()

        await supervisor.run(attempt)

    async def _drain(self, routes: Sequence[Route]) -> None:
        """Deliver what is left, until the deadline; what no broker takes stays on disk."""
        async with TaskGroup() as group:
            draining = [group.create_task(route.drain(), name=f"drain {route.name}") for route in routes]
            await _finish(draining, DRAIN_WITHIN)
        if all(route.outbox.stats.records == 0 for route in routes):
            log.info("publisher.drained")

    # --- the web ------------------------------------------------------------------------------------------------------

    async def _web(self) -> None:
        http = self._config.http
        if http is None:
            return
        from agent.web import server

        pages = server.Pages(
            healthy=lambda: None,
            ready=lambda: None if self._ready else "starting or stopping",
            refresh=self._overview.look,
            status=self._overview.status,
            open_to_all=is_loopback(http.host),
            token_file=http.auth.token_file if http.auth else None,
        )
        supervisor = Supervisor("web", clock=self._clock, backoff=Backoff())

        async def attempt(_: Attempt) -> None:
            await server.serve(pages.app(), http.host, http.port)

        await supervisor.run(attempt)


def _keep(catalogues: Catalogues, image: Image, clock: Clock, device: str) -> None:
    if device in image.devices:
        catalogues.keep(image.devices[device], clock.now_ms())


def _matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    return lambda device: any(fnmatchcase(device, glob) for glob in globs)


async def _end(tasks: Sequence[Task[None]], within: float) -> None:
    """Cancel and await with `asyncio.wait`, so that one's own cancellation is never swallowed."""
    for task in tasks:
        task.cancel()
    await _finish(tasks, within)


async def _finish(tasks: Sequence[Task[None]], within: float) -> None:
    """Wait for tasks; who is late is named, and cancelled (again)."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=within)
    for task in late:
        log.warning("component.stop_slow", component=task.get_name(), waited_s=within)
        task.cancel()
