"""An address where servers call (reverse connect; OPC 10000-6, 7.1.3): the agent listens, and a server says who it is.

A server behind a firewall cannot be dialled. It connects to the agent and sends a ReverseHello; from then on everything
is as if the agent had dialled. Several may call at one address. One connection waits for each device; a newer one
takes its place, because nobody can tell whether the older still lives. A session that stands is left alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import NamedTuple, cast

from agent.collectors.common.sockets import keep_alive
from agent.collectors.opcua.connect.reversehello import ReverseHello, Unacceptable, error_message, read_reverse_hello
from agent.collectors.opcua.connect.url import check_url, with_port
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("opcua")

_INTRODUCTION_SECONDS = 10.0  #: for a visitor to say who it is; the standard allows two minutes at most
_VISITORS = 64  #: who have not said it yet; more are turned away
_SHOWN = 100  #: characters of a stranger's words that are logged


class Expected(NamedTuple):
    """Who may call. `endpoint_url` None: whatever it wants to be called."""

    server_uri: str
    endpoint_url: str | None = None


class Reception:
    """One listening address. Implements `core.ports.Bus`: what is asked for is the connection of a server."""

    def __init__(self, host: str, port: int, clock: Clock, introduction: float = _INTRODUCTION_SECONDS) -> None:
        self.host, self.port = host, port
        self.introduction = introduction  #: seconds
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.listening = False
        self._clock = clock
        self._expected: dict[object, Expected] = {}  #: by who expects them
        self._waited_for: dict[Expected, asyncio.Future[None]] = {}
        self._here: dict[Expected, Caller] = {}  #: the newest connection of each, not used yet
        self._visitors: set[Caller] = set()  #: who have not introduced themselves yet
        self._trouble: str | None = None
        self._repeats = Repeats()

    async def run(self) -> None:
        """Listen until cancelled. Raises TransientError where the address cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: Caller(self), self.host, self.port)
        except OSError as error:
            self._trouble = f"cannot listen on {self.name}: {_reason_of(error)}"
            self._wake(*self._waited_for)
            raise TransientError(self._trouble) from None
        self._trouble, self.listening = None, True
        log.info("opcua.listening", listen=self.name)
        try:
            await loop.create_future()
        finally:
            self.listening = False
            server.close()
            for caller in [*self._visitors, *self._here.values()]:
                caller.close()
            await server.wait_closed()
            await asyncio.sleep(0)  # the loop drops the sockets in its next turn

    def expect(self, who: Expected) -> Callable[[], None]:
        """Somebody reads this server's values, sooner or later, until the undo is called. Others are turned away."""
        key = object()
        self._expected[key] = who

        def undo() -> None:
            self._expected.pop(key, None)
            if who not in self._expected.values() and (caller := self._here.pop(who, None)):
                caller.close()

        return undo

    async def ask(self, unit: int, who: Expected, /) -> Caller:  # noqa: ARG002 - the port's
        """A connection of this server that nobody has used yet, now or when it calls. One waits for each.

        Raises ConnectionLost where nobody can call because the address cannot be had.
        """
        while True:
            if self._trouble is not None:
                raise ConnectionLost(self._trouble)
            if who in self._here:
                return self._here[who]
            waiting = self._waited_for[who] = asyncio.get_running_loop().create_future()
            try:
                await waiting
            finally:
                self._waited_for.pop(who, None)

    # --- callers ------------------------------------------------------------------------------------------------------

    def admit(self, caller: Caller) -> bool:
        """A new visitor; False: there are too many, or we are leaving."""
        if not self.listening:
            return False
        if len(self._visitors) >= _VISITORS:
            self._count(caller, "crowded", f"{_VISITORS} others have yet to say who they are")
            return False
        self._visitors.add(caller)
        return True

    def arrived(self, caller: Caller, hello: ReverseHello) -> None:
        """A caller has said who it is. What waited for the same device is let go. Raises Unacceptable."""
        try:
            if hello.endpoint_url:  # open62541 says none
                check_url(hello.endpoint_url)
        except ValueError:
            raise Unacceptable("BadTcpEndpointUrlInvalid", "its EndpointUrl is no address") from None
        exactly = Expected(hello.server_uri, hello.endpoint_url)
        who = exactly if exactly in self._expected.values() else Expected(hello.server_uri)
        if who not in self._expected.values():
            self.refuse(caller, "unknown", Unacceptable("BadTcpEndpointUrlInvalid", "no device expects it"), hello)
            return
        self._visitors.discard(caller)
        before = self._here.get(who)
        self._here[who] = caller
        if before is not None:
            before.close()
        self._wake(who)

    def refuse(self, caller: Caller, why: str, words: Unacceptable, hello: ReverseHello | None = None) -> None:
        """Say so to the caller and hang up."""
        self._count(caller, why, words.reason, hello)
        caller.close(error_message(words.code, words.reason))

    def left(self, caller: Caller) -> None:
        """A caller hung up, or is in use from now on."""
        self._visitors.discard(caller)
        for who, other in list(self._here.items()):
            if other is caller:
                del self._here[who]

    def _count(self, caller: Caller, why: str, reason: str, hello: ReverseHello | None = None) -> None:
        metrics.REVERSE_REFUSED.labels(why).inc()
        repeats = self._repeats.due(why, self._clock.monotonic())  # not by its name: a stranger has a new one each time
        if repeats is not None:
            names = {} if hello is None else {"server": hello.server_uri, "endpoint": hello.endpoint_url}
            shown = {key: text[:_SHOWN] for key, text in names.items()}
            log.warning(
                "opcua.call_refused", listen=self.name, peer=caller.peer, reason=reason, repeats=repeats, **shown
            )

    def _wake(self, *whom: Expected) -> None:
        for who in whom:
            waiting = self._waited_for.get(who)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)


