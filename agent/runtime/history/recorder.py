"""Keeps the history: taps what is read, writes each minute once it is over, answers who asks.

Nothing waits for it: it adds on the loop, and all that touches the disk runs in a thread. A disk that is full, slow or
broken costs minutes of this history, and nothing else.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.config.model import HistorySettings
from agent.core.clock import Clock, to_beat
from agent.core.flow import Batch, Gap
from agent.core.image import Image
from agent.core.threads import run_in_thread
from agent.outbox.file.ballast import free_bytes
from agent.runtime.history.rollup import Minutes
from agent.runtime.history.running import MINUTE, MinuteRow
from agent.runtime.history.store import Failed, Foreign, HistoryStore, read, set_aside
from agent.runtime.outlet import Outlet
from agent.runtime.steps import Steps
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

FILE = "history.sqlite"
#: A minute is written when it has been over for this long, so that what arrives late is in it; looked for this often.
GRACE_MS, LOOK = 4000, 2.0
#: So many tags are looked at in one go on the loop.
PORTION = 500
#: The disk may take so long for a minute; meanwhile no other is written, seconds. At the end it has less.
WRITE_WITHIN, LAST_WITHIN = 30.0, 1.0
#: So many minutes are handed out at once, of all tags that are asked for, and so many ask at a time.
MOST_MINUTES, MOST_READERS = 150_000, 2
#: Whoever asks waits for so long, seconds.
READ_WITHIN = 10.0
#: So many rows wait for a disk that hangs.
MOST_WAITING = 200_000

#: What goes on failing is logged again this often, seconds.
_AGAIN = 3600.0

log = get_logger("history")


class History:
    """Of one agent. Belongs to the event loop. Off until :meth:`apply` switches it on."""

    def __init__(self, data_dir: Path, image: Image, outlet: Outlet, steps: Steps, clock: Clock) -> None:
        self._path = data_dir / FILE
        self._image = image
        self._outlet = outlet
        self._steps = steps
        self._clock = clock
        self._settings: HistorySettings | None = None
        self._floor = 0
        self._store = HistoryStore(self._path)
        self._devices: dict[str, tuple[Minutes, int]] = {}  # and the version of the catalogue its tags are of
        self._rows: list[MinuteRow] = []
        self._rolled = 0
        self._undo: list[Callable[[], None]] = []
        self._writing: Future[None] | None = None
        self._readers = asyncio.Semaphore(MOST_READERS)
        self._repeats = Repeats(first=_AGAIN, later=_AGAIN)
        self._failing = False

    @property
    def on(self) -> bool:
        """Whether anything is kept."""
        return self._settings is not None

    def apply(self, settings: HistorySettings | None, floor: int) -> None:
        """Keep so much from now on (None: nothing); with less than `floor` bytes free nothing is written."""
        was, self._settings, self._floor = self.on, settings, floor
        if self.on and not was:
            self._undo = [
                self._outlet.tap("history", self._take),
                self._image.listen(self._changed),
                self._steps.set_back(self._stepped),
                self._steps.set_forward(self._stepped),
            ]
        elif was and not self.on:
            self._cut()

    # --- what is read -------------------------------------------------------------------------------------------------

    def _take(self, content: Batch | Gap) -> None:
        if isinstance(content, Gap):
            if (known := self._devices.get(content.device)) is not None and content.kind == "missed":
                known[0].lose(content.from_ts, content.to_ts, content.tags)
        elif not content.backfill and not content.snapshot:
            known = self._devices.get(content.device)
            if known is None:
                known = self._devices[content.device] = Minutes(content.device), content.cat
            known[0].take(content)

    def _changed(self, device: str) -> None:
        known = self._devices.get(device)
        if known is None:
            return
        image, now = self._image.devices.get(device), self._clock.now_ms()
        if image is None:
            del self._devices[device]
            self._rows += known[0].cut(now, None)
        elif image.cat != known[1]:
            self._devices[device] = known[0], image.cat
            known[0].keep(frozenset(info.tag for info in image.tags), now)

    def _stepped(self, by: int) -> None:
        now = self._clock.now_ms()
        for minutes, _ in self._devices.values():
            self._rows += minutes.cut(now - by, now)
        self._rolled = 0

    def _cut(self) -> None:
        """The end, or a pause: all that is known up to now is in the rows."""
        while self._undo:
            self._undo.pop()()
        now = self._clock.now_ms()
        for minutes, _ in self._devices.values():
            self._rows += minutes.cut(now, None)
        self._devices.clear()

    # --- what is written ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write each minute, until cancelled."""
        while True:
            await self._clock.sleep(to_beat(self._clock.monotonic(), LOOK))
            self._steps.look()  # a clock that has just been set would make a row of each minute since it was made
            over = (self._clock.now_ms() - GRACE_MS) // MINUTE * MINUTE
            if over > self._rolled and self.on:
                self._rolled = over
                await self._roll(over)
            if self._rows and (self._writing is None or self._writing.done()):
                await self._write(WRITE_WITHIN)
            elif len(self._rows) > MOST_WAITING:
                self._rows = []
                self._lost("the disk takes nothing")

    async def close(self) -> None:
        """Write what there is, bounded. Called when the devices are being left."""
        if self.on:
            self._cut()
            await self._write(LAST_WITHIN)
            if self._writing is not None and self._writing.done():
                await asyncio.wait([run_in_thread(self._store.close, "history")], timeout=LAST_WITHIN)
        self._settings = None

    async def _roll(self, over: int) -> None:
        for minutes, _ in list(self._devices.values()):
            for rows in minutes.roll(over, PORTION):
                self._rows += rows
                await asyncio.sleep(0)

    async def _write(self, within: float) -> None:
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing], timeout=within)
        if self._writing is not None and not self._writing.done():
            return
        settings, floor, rows, now = self._settings, self._floor, self._rows, self._clock.now_ms()
        self._rows = []
        self._writing = run_in_thread(lambda: self._put(rows, settings, now, floor), "history")
        await asyncio.wait([self._writing], timeout=within)
        if not self._writing.done():
            self._lost(f"the disk has not taken a minute within {within:g} s")
        elif (error := self._writing.exception()) is not None:
            if not isinstance(error, OSError | Failed | Foreign):
                raise error
            self._lost(str(error))
        elif self._failing:
            self._failing = False
            self._repeats.over("failed")
            log.info("history.kept_again")

    def _lost(self, reason: str) -> None:
        self._failing = True
        if (repeats := self._repeats.due("failed", self._clock.monotonic())) is not None:
            log.warning("history.not_kept", reason=reason, repeats=repeats)

    def _put(self, rows: Iterable[MinuteRow], settings: HistorySettings | None, now: int, floor: int) -> None:
        """In a thread; one at a time."""
        if free_bytes(self._path.parent) < floor:
            raise OSError(f"less than {floor >> 20} MiB (outbox.min_free_disk) is free")
        if not self._path.exists():
            self._store.close()  # somebody has deleted it: another one is begun
        try:
            self._store.put(rows)
            if settings is not None:
                self._store.trim(now - round(settings.keep * 1000), now + MINUTE, settings.max_bytes)
        except Foreign as foreign:
            self._store.close()
            aside = set_aside(self._path)
            log.warning("history.set_aside", file=str(self._path), reason=str(foreign), aside=str(aside))
            self._store.put(rows)

    # --- what is asked ------------------------------------------------------------------------------------------------

    async def query(self, device: str | None, tag: str | None, begin: int, end: int) -> bytes | None:
        """JSON (store.py); None where nothing is kept.

        Raises ValueError where that is too much at once, TimeoutError where the disk takes too long.
        """
        if not self.on:
            return None
        async with asyncio.timeout(READ_WITHIN):
            await self._readers.acquire()
            reading = run_in_thread(lambda: read(self._path, device, tag, begin, end, MOST_MINUTES), "history read")
            reading.add_done_callback(lambda _: self._readers.release())  # a disk that hangs has two threads, no more
            try:
                return await asyncio.shield(reading)
            except FileNotFoundError:
                return b"{}"  # nothing was written yet
            except (OSError, Failed, Foreign):
                return None
