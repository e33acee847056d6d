"""The OPC UA server of a simulated machine: with `address_space.py` all that touches asyncua. Import it late.

Bound to one address only, no security, anonymous. A ticker writes what changed, so that subscriptions work; the
library's own clock task is switched off, because it makes stopping take a second.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.server import Server

from agent.core.clock import Clock
from agent.simulator.address_space import AddressSpace
from agent.simulator.machines import State, Value
from agent.simulator.points import NodePoint


class _Protocol(OPCUAProtocol):
    """A connection that can be told to take its time."""

    delay_of: OpcUaServer

    async def _process_one_msg(self, header: Any, buf: Any) -> bool:
        await self.delay_of.patience()
        return await super()._process_one_msg(header, buf)


class _Listener(BinaryServer):
    owner: OpcUaServer

    def _make_protocol(self) -> _Protocol:
        protocol = _Protocol(self.iserver, self._policies, self.clients, self.closing_tasks, self.limits)
        protocol.delay_of = self.owner
        return protocol


class OpcUaServer:
    """One server; its variables lie flat, `ns=2;s=<name>`, in a folder named after the device, or where they say.

    `port` 0 takes a free one and keeps it over restarts. Raises OSError where the port is taken.
    """

    def __init__(
        self, name: str, nodes: tuple[NodePoint, ...], *, namespace: str, clock: Clock, host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:  # fmt: skip
        self.name = name
        self.host = host
        self.port = port
        self.delay = 0.0  #: seconds before every answer
        self._points = nodes
        self._namespace = namespace
        self._clock = clock
        self._server: Server | None = None
        self._listener: _Listener | None = None
        self._ids: dict[str, ua.NodeId] = {}
        self._types = {node.name: ua.VariantType[node.type] for node in nodes}
        self._hidden: dict[str, Any] = {}
        self._said: dict[str, tuple[Value | None, int]] = {}
        self._second = 0

    @property
    def url(self) -> str:
        """What stands under `url:` of a device."""
        return f"opc.tcp://{self.host}:{self.port}"

    async def patience(self) -> None:
        """Wait as long as every answer is to take."""
        if self.delay > 0:
            await self._clock.sleep(self.delay)

    async def build(self, state: State) -> None:
        """Make the address space; takes about a second of CPU, so it is done once."""
        server = Server()
        server.iserver.disabled_clock = True
        await server.init()
        server.set_server_name(f"Simulated {self.name}")
        server.set_endpoint(self.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(self._namespace)
        folder = await server.nodes.objects.add_folder(index, self.name)
        self._ids = await AddressSpace(server, index, folder).fill(self._points, state)
        await server._setup_server_nodes()  # noqa: SLF001  # what Server.start() does, less its listener
        await server.iserver.start()
        self._server = server

    async def start(self) -> None:
        """Listen. Nothing happens where it listens already."""
        if self._listener is not None:
            return
        server = self._built()
        listener = _Listener(server.iserver, self.host, self.port, server.limits)
        listener.owner = self
        listener.set_policies(server._policies)  # noqa: SLF001  # as Server.start() hands them on
        await listener.start()
        self._listener, self.port = listener, listener.port

    async def stop(self) -> None:
        """Drop all connections and refuse new ones; sessions are kept, as a cut cable would."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        tasks = [(client._task, client._activation_watchdog_task) for client in listener.clients]  # noqa: SLF001
        busy = [task for pair in tasks for task in pair if task is not None]
        await listener.stop()
        for _ in range(3):  # closed transports finish on the next turns of the loop
            await asyncio.sleep(0)
        busy += listener.closing_tasks
        if busy:
            await asyncio.wait(busy, timeout=2)

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        if self._server is not None:
            inner, self._server = self._server.iserver, None
            sessions = list(inner._external_sessions.values())  # noqa: SLF001  # it has no public way to them
            inner._external_sessions.clear()  # noqa: SLF001
            for session in sessions:
                await session.close_session(delete_subs=True)
            await inner.stop()

    def hide(self, names: set[str]) -> None:
        """Take nodes out of the address space (BadNodeIdUnknown); those not named come back."""
        nodes = self._built().iserver.aspace._nodes  # noqa: SLF001  # deleting by service would destroy them
        for name in [name for name in self._hidden if name not in names]:
            nodes[self._ids[name]] = self._hidden.pop(name)
        for name in names:
            if name not in self._hidden:
                self._hidden[name] = nodes.pop(self._ids[name])

    async def say(self, state: State, status: dict[str, int]) -> None:
        """Write what changed since the last call; `status` gives nodes another status code than Good."""
        server = self._built()
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        for name, node_id in self._ids.items():
            said = (state[name], status.get(name, 0))
            if name in self._hidden or self._said.get(name) == said:
                continue
            self._said[name] = said
            value, code = said
            variant = ua.Variant(value, self._types[name])  # the address space takes it out where the status is bad
            data = ua.DataValue(variant, ua.StatusCode(code), SourceTimestamp=now, ServerTimestamp=now)  # type: ignore[arg-type]
            await server.write_attribute_value(node_id, data)
        if self._second != int(now.timestamp()):  # the library's clock is off, clients read the time as a sign of life
            self._second = int(now.timestamp())
            await server.iserver.current_time_node.write_value(now)

    def _built(self) -> Server:
        if self._server is None:
            msg = f"{self.name} was not built"
            raise RuntimeError(msg)
        return self._server
