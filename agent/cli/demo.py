"""`edge-agent demo`: broker, plant, agent, historian and an independent subscriber; ends with an audit."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console

from agent.core.clock import SystemClock
from agent.core.errors import PermanentError, leaves
from agent.historian.stores.look import held
from agent.simulator.script import Act, acts
from agent.simulator.stage import Stage, cpu_seconds, resident_bytes
from agent.simulator.view import View, view_for
from agent.telemetry.logging import configure

READY_WITHIN = 20.0  #: seconds until every device was heard of
SETTLE_WITHIN = 45.0  #: seconds at the end for the agent to come back and work off its backlog
LAST_WITHIN = 10.0  #: seconds for the agent's last word to arrive
CLOSING = 1.5  #: seconds the end is expected to take
REFRESH = 0.25


def demo(seconds: float | None) -> int:
    """Run until Ctrl-C or for about `seconds`. 0 only where nothing is missing and the agent ended in order.

    130 where it was stopped before there was anything to audit.
    """
    console = Console()
    view = view_for(console)
    stage = Stage(view.step)
    with (stage.folder / "demo.log").open("w", encoding="utf-8") as log:
        configure(stream=log)
        try:
            passed = asyncio.run(_Demo(stage, view).run(seconds))
        except (PermanentError, BaseExceptionGroup) as error:
            view.close()
            reasons = list(leaves(error))
            if not all(isinstance(reason, PermanentError) for reason in reasons):
                raise
            sys.stderr.write("".join(f"{reason}\n" for reason in reasons))
            stage.remove()
            return 1
    if passed is None:
        stage.remove()
        sys.stderr.write("stopped before every device was heard of: there is nothing to audit\n")
        return 128 + signal.SIGINT
    console.print(stage.audit.line(), markup=False, highlight=False, soft_wrap=True)
    found = held(stage.database)
    line = f"historian: rows={found.rows} twice={found.twice} missing={found.missing}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    if passed:
        stage.remove()
    return 0 if passed else 1


class _Demo:
    def __init__(self, stage: Stage, view: View) -> None:
        self._stage = stage
        self._view = view
        self._clock = SystemClock()
        self._began = time.monotonic()
        self._stop = asyncio.Event()
        self._away: set[str] = set()
        self._cpu: tuple[float, float] | None = None  # when the agent was ready, and what it had used then

    async def run(self, seconds: float | None) -> bool | None:
        """Whether nothing is missing; None where it was stopped before it had begun."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        async with self._stage as stage:
            if not await self._until(lambda: stage.complete, READY_WITHIN):
                if self._stop.is_set():
                    self._view.close()
                    return None
                return self._gave_up("not every device was heard of")
            self._start_cpu()
            left = None if seconds is None else max(1.0, seconds - self._at() - CLOSING)
            await self._play(left)
            alive = stage.agent_pid is not None
            settled = alive and await self._settle()
            self._show()
            self._view.close()  # the table stays as it was while the agent lived
            code = await stage.stop_agent()
            self._view.event(self._at(), f"agent stopped with SIGTERM, exit code {code}")
            heard = await self._until(lambda: not stage.agent_online and not stage.audit.pending(), LAST_WITHIN)
            stored = await self._until(self._all_stored, LAST_WITHIN)
            historian = await stage.stop_historian()
            for finding in stage.audit.findings():
                sys.stdout.write(f"{finding}\n")
            if not (settled and heard and code == 0):
                return self._gave_up("the agent did not deliver everything and end in order")
            if not stored or historian != 0:
                found = held(stage.database)
                heard_of = f"{stage.audit.readings} readings were heard, {found.rows} rows are in the database"
                return self._gave_up(f"the historian: {heard_of}, {found.missing} missing, exit code {historian}")
            return stage.audit.ok

    def _all_stored(self) -> bool:
        """Every reading the independent subscriber heard is a row of the database, once."""
        found = held(self._stage.database)
        return (found.rows, found.twice, found.missing) == (self._stage.audit.readings, 0, 0)

    def _gave_up(self, why: str) -> bool:
        self._view.close()
        stopped = "stopped before the end" if self._stop.is_set() else "failed"
        sys.stderr.write(f"{stopped}: {why}\n{self._stage.last_words()}\nlogs: {self._stage.folder}\n")
        return False

    # --- the run ------------------------------------------------------------------------------------------------------

    async def _play(self, seconds: float | None) -> None:
        """Faults in their order, the table in between."""
        start = self._at()
        for act in acts(seconds, self._stage.devices):
            if not await self._watch(start + act.at):
                return
            await self._perform(act)
        if seconds is not None:
            await self._watch(start + seconds)

    async def _perform(self, act: Act) -> None:
        cable = self._stage.cable
        assert cable is not None  # noqa: S101  # the stage is set up
        match act.what:
            case "offline":
                self._event(f"{act.device} goes offline")
                await self._stage.plant.device(act.device).fail()
                self._away.add(act.device)
            case "heal":
                self._event(f"{act.device} comes back")
                await self._stage.plant.device(act.device).heal()
                self._away.discard(act.device)
            case "cut":
                self._event("the agent's way to the broker is cut; the subscriber stays connected")
                await cable.cut()
            case "restore":
                self._event("the way to the broker is back")
                await cable.restore()

    async def _settle(self) -> bool:
        """Heal what is broken and wait until the agent delivered everything."""
        stage, cable = self._stage, self._stage.cable
        for device in tuple(self._away):
            await self._perform(Act(0, "heal", device))
        if cable is not None and cable.is_cut:
            await self._perform(Act(0, "restore"))
        self._stop.clear()  # a second Ctrl-C ends the waiting
        connections = cable.connections if cable is not None else 0
        if not stage.agent_online:
            self._event("waiting for the agent to come back and work off its backlog")
        return await self._until(
            lambda: stage.agent_online and not stage.audit.pending() and connections > 0, SETTLE_WITHIN
        )

    # --- waiting and showing ------------------------------------------------------------------------------------------

    async def _watch(self, until: float) -> bool:
        """Show the state of things until `until`; False where the demo is to end now."""
        while (left := until - self._at()) > 0:
            if self._stop.is_set() or self._stage.agent_pid is None:
                return False
            self._show()
            await self._pause(min(REFRESH, left))
        return not self._stop.is_set()

    async def _until(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait for `condition`, showing the state of things; False where it did not come or the demo is to end."""
        deadline = self._at() + within
        while not condition():
            if self._at() > deadline or self._stop.is_set():
                return False
            if self._stage.complete:
                self._show()
            await self._pause(0.05)
        return True

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
            await self._clock.sleep(0.02)  # asked to stop: the caller looks at it

    def _show(self) -> None:
        stage = self._stage
        totals: dict[str, object] = {
            "messages": stage.audit.messages,
            "readings": stage.audit.readings,
            "historical": stage.audit.historical,
            "pending": stage.audit.pending(),
            "agent": "online" if stage.agent_online else "offline",
            "way": "cut" if stage.cable is not None and stage.cable.is_cut else "open",
        }
        if (pid := stage.agent_pid) is not None and self._cpu is not None:
            used, memory = cpu_seconds(pid), resident_bytes(pid)
            if used is not None and memory is not None and self._at() > self._cpu[0] + 1:
                totals["cpu"] = f"{100 * (used - self._cpu[1]) / (self._at() - self._cpu[0]):.1f}%"
                totals["rss"] = f"{memory / 1e6:.0f}MB"
        self._view.show(stage.table, self._clock.now_ms(), self._at(), totals)

    def _start_cpu(self) -> None:
        pid = self._stage.agent_pid
        used = cpu_seconds(pid) if pid is not None else None
        self._cpu = None if used is None else (self._at(), used)

    def _event(self, text: str) -> None:
        self._view.event(self._at(), text)

    def _at(self) -> float:
        return time.monotonic() - self._began
