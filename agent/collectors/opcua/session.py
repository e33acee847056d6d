"""One connection to a server: a fresh asyncua client, connected step by step, closed always and in bounded time.

The library's own supervision stays off: `connect()` would start its watchdogs, `create_subscription()` its publish
loop, and each silent loss we know of lies there (docs/decisions). What has to run beside is started by the collector.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.client.ua_session import UaSession

from agent.collectors.opcua.translate import translated
from agent.core.errors import ConnectionLost

_CHANNEL_LIFETIME_MS = 3_600_000


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


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    return url if parts.port is not None else parts._replace(netloc=f"{parts.netloc}:4840").geturl()


@asynccontextmanager
async def connected(
    url: str, *, agent: str, device: str, timeout: float, session_timeout: float, close_within: float
) -> AsyncIterator[Connection]:
    """A session, activated. Entering raises ConnectionLost, TransientError or PermanentError.

    Leaving closes the session with its subscriptions, the channel and the socket, also when entering was cancelled
    half-way (the library would leak the socket), and takes no longer than `close_within` seconds.
    """
    client = Client(_with_port(url), timeout=timeout)
    client.name = "edge-agent"
    client.description = f"{agent}/{device}"
    client.application_uri = f"urn:edge-agent:{agent}"
    client.product_uri = "urn:edge-agent"
    client.session_timeout = round(session_timeout * 1000)
    client.secure_channel_timeout = _CHANNEL_LIFETIME_MS
    session = QuietSession(client.uaclient)
    client.uaclient.session = session
    transports: list[asyncio.Transport] = []
    try:
        with translated(f"connecting to {url}", retry_after=session_timeout):
            try:
                await client.connect_socket()
            finally:
                _remember(client, transports)
            _notice_cancellation()
            await client.send_hello()
            await client.open_secure_channel()
            await client.create_session()
            await client.activate_session()
        yield Connection(client, session)
    finally:
        await _close(client, transports, close_within)


def _remember(client: Client, transports: list[asyncio.Transport]) -> None:
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        transports.append(protocol.transport)


def _notice_cancellation() -> None:
    """Before Python 3.12 `asyncio.wait_for` may return although it was cancelled in the same turn."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


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
