"""`edge-agent historian`: from brokers into a database, exactly once."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from agent import __version__
from agent.cli.loop import RESERVE, loop_factory
from agent.cli.mistakes import refusable, report
from agent.config.whereabouts import data_dir_of
from agent.core.backoff import Backoff
from agent.core.clock import SystemClock
from agent.core.errors import ConfigError, PermanentError
from agent.core.text import counted, harmless
from agent.historian.config import HistorianConfig, HistorianHttp
from agent.historian.gone import GoneAnswer, GoneQuestion
from agent.historian.loading import load_historian
from agent.historian.service import Historian
from agent.historian.stores.choice import store_of
from agent.runtime.asking import ControlError, NoAgent, call
from agent.runtime.control import Control, Nothing
from agent.runtime.ownership import owned
from agent.runtime.supervisor import Attempt, Supervisor
from agent.settings.values import is_loopback
from agent.telemetry import metrics
from agent.telemetry.logging import configure, get_logger

#: The whole way from the signal to the end, seconds.
STOP_WITHIN = 8.0
#: Agents named of which something is missing.
_MOST_NAMED = 10

log = get_logger("historian")


def historian(config: Path) -> int:
    """Run until SIGTERM or SIGINT. 0: clean end, 1: it could not start, 2: the configuration has mistakes."""
    os.umask(0o077)
    configure()
    try:
        loaded = load_historian(config, secrets=False)
    except ConfigError as error:
        log.error("config.rejected", mistakes=[str(mistake) for mistake in error.mistakes])  # noqa: TRY400 - a user's slip
        sys.stderr.write(f"{error}\n")
        return 2
    settings = loaded.config.historian
    configure(level=loaded.config.log.level, style=loaded.config.log.format)
    for reason in loaded.warnings:
        log.warning("config.warning", reason=reason)
    try:
        with (
            owned(settings.data_dir, settings.id, what="historian"),
            asyncio.Runner(loop_factory=loop_factory()) as runner,
        ):
            runner.run(_until_signal(loaded.config))
    except PermanentError as error:
        log.error("component.failed", component="historian", reason=str(error))  # noqa: TRY400 - the reason says it all
        return 1
    return 0


async def _until_signal(config: HistorianConfig) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, loop, stop)
    settings, clock = config.historian, SystemClock()
    running = Historian(config, store_of(settings), clock, version=__version__)
    metrics.BUILD_INFO.labels(__version__).set(1)
    metrics.START_TIME.set(clock.now_ms() / 1000)
    control = Control(settings.data_dir, clock)

    async def status(_: Nothing) -> dict[str, Any]:
        return running.status()

    control.serve("status", status)
    control.serve("gone", running.gone, GoneQuestion)
    log.info("historian.starting", historian=settings.id, version=__version__, database=settings.shown)
    async with TaskGroup() as group:
        beside = [group.create_task(_keep("control", control.run, clock), name="control")]
        if config.http is not None:
            beside.append(group.create_task(_keep("web", partial(_serve, config.http, running), clock), name="web"))
        await running.run(stop)
        for task in beside:
            task.cancel()
    log.info("historian.stopped")


async def _keep(name: str, work: Callable[[], Awaitable[None]], clock: SystemClock) -> None:
    async def attempt(_: Attempt) -> None:
        await work()

    await Supervisor(name, clock=clock, backoff=Backoff()).run(attempt)


async def _serve(http: HistorianHttp, running: Historian) -> None:
    from agent.web import server
    from agent.web.plain import StatusApi
    from agent.web.tls import Certificate

    pages = server.Pages(
        healthy=lambda: None,
        ready=running.unready,
        refresh=lambda: None,
        api=StatusApi(running.status),
        open_to_all=is_loopback(http.host),
        token_file=http.auth.token_file if http.auth else None,
    )
    certificate = Certificate(http.tls.cert_file, http.tls.key_file) if http.tls else None
    await server.serve(pages.app(), http.host, http.port, certificate)


def _stop(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not stop.is_set():
        stop.set()
        loop.call_later(STOP_WITHIN - RESERVE, _give_up)


def _give_up() -> None:
    """A database hangs: what was not committed is not acknowledged, and comes again."""
    log.warning("component.stop_slow", component="historian", waited_s=STOP_WITHIN - RESERVE)
    os._exit(1)


def count_lost(config: Path, agent: str) -> int:
    """Have the historian that runs count what is missing of this agent as lost. 0: done; 1: refused; 3: none runs."""
    try:
        answer = call(data_dir_of(config), "gone", GoneQuestion(agent), GoneAnswer)
    except ConfigError as error:
        report(error, sys.stderr)
        return 2
    except ControlError as error:
        sys.stderr.write(
            harmless(str(error).replace("agent", "historian", 1) if isinstance(error, NoAgent) else str(error)) + "\n"
        )
        return 3 if isinstance(error, NoAgent) else 1
    records = counted(answer.records, "record")
    sys.stdout.write(harmless(f"counted as lost: {records} of {agent}; see the table gap") + "\n")
    return 0


@refusable
def check(config: Path) -> int:
    """Validate the configuration. 0: right; 2: mistakes, on standard error."""
    loaded = load_historian(config)
    settings = loaded.config.historian
    for name, source in loaded.config.sources.items():
        line = f"source {name}: {', '.join(source.hosts())}, {', '.join(source.filters())}"
        sys.stdout.write(harmless(line) + "\n")
    sys.stdout.write(harmless(f"{config}: ok. Historian {settings.id}, database {settings.shown}.") + "\n")
    for warning in loaded.warnings:
        sys.stderr.write(f"warning: {harmless(warning)}\n")
    return 0


def screen(document: dict[str, Any]) -> str:
    """The status for people."""
    who, database = document["historian"], document["database"]
    lines = [f"historian {who['id']} is {who['state']}" + (f": {who['reason']}" if who["reason"] else "")]
    lines.append(f"  database {database['where']}: {database['state']}" + _why(database))
    for name, source in document["sources"].items():
        lines.append(f"  source {name} ({source['where']}): {source['state']}" + _why(source))
    missing = document["missing"]
    lines.append(f"  agents online: {document['agents_online']}; missing: {missing['records']:,} records")
    if missing["records"]:
        lines.append("    what is missing: SELECT * FROM missing; it is asked for where the agents keep it")
        lines += [
            f"    {records:,} of {agent}, which is offline: asked for when it is back. Was it taken away for good? -> "
            f"edge-agent historian --gone {shlex.quote(agent)}"
            for agent, records in sorted(missing["offline"].items())[:_MOST_NAMED]
            if who["state"] == "online"  # else nobody knows who is
        ]
    return "".join(f"{harmless(line)}\n" for line in lines)


def wrong(document: dict[str, Any]) -> bool:
    """Whether something is."""
    return bool(document["historian"]["state"] != "online" or document["missing"]["records"])


def _why(part: dict[str, Any]) -> str:
    return f", {part['reason']} -> {part['do']}" if part["reason"] else ""
