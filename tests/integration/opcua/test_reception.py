"""The address where servers call, over real sockets: who is let in, who is turned away, and what it costs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import cast

import pytest
from structlog.testing import capture_logs

from agent.collectors.opcua.connect.reception import Caller, Expected, Reception
from agent.core.errors import ConnectionLost, TransientError
from agent.telemetry import metrics
from agent.testing.context import SimpleContext
from tests.support.opcua_dialler import reverse_hello
from tests.support.ports import free_port
from tests.support.waiting import eventually

URI, URL = "urn:acme:cnc-07", "opc.tcp://cnc-07:4840"
WHO = Expected(URI)
REFUSED_URL = (0x80830000).to_bytes(4, "little")  #: BadTcpEndpointUrlInvalid


@asynccontextmanager
async def receiving(*whom: Expected, introduction: float = 30.0) -> AsyncIterator[Reception]:
    """A reception that listens and expects these."""
    async with SimpleContext() as context:
        made = Reception("127.0.0.1", free_port(), context.clock, introduction)
        for who in whom:
            made.expect(who)
        context.bus("reception", lambda: made)
        await eventually(lambda: made.listening)
        yield made


@asynccontextmanager
async def visiting(made: Reception, said: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Somebody who calls and says this."""
    reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
    try:
        writer.write(said)
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


class Taker(asyncio.Protocol):
    """What a connection is handed over to."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        assert self.transport is not None
        self.transport.abort()


async def hung_up(reader: asyncio.StreamReader) -> None:
    """Nothing is said, the connection ends."""
    with suppress(ConnectionError):
        assert await reader.read() == b""


@contextmanager
def refusing(why: str, times: int = 1) -> Iterator[None]:
    """So often somebody is turned away meanwhile, for this reason."""
    counter = metrics.REVERSE_REFUSED.labels(why)
    before = counter.value
    yield
    assert counter.value - before == times


async def test_a_call_is_handed_over_and_nothing_is_lost() -> None:
    """Whether the server calls first or is waited for first; from then on its bytes are the taker's."""
    async with receiving(WHO) as made, asyncio.TaskGroup() as group:
        waiting = group.create_task(made.ask(0, WHO))
        await asyncio.sleep(0)
        async with visiting(made, reverse_hello(URI, URL)) as (reader, writer):
            caller = await waiting
            assert caller.endpoint_url == URL
            taker = Taker()
            caller.hand_over(taker)
            assert taker.transport is not None
            taker.transport.write(b"HELF")
            assert await reader.readexactly(4) == b"HELF"
            writer.write(b"ACKF")
            await eventually(lambda: taker.said == b"ACKF")
            taker.close()
        async with visiting(made, reverse_hello(URI, URL)):
            await eventually(lambda: WHO in made._here)
            second = await made.ask(0, WHO)
            assert second is not caller
            with pytest.raises(ConnectionLost, match="has disconnected"):
                caller.hand_over(Taker())


@pytest.mark.parametrize(
    ("said", "why", "words"),
    [
        (reverse_hello("urn:stranger", URL), "unknown", "no device expects it"),
        (reverse_hello(URI, "opc.tcp://other:4840"), "unknown", "no device expects it"),
        (reverse_hello(URI, "http://cnc-07"), "garbage", "its EndpointUrl is no address"),
        (reverse_hello(URI, ""), "unknown", "no device expects it"),
        (reverse_hello("u" * 4097, URL), "garbage", "has 4097 bytes"),
        (b"GET / HTTP/1.1\r\n\r\n", "garbage", "no ReverseHello"),
        (reverse_hello(URI, "opc.tcp://named:4840") + b"HELF", "garbage", "did not wait for our Hello"),
    ],
)
async def test_who_is_not_meant_is_told_so(said: bytes, why: str, words: str) -> None:
    """An Error message, the end of the connection, one line in the log, and a count."""
    with capture_logs() as logs, refusing(why, 3):
        async with receiving(Expected(URI, "opc.tcp://named:4840")) as made:
            for _ in range(3):
                async with visiting(made, said) as (reader, _):
                    answer = await reader.read()
                    assert answer[:4] == b"ERRF"
                    assert words.encode() in answer
                    assert (answer[8:12] == REFUSED_URL) is (b"GET" not in said and b"HELF" not in said)
            assert not made._visitors
            assert not made._here
    (line,) = [one for one in logs if one["event"] == "opcua.call_refused"]
    assert (line["listen"], words in line["reason"], line["log_level"]) == (made.name, True, "warning")
    assert ("server" in line) is ("EndpointUrl" in words or why == "unknown")


