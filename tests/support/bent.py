"""A way to a real peer on which what the peer sends is bent: bits, lengths, cuts, repetitions, noise, silence.

Between the agent's parts and an honest server or broker; the bends are drawn by hypothesis, so that what fails shrinks.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

import psutil
from hypothesis import strategies as st

Kind = Literal["flip", "set", "length", "cut", "repeat", "insert", "close", "earlier", "swallow"]

#: What lengths and counts are bent to, as little and as big endian numbers of 1, 2 and 4 bytes.
_ODD = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 300_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


class Bend(NamedTuple):
    """One change to the `at`-th arrival of bytes from the peer, about where `place` (0 to 1) of it is."""

    at: int
    place: float
    kind: Kind
    data: bytes

    def __call__(self, whole: bytes, before: Sequence[bytes]) -> bytes:
        """The bytes instead of these."""
        at = min(int(self.place * len(whole)), max(0, len(whole) - 1))
        end = at + len(self.data)
        match self.kind:
            case "flip":
                return whole[:at] + bytes([whole[at] ^ (1 << (self.data[0] % 8))]) + whole[at + 1 :]
            case "set" | "length":
                return whole[:at] + self.data + whole[end:]
            case "cut":
                return whole[:at] + whole[end:]
            case "repeat":
                return whole[:end] + whole[at:end] * (1 + self.data[0]) + whole[end:]
            case "insert":
                return whole[:at] + self.data + whole[at:]
            case "close":
                return whole[:at]
            case "earlier":
                return (before[self.data[0] % len(before)] if before else b"") + whole
            case "swallow":
                return b""


_KINDS: st.SearchStrategy[Kind] = st.sampled_from(Kind.__args__)  # type: ignore[attr-defined]
_LENGTHS = st.tuples(st.sampled_from(_ODD), st.sampled_from([1, 2, 4]), st.sampled_from(["little", "big"])).map(
    lambda drawn: (drawn[0] & ((1 << 8 * drawn[1]) - 1)).to_bytes(drawn[1], drawn[2])  # type: ignore[arg-type]
)
BENDS = st.lists(
    _KINDS.flatmap(
        lambda kind: st.builds(
            Bend,
            st.integers(0, 14),
            st.floats(0, 1),
            st.just(kind),
            _LENGTHS if kind == "length" else st.binary(min_size=1, max_size=40),
        )
    ),
    min_size=1,
    max_size=4,
)


class Bent:
    """Passes on: what goes to the peer as it is, what comes from it bent by `bends`."""

    def __init__(self, port: int) -> None:
        self._peer = port
        self.port = 0
        self.bends: Sequence[Bend] = ()
        self._serving: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        away = None
        try:
            peer, away = await asyncio.open_connection("127.0.0.1", self._peer)
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._up(reader, away))
                await self._down(peer, writer)
                up.cancel()
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            for one in (writer, away):
                if one is not None:
                    one.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, away: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            away.write(data)
        away.transport.abort()  # else the other half would wait for the peer for ever

    async def _down(self, peer: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        before: list[bytes] = []
        bends = self.bends
        while data := await peer.read(65_536):
            bent, mine = data, [bend for bend in bends if bend.at == len(before)]
            for bend in mine:
                bent = bend(bent, before) if bent else bent
            before.append(data)
            writer.write(bent)
            await writer.drain()
            if any(bend.kind == "close" for bend in mine):
                return

    def stop(self) -> None:
        for task in list(self._serving):
            task.cancel()


@asynccontextmanager
async def bent(port: int) -> AsyncIterator[Bent]:
    """It listens on `Bent.port` while the body runs."""
    made = Bent(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.stop()
        await server.wait_closed()


class Pulse:
    """How long this loop was busy in one go, seconds of processor time: the machine may be busy, the loop must not."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.02)
            self.longest = max(self.longest, time.thread_time() - before)


@asynccontextmanager
async def watched() -> AsyncIterator[Pulse]:
    """How long the loop is busy while the body runs."""
    pulse = Pulse()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pulse.run())
        yield pulse
        task.cancel()


def resident_mb() -> float:
    """Memory of this process, after what is garbage has gone."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6
