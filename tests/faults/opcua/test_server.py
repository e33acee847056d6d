"""The server itself fails: killed, frozen, started anew with its nodes late and its namespaces in another order."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.faults.opcua.story import heard_truly, outages
from tests.faults.southbound.conftest import Running
from tests.support.opcua_counter import diary_of
from tests.support.ports import free_port
from tests.support.processes import Process, process
from tests.support.waiting import eventually

URIS = ["urn:test:one", "urn:test:two", "urn:test:three"]
NODES = [(uri, "x") for uri in URIS]  # the same name in each: only the namespace tells them apart
TAGS = {uri.rpartition(":")[2]: number for number, uri in enumerate(URIS, 1)}


@contextmanager
def counting(port: int, order: Sequence[str] = URIS, late: Sequence[str] = ()) -> Iterator[Process]:
    """A server in a process of its own, so that it can be killed and frozen. `late`: namespaces whose nodes are."""
    settings = {"port": port, "namespaces": order, "nodes": NODES, "late": late}
    with process(sys.executable, "-m", "tests.support.opcua_counter", json.dumps(settings)) as server:
        yield server


def devices(port: int) -> dict[str, Any]:
    """One that is told every change, with room for a server that is late, and one that reads."""
    tags = {tag: {"node": f"nsu={uri};s=x", "queue_size": 1000} for tag, uri in zip(TAGS, URIS, strict=True)}
    base = {"type": "opcua", "url": f"opc.tcp://127.0.0.1:{port}", "interval": "100ms", "timeout": "1s", "tags": tags}
    return {"told": base | {"mode": "subscribe"}, "polled": base | {"mode": "poll"}}


async def test_a_killed_server_comes_back_with_its_nodes_late(brisk: Running) -> None:
    """Kill -9: offline, then a gap around what was missed; a node that is not there yet is bad until it is.

    Every index means another namespace then: each tag keeps its node.
    """
    port = free_port()
    with ExitStack() as servers:
        server = servers.enter_context(counting(port))
        await eventually(lambda: "listening" in server.stdout)
        async with brisk(devices(port)) as (_, ear):
            for name in devices(port):
                await ear.good(name, TAGS)
            await ear.goes_on("told", "one", 10)
            server.kill()
            for name in devices(port):
                await ear.why(name, "offline", list(TAGS))
            again = servers.enter_context(counting(port, order=[*URIS[1:], URIS[0]], late=URIS[1:2]))
            for name in devices(port):
                await ear.good(name, ["one", "three"])
                await eventually(lambda: ear.readings(name, "two", code="BadNodeIdUnknown"))  # noqa: B023
            again.signal(signal.SIGUSR1)
            for name in devices(port):
                await ear.good(name, TAGS)
            await ear.goes_on("told", "two", 10)
        diary = diary_of(server, again)
    for name in devices(port):
        assert outages(ear, name, list(TAGS), declared=name == "told")
        (back, *_) = ear.readings(name, "two", why="recovered")
        assert (back.value, back.code) == (None, "BadNodeIdUnknown")
        heard_truly(ear, name, TAGS, diary, changes=name == "told")


async def test_a_frozen_server_is_left_and_found_again(brisk: Running) -> None:
    """SIGSTOP: its sockets stay open, nothing comes. Offline in bounded time, and a gap when it goes on."""
    port = free_port()
    with counting(port) as server:
        await eventually(lambda: "listening" in server.stdout)
        async with brisk(devices(port)) as (_, ear):
            for name in devices(port):
                await ear.good(name, TAGS)
            await ear.goes_on("told", "one", 10)
            server.signal(signal.SIGSTOP)
            for name in devices(port):
                await ear.why(name, "offline", list(TAGS))
            server.signal(signal.SIGCONT)
            for name in devices(port):
                await ear.why(name, "recovered", list(TAGS))
            await ear.goes_on("told", "one", 10)
        diary = diary_of(server)
    for name in devices(port):
        first = outages(ear, name, list(TAGS), declared=name == "told")[0]
        assert "in time" in first.reason or "stopped" in first.reason
        heard_truly(ear, name, TAGS, diary, changes=name == "told")
