"""The composition root: configuration → topology, and what stands beside it (pulse, web, socket, reload).

    outboxes ⊃ northbound (routes, web) ⊃ southbound (buses, devices)

The nesting is the order: northbound opens first and closes last. On stop the devices are left, the outboxes drain until
a deadline, northbound says offline and closes; what is left stays on disk. All of it within :data:`STOP_WITHIN`.
"""

from __future__ import annotations

from asyncio import Event, Task, TaskGroup
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from agent import __version__
from agent.config.diff import Difference
from agent.config.files import Reads
from agent.config.loader import Loaded
from agent.config.model import Config, HttpSettings
from agent.core import threads
from agent.core.backoff import Backoff
from agent.core.clock import Clock, SystemClock
from agent.core.image import AgentInfo, Image
from agent.runtime.control import Control
from agent.runtime.ending import end
from agent.runtime.history.recorder import History
from agent.runtime.myself import Myself
from agent.runtime.ownership import owned
from agent.runtime.pulse import Pulse
from agent.runtime.recording import Recordings
from agent.runtime.reload.reloader import Reloader
from agent.runtime.reload.reloading import Reconfiguring
from agent.runtime.reload.watch import Watch
from agent.runtime.service import ServiceManager
from agent.runtime.status.overview import Overview
from agent.runtime.status.support import Support
from agent.runtime.status.views import Views
from agent.runtime.steps import Steps
from agent.runtime.supervisor import Attempt, Supervisor, judge
from agent.runtime.topology import Topology, start_of
from agent.settings.values import is_loopback
from agent.telemetry import metrics
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import configure, get_logger
from agent.web.stream import LiveStream

#: The whole way from the signal to the end, seconds.
STOP_WITHIN = 8.0

log = get_logger("agent")


async def run(path: Path, loaded: Loaded, *, stop: Event, reload: Event, clock: Clock | None = None) -> None:
    """Run the agent until `stop` is set; reread the configuration in `path` when `reload` is.

    Raises PermanentError where it cannot start at all.
    """
    agent = _Agent(path, loaded, clock or SystemClock())
    with owned(agent.data_dir, loaded.config.agent.id):
        await agent.run(stop, reload)