class Caller(asyncio.Protocol):
    """A connection a server opened; until it is handed over, the protocol that hears who it is."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._transport: asyncio.Transport | None = None
        self._said = b""
        self._hello: ReverseHello | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.peer = ""

    @property
    def endpoint_url(self) -> str:
        """What the server wants to be called. May be empty."""
        return "" if self._hello is None else self._hello.endpoint_url

    @property
    def address(self) -> str:
        """A name for one that has none: open62541 lists no endpoints for an empty one."""
        host = self.peer.rpartition(":")[0]
        return with_port(f"opc.tcp://[{host}]" if ":" in host else f"opc.tcp://{host}")

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """From now on its bytes are this protocol's. Raises ConnectionLost where the server has hung up."""
        transport, self._transport = self._transport, None
        self._reception.left(self)
        if transport is None or transport.is_closing():
            raise ConnectionLost("the server called and has hung up")
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def close(self, last_words: bytes = b"") -> None:
        """Hang up."""
        self._introduced()
        transport, self._transport = self._transport, None
        self._reception.left(self)
        if transport is not None and last_words:
            transport.write(last_words)
            transport.close()
        elif transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by inheritance
        host, port, *_ = self._transport.get_extra_info("peername") or ("?", 0)
        self.peer = f"{host}:{port}"
        keep_alive(transport.get_extra_info("socket"))
        if self._reception.admit(self):
            self._timer = asyncio.get_running_loop().call_later(self._reception.introduction, self._too_slow)
        else:
            self.close()

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._said += data
        try:
            hello = read_reverse_hello(self._said)  # of one that waits already: it has said too much
            if hello is not None:
                self._introduced()
                self._hello = hello
                self._reception.arrived(self, hello)
        except Unacceptable as words:
            self._reception.refuse(self, "garbage", words, self._hello)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.close()

    def _introduced(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        reason = f"it has not said who it is within {self._reception.introduction:g} s"
        self._reception.refuse(self, "slow", Unacceptable("BadTimeout", reason))


def _reason_of(error: OSError) -> str:
    number = error.errno or 0  # below zero: a resolver's
    return os.strerror(number) if number > 0 else error.strerror or str(error)
