"""`edge-agent run`: the agent itself."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from agent.app import STOP_WITHIN
from agent.app import run as run_agent
from agent.cli.loop import RESERVE, loop_factory
from agent.config.loader import Loaded, load
from agent.config.located import Map
from agent.config.placed import placed
from agent.config.summary import warnings
from agent.core.allocator import keep_little
from agent.core.errors import ConfigError, Mistake, PermanentError
from agent.core.threads import beside
from agent.telemetry.logging import configure, get_logger

_DESCRIPTORS = 65_536
#: New objects before the youngest are looked through for garbage. Fifty devices that answer together have more than
#: 700 in hand for a moment, and none of it is garbage. Older ones are looked at as often as with Python's 700, 10, 10.
_GARBAGE = (2500, 2, 10)

log = get_logger("agent")


class ReloadSignal:
    """SIGHUP from here on to the end of the process: it asks for a reload, and never ends anything.

    Not the loop's handler: that begins with the loop and ends with it, and the signal may come before or after.
    """

    def __init__(self) -> None:
        self._came = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        signal.signal(signal.SIGHUP, self._take)

    def _take(self, *_: object) -> None:
        self._came = True
        if self._loop is not None and self._event is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    def event(self) -> asyncio.Event:
        """Set when the signal comes, also where it came before."""
        self._event, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if self._came:
            self._event.set()
        return self._event

    def over(self) -> None:
        """Nothing is reloaded any more. A handler would be taken away with the interpreter, and the signal end us."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def run(config: Path) -> int:
    """Run until SIGTERM or SIGINT. 0: clean end, 1: it could not start, 2: the configuration has mistakes."""
    os.umask(0o077)  # what is in data_dir concerns this user alone
    gc.set_threshold(*_GARBAGE)
    _take_descriptors()
    keep_little()
    sighup = ReloadSignal()
    try:
        return _run(config, sighup)
    finally:
        sighup.over()


def _take_descriptors() -> None:
    """As many as the system allows: a login's soft limit (1,024) is made for programs that use select()."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
    with suppress(OSError, ValueError):  # forbidden: then it is as it was
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _run(config: Path, sighup: ReloadSignal) -> int:
    configure()
    try:
        loaded = beside(load, config, secrets=False)
        gc.freeze()  # it lives as long as the process
    except ConfigError as error:
        log.error("config.rejected", mistakes=[str(mistake) for mistake in error.mistakes])  # noqa: TRY400 - no traceback for a user's slip
        sys.stderr.write(f"{error}\n")
        return 2
    configure(level=loaded.config.log.level, style=loaded.config.log.format)
    counts = {"devices": len(loaded.config.devices), "publishers": len(loaded.config.publishers)}
    log.info("config.loaded", file=str(config), hash=loaded.hash, files=len(loaded.files), **counts)
    for warning in _placed(config, list(warnings(loaded.config))):
        log.warning("config.warning", reason=str(warning))
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_until_signal(config, loaded, sighup))
    except PermanentError as error:
        log.error("component.failed", component="agent", reason=str(error))  # noqa: TRY400 - the reason says it all
        return 1
    return 0


def _placed(config: Path, found: list[str]) -> list[Mistake]:
    """Warnings with file and line. The files are read once more for it: where every key stands is kept for no agent."""
    places = Map(str(config), 0)
    if found:
        with suppress(ConfigError):  # changed this moment: then without lines
            beside(load, config, secrets=False, places=places)
    return placed(found, places)


async def _until_signal(config: Path, loaded: Loaded, sighup: ReloadSignal) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Set explicitly: as PID 1 of a container there is no default action that would end us.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, loop, stop)
    await run_agent(config, loaded, stop=stop, reload=sighup.event())


def _stop(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Begin the end, and bound it: the loop's own end takes the timer along, so it covers all that runs on the loop."""
    if not stop.is_set():
        stop.set()
        loop.call_later(STOP_WITHIN - RESERVE, _give_up)


def _give_up() -> None:
    """A part hangs in its own cancellation and is not waited for: records are on disk before they are published."""
    log.warning("component.stop_slow", component="agent", waited_s=STOP_WITHIN - RESERVE)
    os._exit(1)
