from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import pytest

from agent.simulator.proxy import Proxy
from tests.support.waiting import eventually, never


@asynccontextmanager
async def echo():
    writers = set()

    async def serve(reader, writer):
        writers.add(writer)
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()
        writers.discard(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


async def test_bytes_pass_both_ways_and_the_end_is_passed_on():
    """What goes in comes out at the other end, a million bytes too; an end of one side reaches the other."""
    async with echo() as port, Proxy("127.0.0.1", port) as cable:
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        async with asyncio.TaskGroup() as group:
            back = group.create_task(reader.read(-1))
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            writer.write_eof()
        assert back.result() == b"x" * 1_000_000
        writer.close()


async def test_cut_drops_connections_and_refuses_new_ones_until_restored():
    """Cut is a pulled cable with a reset; the port stays the same."""
    async with echo() as port, Proxy("127.0.0.1", port) as cable:
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await cable.cut()
        assert cable.is_cut
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", cable.port)
        before = cable.port
        await cable.restore()
        assert cable.port == before
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        writer.close()


async def test_frozen_cable_keeps_connections_and_delivers_after_thaw():
    """A hanging peer: nothing arrives, nothing is refused, nothing is lost."""
    async with echo() as port, Proxy("127.0.0.1", port) as cable:
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        cable.freeze()
        writer.write(b"hello")
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(reader.readexactly(5))
            await never(answer.done, 0.05)
            cable.thaw()
        assert answer.result() == b"hello"
        writer.close()


async def test_lost_packets_never_come_and_ends_hear_nothing_of_each_other():
    """No end, no reset is passed on; what connects meanwhile hangs until it heals, and only that."""
    async with echo() as port, Proxy("127.0.0.1", port) as cable:
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        cable.lose()
        writer.write(b"lost")
        new_reader, new_writer = await asyncio.open_connection("127.0.0.1", cable.port)
        new_writer.write(b"later")
        async with asyncio.TaskGroup() as group:
            lost, later = group.create_task(reader.read(5)), group.create_task(new_reader.readexactly(5))
            await never(lambda: lost.done() or later.done(), 0.05)
            cable.thaw()
            assert await later == b"later"
            await never(lost.done, 0.05)
            lost.cancel()
        for one in (writer, new_writer):
            one.close()


async def test_delay_holds_every_chunk_back():
    """Each direction waits."""
    async with echo() as port, Proxy("127.0.0.1", port) as cable:
        cable.delay = 0.03
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        began = loop.time()
        writer.write(b"x")
        await reader.readexactly(1)
        assert loop.time() - began >= 0.06 - 0.004  # timers of uvloop count whole milliseconds
        writer.close()


async def test_an_end_is_not_passed_on_to_who_is_gone():
    """One side ends in order while the other resets, as a killed peer with unread bytes does: the proxy lives on."""
    go, gone = asyncio.Event(), asyncio.Event()

    async def reset(_reader, writer):
        await go.wait()
        linger = struct.pack("ii", 1, 0)  # closing sends RST, no FIN
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        gone.set()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    async with server, Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as cable:
        _, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        await eventually(lambda: cable.connections == 1)
        cable.freeze()
        writer.write_eof()
        go.set()
        await asyncio.wait_for(gone.wait(), 5)
        await never(lambda: not cable._pipes, 0.05)
        cable.thaw()
        await eventually(lambda: not cable._pipes)
        writer.close()


async def test_target_that_is_away_ends_the_connection():
    """Nobody behind the proxy: the client is dropped, the proxy lives on."""
    async with echo() as port:
        pass
    async with Proxy("127.0.0.1", port) as cable:
        reader, writer = await asyncio.open_connection("127.0.0.1", cable.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await eventually(lambda: cable.connections == 1)
        assert not cable.is_cut


async def test_a_connection_that_is_cut_before_it_began_is_closed():
    """Accepted in the very moment of the cut: nothing of it is left open."""
    ended = asyncio.Event()

    class Transport:
        def abort(self):
            ended.set()

    class Writer:
        transport = Transport()

    async with Proxy("127.0.0.1", 1) as proxy:
        proxy._accept(asyncio.StreamReader(), Writer())  # type: ignore[arg-type]
        await proxy.cut()
        assert ended.is_set()