class _Agent:
    """One run."""

    def __init__(self, path: Path, loaded: Loaded, clock: Clock) -> None:
        config = loaded.config
        self.data_dir = config.agent.data_dir
        self._path = path
        self._loaded = loaded
        self._clock = clock
        self._steps = Steps(clock)
        self._control = Control(self.data_dir, clock)
        self._ready = False
        shard = f"{config.agent.shard.index}/{config.agent.shard.count}"
        self._image = Image(AgentInfo(config.agent.id, __version__, loaded.hash, shard=shard), bug=Bugs("image").met)
        self._image.elsewhere = loaded.elsewhere
        self._overview: Overview
        self._views: Views
        self._stream: LiveStream
        self._history: History
        self._myself: Myself
        self._web: Task[None] | None = None
        self._listens = False
        metrics.BUILD_INFO.labels(__version__).set(1)
        metrics.CONFIG_INFO.labels(loaded.hash).set(1)
        metrics.START_TIME.set(clock.now_ms() / 1000)

    async def run(self, stop: Event, reload: Event) -> None:
        log.info("agent.starting", agent=self._image.agent.id, version=__version__, config=self._image.agent.config)
        error: Exception | None = None
        left = 0
        async with TaskGroup() as stores, TaskGroup() as north, TaskGroup() as south:
            topology = Topology(
                (stores, north, south),
                image=self._image,
                steps=self._steps,
                control=self._control,
                data_dir=self.data_dir,
                clock=self._clock,
            )
            try:
                left = await self._live(topology, north, stop, reload)
            except Exception as raised:  # noqa: BLE001 - raised again below, not wrapped in groups
                error = raised
                await topology.close()
        if error is not None:
            raise error
        log.info("agent.stopped", left=left)

    async def _live(self, topology: Topology, north: TaskGroup, stop: Event, reload: Event) -> int:
        config = self._loaded.config
        draft = threads.beside(topology.draft, config, start_of(config))
        await topology.open(draft)
        reloader = Reloader(
            self._path,
            self._loaded,
            topology,
            image=self._image,
            clock=self._clock,
            settle=partial(self._settle, north),
        )
        history = self._history = History(self.data_dir, self._image, topology.outlet, self._steps, self._clock)
        history.apply(config.history, config.outbox.min_free_disk)
        pulse = Pulse(self._clock, self._steps)
        overview = Overview(
            self._image,
            self.data_dir,
            clock=self._clock,
            routes=topology.north.running,
            devices=topology.south.running,
            publishers=lambda: reloader.effective.config.publishers,
            history=lambda: history.on,
            configured=lambda name: reloader.effective.config.devices.get(name),  # noqa: PLW0108 - of what runs by then
        )
        self._myself = myself = Myself(
            self._image, topology, self._steps, overview.of_agent, pulse.latest_ms, self._clock
        )
        self._control.serve("status", overview.answer)
        Reconfiguring(reloader, partial(self._missing, topology), self._clock).serve(self._control)
        Recordings(lambda: topology.south.devices, self._clock).serve(self._control)
        service = ServiceManager(
            lambda: {route.name: route.outbox.stats.turn_s for route in topology.north.running()}, self._clock
        )
        beside = [
            north.create_task(self._keep(name, work), name=name)
            for name, work in {
                "pulse": pulse.run,
                "overview": overview.run,
                "control": self._control.run,
                "history": history.run,
                "myself": myself.run,
                "service": service.run,
            }.items()
        ]
        self._overview = overview
        self._views = Views(self._image, overview, reloader, topology.outlet, history, myself, self._clock)
        Support(self._views, overview, lambda: reloader.effective).serve(self._control)
        self._stream = LiveStream(self._views, self._clock)
        beside.append(north.create_task(self._keep("stream", self._stream.run), name="stream"))
        self._serve(north, config.http)
        myself.apply(config)
        await topology.begin(draft)
        del draft  # its parts may end before the agent
        self._ready = True
        service.ready()
        log.info("agent.started", devices=len(config.devices), publishers=len(config.publishers))
        reloading = [
            north.create_task(self._keep("reload", reloader.run), name="reload"),
            north.create_task(self._keep("watch", self._watch(topology, reloader).run), name="watch"),
            north.create_task(_on_signal(reload, reloader), name="reload signal"),
        ]
        await stop.wait()
        self._ready = False
        service.stopping()
        log.info("agent.stopping", within_s=STOP_WITHIN)
        await end(reloading, 1.0)
        await history.close()
        await topology.end()
        left = await topology.close()
        await end([*beside, *([] if self._web is None else [self._web])], 1.0)
        return left

    async def _keep(self, component: str, work: Callable[[], Awaitable[None]]) -> None:
        supervisor = Supervisor(component, clock=self._clock, backoff=Backoff())

        async def attempt(_: Attempt) -> None:
            await work()

        await supervisor.run(attempt)

    def _missing(self, topology: Topology, section: str, name: str) -> str | None:
        if section != "http":
            return topology.missing(section, name)
        return None if self._listens else self._overview.unserved or "it does not listen yet"

    def _watch(self, topology: Topology, reloader: Reloader) -> Watch:
        watch = Watch(
            self._clock,
            reload=partial(reloader.reload, "files changed"),
            renewed=topology.wake,
            missing=reloader.files_missing,
        )

        def attempted(reads: Reads, applied: bool) -> None:
            watch.attempted(reads, applied=applied, files=reloader.effective.config.agent.reload == "watch")

        attempted(self._loaded.reads, True)
        reloader.listen(attempted)
        return watch

    async def _settle(self, north: TaskGroup, config: Config, diff: Difference) -> None:
        """Apply what is neither a device nor a publisher."""
        changed = {change.key[0] for change in diff.settings}
        if "log" in changed:
            configure(level=config.log.level, style=config.log.format)
        self._history.apply(config.history, config.outbox.min_free_disk)
        self._myself.apply(config)
        if "http" in changed:
            if self._web is not None:
                await end([self._web], 1.5)
            self._serve(north, config.http)

    # --- the web ------------------------------------------------------------------------------------------------------

    def _serve(self, north: TaskGroup, http: HttpSettings | None) -> None:
        self._overview.unserved, self._listens = None, http is None
        self._web = None if http is None else north.create_task(self._serve_web(http), name="web")

    async def _serve_web(self, http: HttpSettings) -> None:
        from agent.web import server
        from agent.web.api import Api
        from agent.web.tls import Certificate

        pages = server.Pages(
            healthy=lambda: None,
            ready=lambda: None if self._ready else "starting or stopping",
            refresh=self._overview.look,
            api=Api(self._views, self._stream),
            open_to_all=is_loopback(http.host),
            token_file=http.auth.token_file if http.auth else None,
        )
        certificate = Certificate(http.tls.cert_file, http.tls.key_file) if http.tls else None
        app = pages.app()

        def listening() -> None:
            self._overview.unserved, self._listens = None, True

        async def serve() -> None:
            try:
                await server.serve(app, http.host, http.port, certificate, listening)
            except Exception as failed:
                self._overview.unserved, self._listens = judge(failed).reason, False
                raise

        await self._keep("web", serve)


async def _on_signal(reload: Event, reloader: Reloader) -> None:
    while True:
        await reload.wait()
        reload.clear()
        if reloader.effective.config.agent.reload == "off":
            log.warning("config.reload_off", reason="SIGHUP")
        else:
            reloader.request("SIGHUP")
