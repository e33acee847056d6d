"""A session with one server: its certificate looked at, logged in, left in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.crypto import security_policies
from cryptography import x509

from agent.collectors.opcua.connect.channel import Times, open_channel
from agent.collectors.opcua.connect.endpoints import matching
from agent.collectors.opcua.connect.login import SessionLogin
from agent.collectors.opcua.connect.ways import Called, Way
from agent.collectors.opcua.floors import PERIOD, period
from agent.collectors.opcua.translate import ServiceRefused, translated
from agent.collectors.opcua.trust.certificates import Own, leaf
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.trust.security import ServerAccess
from agent.collectors.opcua.wire.limits import WireLimits
from agent.collectors.opcua.wire.protocol import BoundedClient
from agent.collectors.opcua.wire.session import BoundedSession
from agent.core.errors import ConnectionLost, TransientError

T = TypeVar("T")

_USUAL = WireLimits()
_OPEN: Any = security_policies.SecurityPolicyNone
_POLICIES: dict[str, Any] = {  # the library's crypto has no annotations
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}


class SessionConnection:
    """A connected client and its session."""

    def __init__(
        self, client: Client, transport: BoundedClient, session: BoundedSession, times: Times, endpoints: Sequence[Any]
    ) -> None:
        self.endpoints = endpoints  #: what the server offers
        self._client = client
        self._transport = transport
        self._asked = times
        self.session = session

    async def lost(self) -> None:
        """Wait until the connection is gone. Raises ConnectionLost."""
        async with self._client.uaclient.subscribe_state() as states:
            await states.wait_for_state(UaClientState.DISCONNECTED)
        raise self._transport.violation or ConnectionLost("the connection was closed")

    async def renew_channel(self) -> None:
        """Ask for a new security token and use it."""
        self._client.secure_channel_timeout = round(self._asked.channel * 1000)
        with translated("renewing the secure channel"):
            await self._client.open_secure_channel(renew=True)
            self._client.uaclient.revolve_security_token()

    @property
    def quiet_for(self) -> float:
        """Seconds since the server's machine sent anything; every second it is made to."""
        return self._transport.quiet_for

    @property
    def channel_lifetime(self) -> float:
        """Seconds a security token lives, as the server revised it."""
        return period(float(self._client.secure_channel_timeout) / 1000, self._asked.channel, 2 * PERIOD)

    @property
    def session_timeout(self) -> float:
        """Seconds without a request after which the server forgets the session, as it revised it."""
        return period(float(self._client.session_timeout) / 1000, self._asked.session, 3 * PERIOD)


@asynccontextmanager
async def connected(
    way: Way, guard: TrustGuard, name: str, times: Times, limits: WireLimits = _USUAL
) -> AsyncIterator[SessionConnection]:
    """A session, activated. Entering raises ConnectionLost, TransientError or PermanentError.

    The server is who the guard admits, before it learns who we are; `name`: of the session, for people there.
    Leaving closes the session with its subscriptions, the channel and the socket, also when entering was cancelled
    half-way, and takes no longer than `times.close` (twice that where a session was just being made).
    """
    own = server = None
    if guard.access.secured:
        own = guard.own()
        server = await _server_certificate(way, guard, times)
    policy = _policy(guard.access, own, server, times)
    login = SessionLogin(guard, policy, own)
    async with open_channel(way, policy, times, limits) as (client, transport, session, told):
        with translated(f"connecting to {way.name}", retry_after=times.session):
            request = login.creation(told, name, client.session_timeout)
            created = await _seen_through(session.create_session(request), times.close)
            if not created.ServerEndpoints:  # some tell them only to who used their own name for the server
                created.ServerEndpoints = await _listed(client, guard.access)
            client.session_timeout = created.RevisedSessionTimeout
            shown = login.check(created, way.name)
            await client.uaclient.activate_session(login.activation(created))
            transport.admit()
        if isinstance(way, Called):
            way.certificate = shown
        yield SessionConnection(client, transport, session, times, created.ServerEndpoints or ())


async def _listed(client: Client, access: ServerAccess) -> list[Any]:
    """The endpoints as GetEndpoints tells them; of a server that lists none the one this session is made at."""
    told: list[Any] = []
    try:
        with translated("asking for the endpoints"):
            told = await client.get_endpoints()
    except ServiceRefused:
        if access.secured:
            raise
    if not told and not access.secured:
        return [ua.EndpointDescription(SecurityMode=ua.MessageSecurityMode.None_)]
    return told


class ShownCertificate(NamedTuple):
    """A server's certificate that was admitted, and its bytes as the server has them."""

    certificate: x509.Certificate
    der: bytes


def _policy(access: ServerAccess, own: Own | None, server: ShownCertificate | None, times: Times) -> Any:
    """The library's, for a channel to this server. A token that lives no time at all lives as long as was asked for."""
    if own is None or server is None:
        return _OPEN()
    mode = ua.MessageSecurityMode[access.mode]
    policy = _POLICIES[access.policy](
        server.certificate, own.certificate, own.key, mode, host_cert_chain=list(own.chain)
    )
    policy.peer_certificate = server.der
    keys = policy.make_remote_symmetric_key

    def lasting(secret: bytes, seed: bytes, lifetime: float) -> None:
        keys(secret, seed, 1000 * period(lifetime / 1000, times.channel, 2 * PERIOD))

    policy.make_remote_symmetric_key = lasting
    return policy


async def _server_certificate(way: Way, guard: TrustGuard, times: Times) -> ShownCertificate:
    """Of the endpoint that is configured, verified. Asked without security: the guard decides, not the answer.

    A server that calls is not asked where its certificate is known: it would have to call once more.
    """
    if isinstance(way, Called):
        known, way.certificate = guard.pinned or way.certificate, None  # another one now? then it is asked next time
        if known is not None:
            return ShownCertificate(guard.admit(known, None, way.name), leaf(known))
    try:
        async with open_channel(way, _OPEN(), times) as (client, *_):
            with translated(f"asking {way.name} for its endpoints"):
                endpoints = await client.get_endpoints()
    except TransientError as error:
        pinned = guard.pinned
        if pinned is None or isinstance(error, ConnectionLost):
            raise
        return ShownCertificate(
            guard.admit(pinned, None, way.name), pinned
        )  # it tells strangers nothing, but we know it
    endpoint = matching(endpoints, guard.access)[0]
    admitted = guard.admit(endpoint.ServerCertificate, endpoint.Server.ApplicationUri, way.name)
    return ShownCertificate(admitted, leaf(endpoint.ServerCertificate))


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
