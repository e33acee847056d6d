"""Poll mode: chunked reads on the drift-free grid, one cycle at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from agent.collectors.common.polling import SCAN_YIELD_SECONDS, Schedule, first_tick, ticks
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.tags.reader import Chunk, ChunkReader
from agent.core.clock import Clock
from agent.core.flow import Answer
from agent.telemetry import metrics


class Poller:
    """Reads the groups of one device when they are due. `intervals` in seconds; `look_at` sees every answer."""

    def __init__(
        self, reader: ChunkReader, inbox: SampleInbox, clock: Clock, device: str, intervals: Sequence[float],
        look_at: Callable[[Answer], None],
    ) -> None:  # fmt: skip
        self._reader = reader
        self._look_at = look_at
        self._inbox = inbox
        self._clock = clock
        self._device = device
        self._scan_seconds = metrics.SCAN_SECONDS.labels(device)
        self._intervals = intervals
        self._chunks: list[list[Chunk]] = [[] for _ in intervals]
        self._changes = 0  # of these, but for what reading teaches
        self.wanted = asyncio.Event()  #: set by the first tag, or where cycles are wanted without any

    @property
    def positions(self) -> set[int]:
        """Of the tags that are polled."""
        return {position for chunks in self._chunks for chunk in chunks for position in chunk.tags}

    def add(self, group: int, nodes: Sequence[ResolvedNode]) -> None:
        """These nodes are read with `group` from its next cycle on."""
        self._changes += 1
        self._chunks[group] += self._reader.layout(nodes)
        if nodes:
            self.wanted.set()

    def remove(self, positions: Collection[int]) -> None:
        """These tags are read no more, but for a cycle that is under way."""
        self._changes += 1
        gone = frozenset(positions)
        for chunks in self._chunks:
            for at, chunk in enumerate(chunks):
                if not gone.isdisjoint(chunk.tags):
                    chunks[at] = Chunk([node for node in chunk.nodes if node.point.position not in gone])
            chunks[:] = [chunk for chunk in chunks if chunk.tags]

    def move(self, node: ResolvedNode) -> None:
        """Its tag is another node from the next cycle on."""
        self._changes += 1
        position = node.point.position
        for chunks in self._chunks:
            for at, chunk in enumerate(chunks):
                if position in chunk.tags:
                    nodes = list(chunk.nodes)
                    nodes[chunk.tags.index(position)] = node
                    chunks[at] = Chunk(nodes)

    async def run(self) -> None:
        """Poll for ever, from the first tag on; raises what ends the connection."""
        await self.wanted.wait()
        start = first_tick(self._device, self._intervals, self._clock.monotonic())
        async for due in ticks(Schedule(self._intervals, start=start), self._clock):
            await self._inbox.room()
            self._reader.widen(self._chunks)
            begun = self._clock.monotonic()
            scan = _Scan(self._inbox, self._clock, begun, self._look_at)
            for group in due.groups:
                chunks, changes = self._chunks[group].copy(), self._changes
                await self._reader.read(chunks, scan.put)
                if changes == self._changes:  # else it is taught again
                    self._chunks[group] = chunks
            scan.hand_on()
            self._inbox.cycle(due.skipped, due.achieved_ms, due.scans)
            self._scan_seconds.observe(self._clock.monotonic() - begun)


class _Scan:
    """The answers of one cycle: handed on together, or as they come once the cycle takes long."""

    def __init__(self, inbox: SampleInbox, clock: Clock, begun: float, look_at: Callable[[Answer], None]) -> None:
        self._inbox = inbox
        self._look_at = look_at
        self._clock = clock
        self._patience = begun + SCAN_YIELD_SECONDS
        self._answers: list[Answer] = []

    def put(self, answer: Answer) -> None:
        self._look_at(answer)
        self._answers.append(answer)
        if self._clock.monotonic() >= self._patience:
            self.hand_on()

    def hand_on(self) -> None:
        for answer in self._answers:
            self._inbox.put(answer)
        self._answers.clear()