async def test_who_says_nothing_is_hung_up_on() -> None:
    """Somebody who connects and waits holds no socket for long."""
    with refusing("slow"):
        async with (
            receiving(WHO, introduction=0.05) as made,
            visiting(made, reverse_hello(URI, URL)[:-1]) as (reader, _),
        ):
            assert (await reader.read())[:4] == b"ERRF"


async def test_who_waits_to_be_used_may_wait() -> None:
    """The time to introduce oneself is no time to live."""
    async with (
        receiving(WHO, introduction=0.05) as made,
        visiting(made, reverse_hello(URI, URL)),
        visiting(made, b"") as (reader, _),
    ):
        assert await reader.read()  # it has been hung up on, the other one not
        assert (await made.ask(0, WHO)).endpoint_url == URL


async def test_a_crowd_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who have not said who they are are few: who has been silent for longest makes way for one that calls."""
    monkeypatch.setattr("agent.collectors.common.dialin.VISITORS", 2)
    async with receiving(WHO) as made, visiting(made, b""), visiting(made, b""):
        await eventually(lambda: len(made._visitors) == 2)
        with refusing("crowded"):
            async with visiting(made, reverse_hello(URI, URL)):
                assert (await made.ask(0, WHO)).endpoint_url == URL
                assert len(made._visitors) == 1


async def test_a_newer_call_takes_the_place_of_one_that_waits() -> None:
    """Nobody can tell whether the older one still lives; the newer one does."""
    async with receiving(WHO) as made, visiting(made, reverse_hello(URI, URL)) as (reader, _):
        await eventually(lambda: WHO in made._here)
        async with visiting(made, reverse_hello(URI, "opc.tcp://newer")):
            await hung_up(reader)
            assert (await made.ask(0, WHO)).endpoint_url == "opc.tcp://newer"


async def test_one_that_waits_and_talks_or_goes_is_not_handed_over() -> None:
    """It did not keep to the protocol, or is no longer there."""
    async with receiving(WHO) as made:
        async with visiting(made, reverse_hello(URI, URL)) as (reader, writer):
            await eventually(lambda: WHO in made._here)
            writer.write(b"more")
            assert (await reader.read())[:4] == b"ERRF"
        async with visiting(made, reverse_hello(URI, URL)):
            await eventually(lambda: WHO in made._here)
        await eventually(lambda: not made._here)


async def test_a_server_may_have_no_name_for_its_endpoint() -> None:
    """As open62541 has none: its ApplicationUri is enough."""
    async with receiving(WHO) as made, visiting(made, reverse_hello(URI, "")):
        assert (await made.ask(0, WHO)).endpoint_url == ""


async def test_two_devices_of_one_server_are_told_apart_by_its_names() -> None:
    """The one that names an endpoint gets the caller of that name, the other one all others."""
    named = Expected(URI, "opc.tcp://named:4840")
    async with (
        receiving(WHO, named) as made,
        visiting(made, reverse_hello(URI, "opc.tcp://named:4840")),
        visiting(made, reverse_hello(URI, URL)),
    ):
        assert (await made.ask(0, named)).endpoint_url == "opc.tcp://named:4840"
        assert (await made.ask(0, WHO)).endpoint_url == URL


async def test_who_gives_up_waiting_leaves_the_call_to_the_next() -> None:
    """A call that came in the moment of giving up is not lost."""
    async with receiving(WHO) as made, asyncio.TaskGroup() as group:
        waiting = group.create_task(made.ask(0, WHO))
        await asyncio.sleep(0)
        caller = Caller(made)
        made._here[WHO] = caller
        made._wake(WHO)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert await made.ask(0, WHO) is caller
        made._here.clear()


async def test_an_address_that_is_taken_is_the_reason_that_devices_hear() -> None:
    """Not "it has not called": nobody can call."""
    heard: list[str] = []

    async def ask() -> None:
        try:
            await made.ask(0, WHO)
        except ConnectionLost as error:
            heard.append(error.reason)

    async with asyncio.TaskGroup() as group:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            made = Reception("127.0.0.1", other.getsockname()[1], SimpleContext().clock)
            early = group.create_task(ask())
            await asyncio.sleep(0)
            with pytest.raises(TransientError, match="cannot listen on"):
                await made.run()
            await asyncio.wait([early])
            await ask()
        assert heard == [f"cannot listen on {made.name}: Address already in use"] * 2
        running = group.create_task(made.run())
        await eventually(lambda: made.listening)
        waiting = group.create_task(ask())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        running.cancel()
