"""One secure channel: a fresh asyncua client on a socket, dialled or called, closed always and in bounded time.

The library's own supervision stays off: `connect()` would start its watchdogs, `create_subscription()` its publish
loop, and each silent loss we know of lies there (docs/decisions). What has to run beside is started by the collector.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple

from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState

from agent.collectors.common.sockets import keep_alive
from agent.collectors.opcua.connect.reception import Caller
from agent.collectors.opcua.connect.url import split_url, with_port
from agent.collectors.opcua.connect.ways import Dialled, Way
from agent.collectors.opcua.translate import translated
from agent.collectors.opcua.wire.limits import STRANGER, WireLimits
from agent.collectors.opcua.wire.protocol import BoundedClient
from agent.collectors.opcua.wire.session import BoundedSession
from agent.core.dial import connect_socket, distrust
from agent.core.errors import AgentError, ConnectionLost


class Times(NamedTuple):
    """How long things may take or live, seconds."""

    answer: float  #: a request is answered within this
    session: float  #: the server may forget a session it has not heard of for so long
    channel: float  #: life of a security token
    close: float  #: how long leaving may take before the socket is simply dropped
    call: float  #: a server that calls does so within this


class DiallingClient(BoundedClient):
    """Dials as all of the agent does: a dead resolver hurts nobody else, each address of a name is tried."""

    async def connect_socket(self, host: str, port: int) -> None:
        """Raises OSError."""
        self._set_state(UaClientState.CONNECTING)
        try:
            sock = await connect_socket(host, port, self._timeout)
            try:
                await asyncio.get_running_loop().create_connection(self._make_protocol, sock=sock)
            except BaseException:
                sock.close()
                raise
        except BaseException:
            self._set_state(UaClientState.DISCONNECTED)
            raise
        self._set_state(UaClientState.SOCKET_OPEN)


class AdoptingClient(BoundedClient):
    """Takes over a connection that the server opened, where the library would dial."""

    def __init__(self, caller: Caller, timeout: float, limits: WireLimits) -> None:
        super().__init__(timeout, limits)
        self._caller = caller

    async def connect_socket(self, host: str, port: int) -> None:  # noqa: ARG002 - the library's
        """Raises ConnectionLost where the server has closed the connection."""
        self._set_state(UaClientState.CONNECTING)
        try:
            self._caller.hand_over(self._make_protocol())
        except ConnectionLost:
            self._set_state(UaClientState.DISCONNECTED)
            raise
        self._set_state(UaClientState.SOCKET_OPEN)


class Channel(NamedTuple):
    """An open one."""

    client: Client
    transport: BoundedClient  #: the client's own
    session: BoundedSession
    told: str  #: what the server is told it is called in everything but the Hello


@asynccontextmanager
async def open_channel(way: Way, policy: Any, times: Times, limits: WireLimits = STRANGER) -> AsyncIterator[Channel]:
    """A secure channel of this security policy (the library's). Its socket is closed even where entering is cancelled.

    `limits` are announced; less is taken until the server is admitted.

    Raises ConnectionLost, TransientError or PermanentError.
    """
    channel, hello = await _unconnected(way, times, limits)
    client = channel.client
    client.security_policy = policy
    client.uaclient.set_security(policy)
    host, port = split_url(way.url) if isinstance(way, Dialled) else ("", 0)
    transports: list[asyncio.Transport] = []
    try:
        with translated(f"connecting to {way.name}", retry_after=times.session):
            try:
                await client.uaclient.connect_socket(host, port)
            finally:
                _remember(client, transports)
            _notice_cancellation()
            try:
                await client.uaclient.send_hello(hello, client.max_messagesize, client.max_chunkcount)
                with _proving(way, policy):
                    await client.open_secure_channel()
            except BaseException:
                distrust(host, port)
                raise
        yield channel
    finally:
        await _close(client, transports, times.close)


@contextmanager
def _proving(way: Way, policy: Any) -> Iterator[None]:
    """A server with somebody else's certificate cannot decrypt what we send: it does not answer, or disconnects."""
    try:
        with translated(f"connecting to {way.name}"):
            yield
    except ConnectionLost as error:
        if not policy.AsymmetricSignatureURI:
            raise
        how = error.reason.removeprefix(f"connecting to {way.name}: ").replace("no answer in time", "it stays silent")
        raise ConnectionLost(
            f"{way.name} opens no channel with the certificate it showed; it has not its key, or does not trust the "
            f"agent's ({how})"
        ) from error


async def _unconnected(way: Way, times: Times, limits: WireLimits) -> tuple[Channel, str]:
    """With the EndpointUrl for the Hello: for a caller letter by letter what it said (OPC 10000-6, 7.1.2.6)."""
    if isinstance(way, Dialled):
        hello = told = with_port(way.announced or way.url)
        transport: BoundedClient = DiallingClient(times.answer, limits)
    else:
        caller = await way.caller(times.call)
        hello, told = caller.endpoint_url, caller.endpoint_url or caller.address
        transport = AdoptingClient(caller, times.answer, limits)
    client = Client(told, timeout=times.answer)
    transport.pre_request_hook = client.uaclient.pre_request_hook
    client.uaclient = transport
    client.session_timeout = round(times.session * 1000)
    client.secure_channel_timeout = round(times.channel * 1000)
    session = transport.session = BoundedSession(transport)
    return Channel(client, transport, session, told), hello


def _remember(client: Client, transports: list[asyncio.Transport]) -> None:
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        transports.append(protocol.transport)
        if (sock := protocol.transport.get_extra_info("socket")) is not None:
            keep_alive(sock, watched=True)


def _notice_cancellation() -> None:
    """Before Python 3.12 `asyncio.wait_for` may return although it was cancelled in the same turn."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _close(client: Client, transports: list[asyncio.Transport], within: float) -> None:
    try:
        if any(not transport.is_closing() for transport in transports):
            with suppress(AgentError, TimeoutError):  # closing failed: the server ends the session by itself
                async with asyncio.timeout(within):
                    with translated("closing the session"):
                        await client.close_session()
                        await client.close_secure_channel()
    finally:
        client.disconnect_socket()
        for transport in transports:
            transport.abort()  # close() would wait for a frozen server to take what is left
        await asyncio.sleep(0)  # the loop drops the socket in its next turn
