"""One connection to a server: a fresh asyncua client, connected step by step, closed always and in bounded time.

The library's own supervision stays off: `connect()` would start its watchdogs, `create_subscription()` its publish
loop, and each silent loss we know of lies there (docs/decisions). What has to run beside is started by the collector.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.client.ua_session import UaSession
from asyncua.crypto import security_policies
from cryptography import x509

from agent.collectors.opcua.certificates import Own
from agent.collectors.opcua.endpoints import matching
from agent.collectors.opcua.guard import Guard
from agent.collectors.opcua.login import Login
from agent.collectors.opcua.translate import translated
from agent.core.errors import ConnectionLost, PermanentError, TransientError

T = TypeVar("T")

_POLICIES: dict[str, Any] = {  # the library's crypto has no annotations
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}


class Times(NamedTuple):
    """How long things may take or live, seconds."""

    answer: float  #: a request is answered within this
    session: float  #: the server may forget a session it has not heard of for so long
    channel: float  #: life of a security token
    close: float  #: how long leaving may take before the socket is simply dropped


class QuietSession(UaSession):
    """A session that leaves publishing to the collector."""

    def ensure_publish_loop(self) -> None:
        """Nothing: the library's loop has one request in flight and hides errors behind retries."""


class Connection:
    """A connected client and its session."""

    def __init__(self, client: Client, session: UaSession) -> None:
        self._client = client
        self.session = session

    async def lost(self) -> None:
        """Wait until the connection is gone."""
        async with self._client.uaclient.subscribe_state() as states:
            await states.wait_for_state(UaClientState.DISCONNECTED)

    async def renew_channel(self) -> None:
        """Ask for a new security token and use it."""
        with translated("renewing the secure channel"):
            await self._client.open_secure_channel(renew=True)
            self._client.uaclient.revolve_security_token()

    @property
    def channel_lifetime(self) -> float:
        """Seconds a security token lives, as the server revised it."""
        return float(self._client.secure_channel_timeout) / 1000

    @property
    def session_timeout(self) -> float:
        """Seconds without a request after which the server forgets the session, as it revised it."""
        return float(self._client.session_timeout) / 1000


@asynccontextmanager
async def connected(url: str, guard: Guard, name: str, times: Times) -> AsyncIterator[Connection]:
    """A session, activated. Entering raises ConnectionLost, TransientError or PermanentError.

    The server at `url` is who the guard admits, before it learns who we are; `name`: of the session, for people there.
    Leaving closes the session with its subscriptions, the channel and the socket, also when entering was cancelled
    half-way, and takes no longer than `times.close` (twice that where a session was just being made).
    """
    own = server = None
    if guard.access.secured:
        own = guard.own()
        server = await _server_certificate(url, guard, times)
    client = _client(url, guard, times)
    session = client.uaclient.session = QuietSession(client.uaclient)
    if own is not None and server is not None:
        _secure(client, guard, own, server)
    login = Login(guard, client.security_policy, own)
    async with _channel(client, url, times):
        with translated(f"connecting to {url}", retry_after=times.session):
            request = login.creation(client.server_url.geturl(), name, client.session_timeout)
            created = await _seen_through(session.create_session(request), times.close)
            client.session_timeout = created.RevisedSessionTimeout
            login.check(created, url)
            await client.uaclient.activate_session(login.activation(created))
        yield Connection(client, session)


def _client(url: str, guard: Guard, times: Times) -> Client:
    """The library's client; what it calls its URL is what the server is told, not where it is looked for."""
    client = Client(_with_port(guard.access.endpoint_url or url), timeout=times.answer)
    client.session_timeout = round(times.session * 1000)
    client.secure_channel_timeout = round(times.channel * 1000)
    return client


def _secure(client: Client, guard: Guard, own: Own, server: x509.Certificate) -> None:
    mode = ua.MessageSecurityMode[guard.access.mode]
    make = _POLICIES[guard.access.policy]
    client.security_policy = make(server, own.certificate, own.key, mode, host_cert_chain=list(own.chain))
    client.uaclient.set_security(client.security_policy)


async def _server_certificate(url: str, guard: Guard, times: Times) -> x509.Certificate:
    """Of the endpoint that is configured, verified. Asked without security: the guard decides, not the answer."""
    try:
        client = _client(url, guard, times)
        async with _channel(client, url, times):
            with translated(f"asking {url} for its endpoints"):
                endpoints = await client.get_endpoints()
    except (TransientError, PermanentError) as error:
        pinned = guard.pinned
        if pinned is None or isinstance(error, ConnectionLost):
            raise
        return guard.admit(pinned, None, url)  # some servers tell strangers nothing, but we know this one
    endpoint = matching(endpoints, guard.access)[0]
    return guard.admit(endpoint.ServerCertificate, endpoint.Server.ApplicationUri, url)


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    return url if parts.port is not None else parts._replace(netloc=f"{parts.netloc}:4840").geturl()


@asynccontextmanager
async def _channel(client: Client, url: str, times: Times) -> AsyncIterator[None]:
    """A secure channel (of whatever security the client has). The library would leak the socket of a cancelled one."""
    where = urlsplit(_with_port(url))
    transports: list[asyncio.Transport] = []
    try:
        with translated(f"connecting to {url}", retry_after=times.session):
            try:
                await client.uaclient.connect_socket(where.hostname or "", where.port or 4840)
            finally:
                _remember(client, transports)
            _notice_cancellation()
            await client.send_hello()
            await client.open_secure_channel()
        yield
    finally:
        await _close(client, transports, times.close)


def _remember(client: Client, transports: list[asyncio.Transport]) -> None:
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        transports.append(protocol.transport)


def _notice_cancellation() -> None:
    """Before Python 3.12 `asyncio.wait_for` may return although it was cancelled in the same turn."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _seen_through(work: Coroutine[Any, Any, T], within: float) -> T:
    """Its result. Cancelled meanwhile, its end is awaited first: a session the server has just made is to be closed."""
    ended: list[T | Exception] = []

    async def run() -> None:
        try:
            ended.append(await work)
        except Exception as error:  # noqa: BLE001  # raised below, not wrapped in a group
            ended.append(error)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=within)
            raise
    if isinstance(ended[0], Exception):
        raise ended[0]
    return ended[0]


async def _close(client: Client, transports: list[asyncio.Transport], within: float) -> None:
    try:
        if any(not transport.is_closing() for transport in transports):
            async with asyncio.timeout(within):
                with translated("closing the session"):
                    await client.close_session()
                    await client.close_secure_channel()
    except (ConnectionLost, TimeoutError):
        pass
    except Exception:  # noqa: BLE001, S110  # a goodbye that failed: the server forgets the session by itself
        pass
    finally:
        client.disconnect_socket()
        for transport in transports:
            transport.abort()  # close() would wait for a frozen server to take what is left
        await asyncio.sleep(0)  # the loop drops the socket in its next turn
