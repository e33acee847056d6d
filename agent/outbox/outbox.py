"""The port `Outbox` on one SQLite file: the loop's side decides, one thread writes.

Durability `commit` survives the end of the process, `fsync` that of the power, `memory` neither (the same code on a
database in memory, bounded by the same `max_bytes`: give it one that fits the machine).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from msgspec import structs

from agent.core.clock import Clock
from agent.core.errors import TransientError
from agent.core.flow import Batch, Gap, ResendRequest, Stream
from agent.core.ports import Memo, OutboxStats, Reader, Resent
from agent.outbox.file.errors import boot_id
from agent.outbox.file.pack import unpack
from agent.outbox.file.store import OutboxStore
from agent.outbox.file.worker import Worker
from agent.outbox.operator.protocol import OutboxAnswer, OutboxQuestion
from agent.outbox.operator.service import Clerk
from agent.outbox.reader import LaneReader
from agent.outbox.resend import resend
from agent.outbox.split import Packer
from agent.outbox.state import OutboxState
from agent.outbox.writer import OutboxWriter
from agent.settings.outbox import OutboxSettings
from agent.telemetry.logging import get_logger

log = get_logger("outbox")

#: Routes append the same batch one after the other: it is packed once for all of them.
_packed = Packer()


class SqliteOutbox:
    """One file, one thread, one writer task. Open once at a time."""

    def __init__(
        self, path: Path | None, *, name: str, settings: OutboxSettings, clock: Clock,
        max_record_bytes: int = 96 << 10, was: Path | None = None, boot: Callable[[], str] = boot_id,
    ) -> None:  # fmt: skip
        self._name = name
        self._path = None if settings.durability == "memory" else path
        self._settings = settings
        self._clock = clock
        self._max_record_bytes = max_record_bytes
        self._was = was
        self._boot = boot
        self._state = OutboxState(settings, clock)
        self.memo: Memo = self._state.memo  #: the same object for ever
        self._writer: OutboxWriter | None = None
        self._reader: LaneReader | None = None
        self._opened = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        if self._opened:
            self._begin_again()
        self._opened = True
        worker = Worker(f"outbox-{self._name}")
        settings = self._settings
        store = OutboxStore(
            self._path, settings.durability, max_bytes=settings.max_bytes, was=self._was, boot=self._boot
        )  # fmt: skip
        writer = OutboxWriter(self._state, store, worker, name=self._name, notify=self._notify)
        error: Exception | None = None
        try:
            await writer.open()
            self._writer = writer
            async with asyncio.TaskGroup() as group:
                group.create_task(writer.run(), name=f"outbox-{self._name}")
                try:
                    yield
                except Exception as raised:  # noqa: BLE001 - raised again below, not wrapped in a group of one
                    error = raised
                writer.stop()
        finally:
            self._writer = None
            writer.close()
        if error is not None:
            raise error

    def end_session(self, reason: str, /) -> None:
        if self._reader is not None:
            self._reader.end(reason)

    @property
    def path(self) -> Path | None:
        """Its file; None where it lives in memory."""
        return self._path

    def apply(self, settings: OutboxSettings, *, max_record_bytes: int) -> None:
        """Other bounds from now on; what is kept already is measured by them too. Durability and disk do not change."""
        self._settings = self._state.settings = settings
        self._state.age.limit(settings.max_age)
        self._max_record_bytes = max_record_bytes
        if self._writer is not None:
            self._writer.wake()

    async def answer(self, question: OutboxQuestion) -> OutboxAnswer:
        """What an operator asks or orders (`edge-agent outbox`). Never raises but for cancellation."""
        if self._writer is None:
            return OutboxAnswer(error="the outbox is not open")
        return await Clerk(self._state, self._writer, name=self._name, notify=self._notify).answer(question)

    def _begin_again(self) -> None:
        """A new epoch. What the disk never took in the last run gets new numbers: nobody has seen the old."""
        last, self._state = self._state, OutboxState(self._settings, self._clock)
        self._state.memo = last.memo
        for waiting in last.ring.gaps:
            if isinstance(waiting.content, Gap):
                self._state.append_gap(waiting.content)
        for waiting in last.ring.batches:
            content = unpack(waiting.packed)
            if isinstance(content, Batch):
                self._state.append_batch(content, waiting.packed)

    def _notify(self) -> None:
        if self._reader is not None:
            self._reader.notify()

    def append(self, content: Batch | Gap, /) -> None:
        if isinstance(content, Gap):
            self._state.append_gap(content)
        elif content.readings:
            for batch, packed in _packed(content, self._max_record_bytes, small=self._settings.compress):
                self._state.append_batch(batch, packed)
        if self._writer is not None:
            self._writer.gathering.appended(self._state.ring.bytes)

    async def flush(self) -> None:
        if self._writer is not None:
            await self._writer.flush()

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        if self._writer is None:
            msg = "the outbox is not open"
            raise RuntimeError(msg)
        lanes = self._state.cut()
        reader = LaneReader(
            self._state, lanes, self._writer.lock, self._writer.fetch, self._writer.fetch_again,
            damaged=self._writer.damaged, unreadable=self._writer.unreadable,
        )  # fmt: skip
        self._reader = reader
        reader.notify()
        try:
            yield reader
        finally:
            if self._state.lanes is lanes:
                self._state.lanes = None
                self._reader = None

    def streams(self) -> Sequence[Stream]:
        return self._state.book.streams(self._clock.now_ms())

    def scanned(self, device: str, due: int, done: int, late: int, /) -> None:
        scans = self._state.book.of(device).stream.scans
        scans.due += due
        scans.done += done
        scans.late += late

    async def resend(self, request: ResendRequest, /) -> Resent | None:
        if self._writer is None:
            raise TransientError("the outbox is not open")
        return await resend(self._state, self._writer, request, self._notify)

    def recorded(self, device: str, /) -> int | None:
        return self._state.recorded.get(device)

    @property
    def stats(self) -> OutboxStats:
        state = self._state
        oldest = state.oldest[1] if state.oldest is not None else state.ring.oldest_ts
        backlog = state.records
        if state.lanes is not None:
            backlog = state.late + state.lanes.left + state.lanes.historical_in_flight + state.lanes.put_off
        return OutboxStats(
            records=state.records,
            bytes=state.bytes,
            oldest_ts=oldest if state.records else None,
            backlog=backlog,
            quarantined=state.quarantined,
            dropped_records=state.dropped,
            lost=structs.replace(state.losses.total),
            again=state.again.left,
            limit=state.limit,
            max_age=self._settings.max_age,
            full=state.losses.full,
            appended_bytes=state.appended,
            written_bytes=state.written,
            free_disk=None if self._path is None else state.free_disk,
            min_free_disk=self._settings.min_free_disk,
            turn_s=0.0 if self._writer is None else self._clock.monotonic() - self._writer.turned,
            committing=self._writer is None or self._writer.refused is None,
            refusal=None if self._writer is None else self._writer.refused,
        )


def outbox_path(data_dir: Path, name: str) -> Path:
    """The file of the route `name`."""
    return data_dir / "outbox" / f"{name}.sqlite"


def open_outbox(
    data_dir: Path, *, name: str, settings: OutboxSettings, clock: Clock, max_record_bytes: int = 96 << 10,
    was: str | None = None,
) -> SqliteOutbox:  # fmt: skip
    """The outbox of the route `name`, in its own file under `data_dir`; `was`: its former name, whose file it takes."""
    path, former = outbox_path(data_dir, name), None if was is None else outbox_path(data_dir, was)
    return SqliteOutbox(
        path, name=name, settings=settings, clock=clock, max_record_bytes=max_record_bytes, was=former
    )  # fmt: skip
