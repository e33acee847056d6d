"""One look-up per name, shared and bounded; a dead resolver hurts nobody whose name resolves."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from agent.core.resolve import NameUnknown, Resolver, SocketAddress
from tests.support.waiting import eventually

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


class Names:
    """A resolver whose names ending in `.hang` do not answer until they are let go."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.let_go = threading.Event()

    def __call__(self, host: str, port: None, *, type: int) -> list[Any]:  # noqa: A002 - getaddrinfo's
        self.asked[host] += 1
        if host.endswith(".hang") and not self.let_go.wait(60):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if host.endswith(".unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return FOUND


@pytest.fixture
def names() -> Iterator[Names]:
    names = Names()
    yield names
    names.let_go.set()


async def test_a_name_that_resolves_passes_those_that_hang(names: Names) -> None:
    """However many names hang, the next one that resolves does so at once."""
    resolver = Resolver(names, threads=8)
    async with asyncio.TaskGroup() as group:
        hung = [group.create_task(resolver.addresses(f"plc{i}.hang", 502)) for i in range(7)]
        await eventually(lambda: len(names.asked) == 7)
        assert await resolver.addresses("good.test", 502) == [SocketAddress(socket.AF_INET, ("127.0.0.1", 502))]
        for task in hung:
            task.cancel()


async def test_one_look_up_a_name(names: Names) -> None:
    """Who asks for a name that is being looked up shares the answer; who gave up leaves no second one behind."""
    resolver = Resolver(names)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver.addresses("plc.hang", 502)
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(resolver.addresses("plc.hang", port)) for port in (502, 802)]
        await eventually(lambda: names.asked["plc.hang"] == 1)
        names.let_go.set()
    assert [task.result()[0].sockaddr[1] for task in both] == [502, 802]
    assert names.asked["plc.hang"] == 1


async def test_an_answer_that_came_too_late_serves_the_next(names: Names) -> None:
    """A resolver slower than the patience of those who connect still gets them there."""
    resolver = Resolver(names)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await resolver.addresses("slow.hang", 502)
    names.let_go.set()
    await eventually(lambda: not any(thread.name == "resolve slow.hang" for thread in threading.enumerate()))
    assert await resolver.addresses("slow.hang", 502) == [SocketAddress(socket.AF_INET, ("127.0.0.1", 502))]
    assert names.asked["slow.hang"] == 1


async def test_names_that_hung_leave_half_of_the_threads_to_others(names: Names) -> None:
    """More hanging names than threads: from the second time on they cannot take them all."""
    now = [0.0]
    resolver = Resolver(names, threads=4, monotonic=lambda: now[0])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(resolver.addresses(f"plc{i}.hang", 502)) for i in range(4)]
        await eventually(lambda: len(names.asked) == 4)
        now[0] = 20.0
        names.let_go.set()
    assert all(task.done() for task in tasks)
    names.let_go.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(resolver.addresses(f"plc{i}.hang", 502)) for i in range(4)]
        await eventually(lambda: names.asked.total() == 6)
        assert await resolver.addresses("good.test", 502)
        assert names.asked.total() == 7, "two of the four threads look up names that hung, two wait"
        names.let_go.set()


async def test_an_unknown_name_is_told_with_its_name(names: Names) -> None:
    """The message names the name and the resolver's reason."""
    with pytest.raises(NameUnknown, match=r"cannot resolve 'plc.unknown': Name or service not known"):
        await Resolver(names).addresses("plc.unknown", 502)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", SocketAddress(socket.AF_INET, ("192.0.2.7", 502))),
        ("2001:db8::7", SocketAddress(socket.AF_INET6, ("2001:db8::7", 502, 0, 0))),
        ("fe80::7%lo", SocketAddress(socket.AF_INET6, ("fe80::7", 502, 0, socket.if_nametoindex("lo")))),
    ],
)
async def test_an_address_is_not_looked_up(names: Names, host: str, address: SocketAddress) -> None:
    """Addresses in figures ask no resolver."""
    assert await Resolver(names).addresses(host, 502) == [address]
    assert not names.asked


def test_a_loop_that_is_gone_is_not_missed(names: Names) -> None:
    """A look-up outlives the event loop that asked for it, and nothing comes of it."""
    resolver = Resolver(names)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver.addresses("plc.hang", 502)

    asyncio.run(give_up())
    names.let_go.set()
