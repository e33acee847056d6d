"""A session with one server: its certificate looked at, logged in, left in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.client.ua_session import UaSession
from asyncua.crypto import security_policies
from cryptography import x509

from agent.collectors.opcua.connect.channel import Times, open_channel
from agent.collectors.opcua.connect.endpoints import matching
from agent.collectors.opcua.connect.login import Login
from agent.collectors.opcua.connect.ways import Called, Way
from agent.collectors.opcua.translate import translated
from agent.collectors.opcua.trust.certificates import Own
from agent.collectors.opcua.trust.guard import Guard
from agent.collectors.opcua.trust.security import Access
from agent.core.errors import ConnectionLost, PermanentError, TransientError

T = TypeVar("T")

_OPEN: Any = security_policies.SecurityPolicyNone
_POLICIES: dict[str, Any] = {  # the library's crypto has no annotations
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}


class SessionConnection:
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
async def connected(way: Way, guard: Guard, name: str, times: Times) -> AsyncIterator[SessionConnection]:
    """A session, activated. Entering raises ConnectionLost, TransientError or PermanentError.

    The server is who the guard admits, before it learns who we are; `name`: of the session, for people there.
    Leaving closes the session with its subscriptions, the channel and the socket, also when entering was cancelled
    half-way, and takes no longer than `times.close` (twice that where a session was just being made).
    """
    own = server = None
    if guard.access.secured:
        own = guard.own()
        server = await _server_certificate(way, guard, times)
    policy = _policy(guard.access, own, server)
    login = Login(guard, policy, own)
    async with open_channel(way, policy, times) as (client, session, told):
        with translated(f"connecting to {way.name}", retry_after=times.session):
            request = login.creation(told, name, client.session_timeout)
            created = await _seen_through(session.create_session(request), times.close)
            client.session_timeout = created.RevisedSessionTimeout
            shown = login.check(created, way.name)
            await client.uaclient.activate_session(login.activation(created))
        if isinstance(way, Called):
            way.certificate = shown
        yield SessionConnection(client, session)


def _policy(access: Access, own: Own | None, server: x509.Certificate | None) -> Any:
    """The library's, for a channel to this server."""
    if own is None or server is None:
        return _OPEN()
    mode = ua.MessageSecurityMode[access.mode]
    return _POLICIES[access.policy](server, own.certificate, own.key, mode, host_cert_chain=list(own.chain))


async def _server_certificate(way: Way, guard: Guard, times: Times) -> x509.Certificate:
    """Of the endpoint that is configured, verified. Asked without security: the guard decides, not the answer.

    A server that calls is not asked where its certificate is known: it would have to call once more.
    """
    if isinstance(way, Called):
        known, way.certificate = guard.pinned or way.certificate, None  # another one now? then it is asked next time
        if known is not None:
            return guard.admit(known, None, way.name)
    try:
        async with open_channel(way, _OPEN(), times) as (client, _, _):
            with translated(f"asking {way.name} for its endpoints"):
                endpoints = await client.get_endpoints()
    except (TransientError, PermanentError) as error:
        pinned = guard.pinned
        if pinned is None or isinstance(error, ConnectionLost):
            raise
        return guard.admit(pinned, None, way.name)  # some servers tell strangers nothing, but we know this one
    endpoint = matching(endpoints, guard.access)[0]
    return guard.admit(endpoint.ServerCertificate, endpoint.Server.ApplicationUri, way.name)


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
