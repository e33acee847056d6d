"""Real asyncua servers: many in one thread of their own (a hall), or one as a process that can be frozen.

    hall = Hall(); plant = await hall.plant(); await plant.do(plant.add("a", 1.5)); plant.url
    python -m tests.integration.opcua.server PORT           a process: one node `nsu=urn:test:plant;s=a`

A server in the test's own loop would share its fate: here the collector meets a peer that runs by itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from asyncua import ua
from asyncua.common.callback import CallbackType
from asyncua.common.node import Node
from asyncua.server.binary_server_asyncio import BinaryServer
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

URN = "urn:test:plant"
T = TypeVar("T")


def node_id(text: str) -> ua.NodeId:
    """A node id out of `ns=2;s=x`."""
    return ua.NodeId.from_string(text)


def said(
    value: object, *, status: int = 0, at: dt.datetime | None = None, kind: ua.VariantType | None = None
) -> ua.DataValue:
    """What a source says: value, status, and its time."""
    untyped: Any = ua  # the library's annotations want its own number and time classes, which nobody uses
    data: ua.DataValue = untyped.DataValue(untyped.Variant(value, kind), untyped.StatusCode(status), SourceTimestamp=at)
    return data


class Plant:
    """One server; its nodes by name. What is a coroutine here runs in the hall: hand it to `do`."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop, url: str) -> None:
        self.server = server
        self.url = url
        self._loop = loop
        self.listens = False
        self.nodes: dict[str, Node] = {}
        self.indexes: dict[str, int] = {}
        self.most_reads: int | None = None  #: enforced, told or not
        self.most_items: int | None = None
        self.fatal_reads: int | None = None  #: larger ones cost the connection
        self.largest_read = 0

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the hall."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def start(self, namespaces: Sequence[str]) -> None:
        server = self.server
        server.iserver.disabled_clock = True  # its clock task makes stopping take a second
        await server.init()
        server.set_endpoint(self.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        for uri in namespaces:
            self.indexes[uri] = await server.register_namespace(uri)
        server.subscribe_server_callback(CallbackType.PreRead, self._before_read)
        await server.start()
        self.listens = True
        assert server.bserver is not None
        self.url = f"opc.tcp://127.0.0.1:{server.bserver.port}"

    def _before_read(self, event: Any, _service: Any) -> None:
        asked = len(event.request_params.NodesToRead)
        if event.is_external:
            self.largest_read = max(self.largest_read, asked)
        if event.is_external and self.fatal_reads is not None and asked > self.fatal_reads:
            assert self.server.bserver is not None
            for client in list(self.server.bserver.clients):
                assert client.transport is not None
                client.transport.abort()
        if event.is_external and self.most_reads is not None and asked > self.most_reads:
            raise ua.uaerrors.BadTooManyOperations

    async def add(self, name: str, value: Any, kind: ua.VariantType | None = None, uri: str = URN) -> Node:
        """A variable `nsu=uri;s=name`."""
        path = f"{self.indexes[uri]}:{name}"
        anything = node_id("i=24")  # BaseDataType
        node = await self.server.nodes.objects.add_variable(
            node_id(f"ns={self.indexes[uri]};s={name}"), path, value, kind, anything
        )
        self.nodes[name] = node
        return node

    async def put(self, name: str, *values: ua.DataValue) -> None:
        """Whatever a source may say, one after the other: value, status and time."""
        holder = self.server.iserver.aspace._nodes[self.nodes[name].nodeid].attributes[AttributeIds.Value]
        for value in values:
            holder.value = None  # else the server minds the type it had
            await self.server.write_attribute_value(self.nodes[name].nodeid, value)

    def vanish(self, name: str) -> None:
        """Take a node out of the address space; its monitored items are left dangling, as some servers do."""
        del self.server.iserver.aspace._nodes[self.nodes.pop(name).nodeid]

    async def tell(self, *, reads: int | None = None, items: int | None = None) -> None:
        """The limits that stand in the address space."""
        for number, limit in ((11705, reads), (11714, items)):
            if limit is not None:
                value = said(limit, kind=ua.VariantType.UInt32)
                await self.server.write_attribute_value(node_id(f"i={number}"), value)

    async def close_listener(self) -> None:
        """Drop all connections and take no new ones; the address space stays."""
        self.listens = False
        assert self.server.bserver is not None
        await self.server.bserver.stop()

    async def open_listener(self) -> None:
        """Listen again, at the same address."""
        server = self.server
        server.bserver = BinaryServer(server.iserver, "127.0.0.1", int(self.url.rsplit(":", 1)[1]), server.limits)
        server.bserver.set_policies(server._policies)
        await server.bserver.start()
        self.listens = True

    def connections(self) -> int:
        """Connections that stand."""
        return 0 if self.server.bserver is None else len(self.server.bserver.clients)

    def channels(self) -> list[Any]:
        """The secure channels that stand, as the library keeps them."""
        assert self.server.bserver is not None
        return [client.processor._connection for client in self.server.bserver.clients if client.processor]

    def sessions(self) -> int:
        """Sessions clients have open."""
        return len(self.server.iserver._external_sessions)

    def subscriptions(self) -> int:
        """Subscriptions clients have open."""
        return len(self.server.iserver.subscription_service.subscriptions)


class Hall:
    """A thread with a loop in which servers run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        workers = ThreadPoolExecutor(1, "opcua hall worker")
        workers.submit(len, ()).result()  # its thread belongs to the hall, not to the test that first needs it
        self._loop.set_default_executor(workers)
        self._thread = threading.Thread(target=self._loop.run_forever, name="opcua hall", daemon=True)
        self._thread.start()
        self._plants: list[Plant] = []
        self.kept: dict[str, Plant] = {}  #: servers that tests hand on to each other, by name

    async def plant(self, namespaces: Sequence[str] = (URN,), port: int = 0) -> Plant:
        """A server that listens."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._start(namespaces, port), self._loop))

    def plant_sync(self, namespaces: Sequence[str] = (URN,), port: int = 0) -> Plant:
        return asyncio.run_coroutine_threadsafe(self._start(namespaces, port), self._loop).result(30)

    async def _start(self, namespaces: Sequence[str], port: int) -> Plant:
        plant = Plant(Server(), self._loop, f"opc.tcp://127.0.0.1:{port}")
        await plant.start(namespaces)
        self._plants.append(plant)
        return plant

    async def stop(self, plant: Plant) -> None:
        """Stop one server: connections, sessions and subscriptions are gone."""
        self._plants.remove(plant)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(plant.server.stop(), self._loop))

    async def _end(self) -> None:
        """A server that is stopped forgets the timers of sessions whose connection broke."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5)
        await self._loop.shutdown_default_executor()

    def close(self) -> None:
        """Stop all and end the thread."""
        for plant in self._plants:
            asyncio.run_coroutine_threadsafe(plant.server.stop(), self._loop).result(30)
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _main(port: int) -> None:
    plant = Plant(Server(), asyncio.get_running_loop(), f"opc.tcp://127.0.0.1:{port}")
    await plant.start([URN])
    await plant.add("a", 1.5)
    sys.stdout.write("listening\n")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
