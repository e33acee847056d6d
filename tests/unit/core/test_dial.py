"""Names with several addresses (Happy Eyeballs): the first that answers is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from agent.core.dial import connect_socket, distrust, first_of, in_turn
from agent.core.resolve import NameUnknown, Resolver, SocketAddress


def v4(host: str, port: int) -> SocketAddress:
    return SocketAddress(socket.AF_INET, (host, port))


def v6(host: str, port: int) -> SocketAddress:
    return SocketAddress(socket.AF_INET6, (host, port, 0, 0))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port whose connections are never accepted: its queue is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_families_take_turns() -> None:
    """The system's favourite first, then the other family."""
    ordered = in_turn([v6("::1", 1), v6("::2", 1), v6("::3", 1), v4("127.0.0.1", 1)])
    assert [str(address) for address in ordered] == ["::1", "127.0.0.1", "::2", "::3"]


async def test_an_address_of_no_use_comes_last() -> None:
    """However many there are, each has its turn: the one distrusted last is the last one."""
    hosts = [f"127.0.0.{last}" for last in (1, 2, 3)]
    names = Resolver(lambda *_args, **_keys: [(socket.AF_INET, 0, 0, "", (host, 0)) for host in hosts])
    with closing(socket.create_server(("0.0.0.0", 0))) as everywhere:
        port = everywhere.getsockname()[1]

        async def reached() -> str:
            with closing(await connect_socket("three.test", port, 60.0, names=names, stagger=60.0)) as sock:
                return str(sock.getpeername()[0])

        found = [await reached()]
        for _ in range(4):
            distrust("three.test", port)
            found.append(await reached())
        assert [host[-1] for host in found] == ["1", "2", "3", "1", "2"]
        distrust("never.test", port)
        assert await reached() == found[-1]


async def test_the_next_address_where_one_refuses(listener: socket.socket) -> None:
    """A refused address costs nothing."""
    port = listener.getsockname()[1]
    with closing(await first_of([v4("127.0.0.2", port), v4("127.0.0.1", port)], stagger=60.0)) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)


async def test_the_next_address_where_one_is_silent(listener: socket.socket, deaf: int) -> None:
    """A silent address costs the stagger, not the time-out."""
    port = listener.getsockname()[1]
    with closing(await first_of([v4("127.0.0.1", deaf), v4("127.0.0.1", port)], stagger=0.01)) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)


async def test_all_refuse(listener: socket.socket) -> None:
    """What the last one said is what is raised, in the system's words."""
    port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError, match=r"Connection refused$"):
        await first_of([v4("127.0.0.2", port), v4("127.0.0.3", port)])


async def test_a_name_with_two_addresses(listener: socket.socket) -> None:
    """By name, name and connection share one time-out."""
    port = listener.getsockname()[1]
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.2", "127.0.0.1")]
    resolver = Resolver(lambda *_, **__: entries)
    with closing(await connect_socket("two.test", port, 30.0, names=resolver)) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)


async def test_silence_is_told_apart(deaf: int) -> None:
    """A resolver without an answer and an address without one have messages of their own."""
    with pytest.raises(TimeoutError) as silent:
        await connect_socket("127.0.0.1", deaf, 0.05)
    assert silent.value.strerror == "no connection within 0.05 s"
    resolver = Resolver(lambda *_, **__: [], threads=0)
    with pytest.raises(NameUnknown, match=r"cannot resolve 'plc.test': no answer of the resolver within 0.05 s"):
        await connect_socket("plc.test", 502, 0.05, names=resolver)
