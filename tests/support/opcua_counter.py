"""OPC UA nodes that count: a value tells which node it is of, and a change that is lost shows as a jump.

    counting = Counting([plant]); await counting.add("a", "b"); counting.start()      in the hall
    python -m tests.support.opcua_counter '{"port": 4840, "namespaces": [URI], "nodes": [[URI, "a"]], "late": []}'

The latter is a process; the nodes of namespaces that are `late` come with SIGUSR1.

Node number n (from 1) holds n * STRIDE + count. All nodes take the same count in the same turn, with the same source
time; when that was is in the diary, so that a test can hold what a consumer heard against what there was.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

from asyncua.common.node import Node
from asyncua.server.server import Server

from tests.integration.opcua.server import URN, Plant, said
from tests.support.processes import Process

PERIOD = 0.05  #: seconds between two counts
STRIDE = 10**12

Diary = dict[int, int]  #: count → when it was written, epoch ms


class Counting:
    """Counts in one or several plants of a hall: redundant servers hold the same."""

    def __init__(self, plants: Sequence[Plant]) -> None:
        self._plants = plants
        self._nodes: list[tuple[int, Plant, Node]] = []
        self._task: Future[None] | None = None
        self.diary: Diary = {}

    async def add(self, *names: str, uri: str = URN) -> None:
        """Nodes `nsu=uri;s=name`, numbered in this order behind those there are."""
        first = 1 + max((number for number, _, _ in self._nodes), default=0)
        for number, name in enumerate(names, first):
            for plant in self._plants:
                self._nodes.append((number, plant, await plant.do(plant.add(name, number * STRIDE, uri=uri))))

    def start(self) -> None:
        """From now on, until `stop`."""
        self._task = asyncio.run_coroutine_threadsafe(self.run(self._note), self._plants[0]._loop)

    def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()

    def _note(self, count: int, ms: int) -> None:
        self.diary[count] = ms

    async def run(self, note: Callable[[int, int], None]) -> None:
        """Count for ever. Begins with a number that was never used before."""
        count = time.time_ns() // round(PERIOD * 1e9)
        while True:
            ms = time.time_ns() // 1_000_000
            at = dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
            note(count, ms)
            for number, plant, node in self._nodes:
                with suppress(KeyError):  # taken out of the address space meanwhile
                    await plant.server.write_attribute_value(node.nodeid, said(number * STRIDE + count, at=at))
            count += 1
            await asyncio.sleep(PERIOD)


def diary_of(*servers: Process) -> Diary:
    """What counting processes have written, also where they were killed."""
    lines = [line.split() for server in servers for line in server.stdout.splitlines(keepends=True) if line[-1] == "\n"]
    return {int(words[0]): int(words[1]) for words in lines if len(words) == 2}


async def _main(port: int, namespaces: list[str], nodes: list[tuple[str, str]], late: list[str]) -> None:
    plant = Plant(Server(), asyncio.get_running_loop(), f"opc.tcp://127.0.0.1:{port}")
    await plant.start(namespaces)
    counting = Counting([plant])
    wanted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, wanted.set)

    async def add(uris: set[str]) -> None:
        for number, (uri, name) in enumerate(nodes, 1):
            if uri in uris:
                counting._nodes.append((number, plant, await plant.add(name, number * STRIDE, uri=uri)))

    async def add_late() -> None:
        await wanted.wait()
        await add(set(late))

    def say(*words: object) -> None:
        sys.stdout.write(" ".join(map(str, words)) + "\n")

    await add({uri for uri, _ in nodes} - set(late))
    say("listening")
    async with asyncio.TaskGroup() as group:
        group.create_task(add_late())
        group.create_task(counting.run(say))


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    asyncio.run(_main(settings["port"], settings["namespaces"], settings["nodes"], settings.get("late", [])))
