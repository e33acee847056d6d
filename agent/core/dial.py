"""TCP connections to a name with several addresses (Happy Eyeballs, RFC 8305).

Addresses are tried in the order of section 4 (families take turns, the system's order within each), the next one as
soon as the one before fails or has not answered for 250 ms (section 5). The first that answers is taken, the others are
given up. One that accepted the connection and was of no use then (:func:`distrust`) comes last from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest

from agent.core.resolve import NameUnknown, Resolver, SocketAddress, resolver

STAGGER_SECONDS = 0.25
"""RFC 8305, section 8: Connection Attempt Delay."""

_MOST = 16  #: addresses of a name that are remembered
_Name = tuple[str, int]
_taken: dict[_Name, SocketAddress] = {}  #: by host and port
_distrusted: dict[_Name, list[SocketAddress]] = {}  #: the latest at the end


async def connect_socket(
    host: str, port: int, timeout: float, *, names: Resolver = resolver, stagger: float = STAGGER_SECONDS
) -> socket.socket:
    """A connected, non-blocking socket; `loop.create_connection(…, sock=…)` makes a transport of it.

    `timeout` holds for name and connection together. Raises OSError whose `strerror` is fit for an operator:
    NameUnknown, TimeoutError, or what the last address tried said.
    """
    found: list[SocketAddress] = []
    _taken.pop((host, port), None)
    try:
        async with asyncio.timeout(timeout):
            found = in_turn(await names.addresses(host, port))
            distrusted = _distrusted.get((host, port), [])
            found.sort(key=lambda one: distrusted.index(one) + 1 if one in distrusted else 0)
            sock = await first_of(found, stagger)
            with contextlib.suppress(OSError):  # it is gone again: whoever uses it will see
                peer = sock.getpeername()
                _taken[host, port] = next((one for one in found if one.sockaddr == peer), found[0])
            return sock
    except TimeoutError as error:
        if error.errno:
            raise  # the system's own word on an address, ETIMEDOUT
        if not found:
            raise NameUnknown(host, f"no answer of the resolver within {timeout:g} s") from None
        raise TimeoutError(None, f"no connection within {timeout:g} s") from None


def distrust(host: str, port: int) -> None:
    """The address that was connected to last accepts, and nothing came of it: the others of the name go first now."""
    if (address := _taken.pop((host, port), None)) is not None:
        others = [one for one in _distrusted.get((host, port), []) if one != address]
        _distrusted[host, port] = [*others, address][-_MOST:]


def in_turn(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """The families take turns, the system's favourite first (RFC 8305, section 4)."""
    families: dict[socket.AddressFamily, list[SocketAddress]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in turns if address is not None]


async def first_of(addresses: Sequence[SocketAddress], stagger: float = STAGGER_SECONDS) -> socket.socket:
    """The first of these that answers. Raises the OSError of the last that failed."""
    if len(addresses) == 1:
        return await _connect(addresses[0])
    race = _Race()
    try:
        await race.run(addresses, stagger)
    except BaseException:
        if race.winner is not None:
            race.winner.close()
        raise
    if race.winner is None:
        raise race.error or OSError(None, "no address to connect to")
    return race.winner


def words_of(error: OSError) -> str:
    """Why, in the system's words. The loop's own, "Connect call failed ('192.0.2.1', 502)", name no cause."""
    if error.errno is not None and error.errno > 0:  # below zero: a resolver's
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


class _Race:
    """Attempts beside each other, started one after the other."""

    def __init__(self) -> None:
        self.winner: socket.socket | None = None
        self.error: OSError | None = None  #: of the attempt that failed last
        self._moved = asyncio.Event()  #: an attempt ended

    async def run(self, addresses: Sequence[SocketAddress], stagger: float) -> None:
        """Return when one is connected, or all have failed."""
        async with asyncio.TaskGroup() as group:
            attempts = []
            for address in addresses:
                self._moved.clear()
                attempts.append(group.create_task(self._attempt(address), name=f"connect {address}"))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(stagger):
                        await self._moved.wait()
                if self.winner is not None:
                    break
            while self.winner is None and (under_way := [one for one in attempts if not one.done()]):
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for attempt in attempts:
                attempt.cancel()

    async def _attempt(self, address: SocketAddress) -> None:
        try:
            connected = await _connect(address)
        except OSError as error:
            self.error = OSError(error.errno, words_of(error)) if error.errno else error
        else:
            if self.winner is None:
                self.winner = connected
            else:
                connected.close()
        self._moved.set()


async def _connect(address: SocketAddress) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock
