from __future__ import annotations

import asyncio
import os
from typing import Any

import psutil
import pytest
from asyncua import ua

from agent.collectors.opcua.collector import OpcUaCollector
from agent.collectors.opcua.plan import ConnectionPace
from agent.collectors.opcua.wire import protocol
from agent.core.errors import ConnectionLost, TransientError
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant
from tests.integration.opcua.support import BRISK, collecting, config
from tests.support.ports import free_port
from tests.support.waiting import eventually

library: Any = ua
TAGS = {"a": f"nsu={URN};s=a"}


def sockets() -> set[int]:
    """Ports of connections this process holds open; the servers of the hall live in it as well."""
    return {
        conn.laddr.port
        for conn in psutil.Process(os.getpid()).net_connections("tcp")
        if conn.status in {"ESTABLISHED", "SYN_SENT", "CLOSE_WAIT"} and conn.raddr
    }


async def test_a_machine_that_is_silent_is_told_before_the_next_request(
    shared: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what its kernel acknowledges: a subscription without changes would hear of it at its next pulse only."""
    collector = config(shared.url, TAGS, timeout="3s").build("dev", SimpleContext(), BRISK)
    assert isinstance(collector, OpcUaCollector)
    assert collector.unanswered is None
    async with collector.open():
        for quiet, told in ((3.4, False), (3.6, True)):
            monkeypatch.setattr(protocol, "quiet_for", lambda _, quiet=quiet: quiet)
            assert (collector.unanswered is not None) is told
        monkeypatch.undo()
        await eventually(lambda: collector.unanswered is None)
    assert collector.unanswered is None


async def test_silence_of_the_publisher_alone_is_noticed(shared: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers everything but has stopped publishing is lost too."""
    if "mute" not in shared.nodes:
        await shared.do(shared.add("mute", 1))
    async with collecting(shared.url, {"mute": f"nsu={URN};s=mute"}, timeout="200ms") as notebook:
        await notebook.heard()
        for subscription in shared.server.iserver.subscription_service.subscriptions.values():
            monkeypatch.setattr(subscription, "has_published_results", lambda: False)
        with pytest.raises(ConnectionLost, match="publishing stopped"):
            await notebook.until(lambda: False)


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_a_server_that_goes_is_lost_at_once(hall: Hall, mode: str) -> None:
    """A stopped server is a lost connection, also for a poller whose next cycle is hours away."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 1))
    lazy = ConnectionPace(pulse=3600.0)
    async with collecting(plant.url, TAGS, mode=mode, pace=lazy, interval="1h" if mode == "poll" else "1s") as notebook:
        await notebook.heard()
        await hall.stop(plant)
        with pytest.raises(ConnectionLost):
            await notebook.until(lambda: False)
    assert not sockets()


async def test_nobody_there_is_a_lost_connection() -> None:
    """A refused connection is for the supervisor to try again."""
    with pytest.raises(ConnectionLost, match="connecting to"):
        async with collecting(f"opc.tcp://127.0.0.1:{free_port()}", TAGS):
            pass


async def test_a_cancelled_connect_leaves_nothing_behind() -> None:
    """Cancelled while the server does not answer: the socket is closed, which the library alone would leak."""
    arrived = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    context = SimpleContext()
    collector = config(f"opc.tcp://127.0.0.1:{port}", TAGS).build("dev", context, BRISK)

    async def opening() -> None:
        async with collector.open():
            pass

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            arrived.clear()
            task = group.create_task(opening())
            await arrived.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
    listener.close()
    await listener.wait_closed()
    await eventually(lambda: not sockets())


async def test_cancelled_at_any_step_it_leaves_nothing_behind(shared: Plant) -> None:
    """Between hello and the last monitored item there is no instant at which a cancel would leak a socket."""
    collector = config(shared.url, {"x": "i=2258", "y": "ns=9;i=1"}).build("dev", SimpleContext(), BRISK)

    async def opening() -> None:
        async with collector.open():
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        for turns in range(1, 200, 5):
            task = group.create_task(opening())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
    await eventually(lambda: not sockets(), what="all sockets are closed, the server's ends too")


async def test_cancelled_while_running_it_says_goodbye(shared: Plant) -> None:
    """Cancelled in the middle of reading, the session and its subscriptions are closed at the server."""
    if "goodbye" not in shared.nodes:
        await shared.do(shared.add("goodbye", 1))
    reading = asyncio.Event()

    async def read() -> None:
        async with collecting(shared.url, {"goodbye": f"nsu={URN};s=goodbye"}) as notebook:
            await notebook.heard()
            reading.set()
            await notebook.until(lambda: False)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(read())
        await reading.wait()
        assert (shared.sessions(), shared.subscriptions()) == (1, 1)
        task.cancel()
        await asyncio.wait([task])
    assert (shared.sessions(), shared.subscriptions()) == (0, 0)


async def test_an_error_of_the_consumer_passes_as_it_is(shared: Plant) -> None:
    """What the body of `async with` raises is not wrapped, and the session is closed."""
    with pytest.raises(LookupError, match="mine"):
        async with collecting(shared.url, {"x": "i=2258"}):
            raise LookupError("mine")
    assert shared.sessions() == 0


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (ua.uaerrors.BadTooManySessions, TransientError),
        (ua.uaerrors.BadIdentityTokenRejected, TransientError),
        (ua.uaerrors.BadUserAccessDenied, TransientError),
        (ua.uaerrors.BadInternalError, TransientError),
    ],
)
async def test_refusals_are_named_by_what_to_do(
    shared: Plant, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception], kind: type[Exception]
) -> None:
    """A full server is left alone for a session's life; one that does not want us is a permanent failure."""

    def refuse(*_args: object, **_more: object) -> None:
        raise refusal

    monkeypatch.setattr(shared.server.iserver, "create_session", refuse)
    with pytest.raises(kind) as caught:
        async with collecting(shared.url, TAGS):
            pass
    if refusal is ua.uaerrors.BadTooManySessions:
        assert isinstance(caught.value, TransientError)
        assert caught.value.retry_after == BRISK.session


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ACKF\xff\xff\xff\xff", b"\x00" * 64, b""])
async def test_a_peer_that_speaks_something_else_is_survived(said: bytes) -> None:
    """Whatever answers on the port: it is an error for the supervisor, and nothing is left open."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        writer.close()

    listener = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(TransientError):
        async with collecting(f"opc.tcp://127.0.0.1:{port}", TAGS, timeout="300ms"):
            pass
    listener.close()
    await listener.wait_closed()
    await eventually(lambda: not sockets())


async def test_a_server_that_is_not_running_complains_of_itself(shared: Plant) -> None:
    """It answers, but says that it is suspended: every sample has it until it runs again."""
    state = library.NodeId(2259)

    async def become(number: int) -> None:
        value = library.DataValue(library.Variant(number, library.VariantType.Int32))
        await shared.server.write_attribute_value(state, value)

    if "uneasy" not in shared.nodes:
        await shared.do(shared.add("uneasy", 1))
    quick = BRISK._replace(pulse=0.02)
    async with collecting(shared.url, {"uneasy": f"nsu={URN};s=uneasy"}, pace=quick) as notebook:
        await notebook.heard()
        await shared.do(become(3))
        await notebook.until(lambda: "suspended" in (notebook.samples[-1].complaint or ""))
        await shared.do(become(0))
        await notebook.until(lambda: notebook.samples[-1].complaint is None)
