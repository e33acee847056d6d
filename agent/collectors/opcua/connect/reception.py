"""An address where servers call (reverse connect; OPC 10000-6, 7.1.3): the agent listens, and a server says who it is.

A server behind a firewall cannot be dialled. It connects to the agent and sends a ReverseHello; from then on everything
is as if the agent had dialled. Several may call at one address. One connection waits for each device; a newer one
takes its place, because nobody can tell whether the older still lives. A session that stands is left alone.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from agent.collectors.common.dialin import DialIn, DialledIn
from agent.collectors.opcua.connect.reversehello import ReverseHello, Unacceptable, error_message, read_reverse_hello
from agent.collectors.opcua.connect.url import check_url, with_port
from agent.core.clock import Clock
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("opcua")

_INTRODUCTION_SECONDS = 10.0  #: for a visitor to say who it is; the standard allows two minutes at most
_SHOWN = 100  #: characters of a stranger's words that are logged


class Expected(NamedTuple):
    """Who may call. `endpoint_url` None: whatever it wants to be called."""

    server_uri: str
    endpoint_url: str | None = None


class Reception(DialIn[Expected, "Caller"]):
    """One listening address. What is asked for is the connection of a server."""

    def __init__(self, host: str, port: int, clock: Clock, introduction: float = _INTRODUCTION_SECONDS) -> None:
        super().__init__(host, port, introduction)
        self._clock = clock
        self._repeats = Repeats()

    def visitor(self) -> Caller:
        return Caller(self)

    def opened(self) -> None:
        log.info("opcua.listening", listen=self.name)

    def crowded(self, caller: DialledIn) -> None:
        self._count(caller, "crowded", "too many, or too many of its address, have yet to say who they are")

    def foreign(self, caller: DialledIn) -> None:
        self._count(caller, "foreign", "`allow` has no network it comes from")

    def taken_over(self, caller: Caller, before: Caller) -> None:
        if (repeats := self._repeats.due("taken over", self._clock.monotonic())) is not None:
            log.warning(
                "opcua.call_taken_over", listen=self.name, peer=caller.peer, before=before.peer, repeats=repeats
            )

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
        self.introduced(caller, who)

    def refuse(self, caller: Caller, why: str, words: Unacceptable, hello: ReverseHello | None = None) -> None:
        """Answer the caller with the reason and close the connection."""
        self._count(caller, why, words.reason, hello)
        caller.close(error_message(words.code, words.reason))

    def _count(self, caller: DialledIn, why: str, reason: str, hello: ReverseHello | None = None) -> None:
        metrics.REVERSE_REFUSED.labels(why).inc()
        repeats = self._repeats.due(why, self._clock.monotonic())  # not by its name: a stranger has a new one each time
        if repeats is not None:
            names = {} if hello is None else {"server": hello.server_uri, "endpoint": hello.endpoint_url}
            shown = {key: text[:_SHOWN] for key, text in names.items()}
            log.warning(
                "opcua.call_refused", listen=self.name, peer=caller.peer, reason=reason, repeats=repeats, **shown
            )


class Caller(DialledIn):
    """A connection a server opened."""

    def __init__(self, reception: Reception) -> None:
        super().__init__(reception)
        self._reception = reception
        self._hello: ReverseHello | None = None

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
        """From now on its bytes are this protocol's. Raises ConnectionLost where the server has disconnected."""
        self._reception.left(self)
        super().hand_over(protocol)

    def hear(self) -> None:
        try:
            hello = read_reverse_hello(self._said)  # of one that waits already: it has said too much
            if hello is not None:
                self.known()
                self._hello = hello
                self._reception.arrived(self, hello)
        except Unacceptable as words:
            self._reception.refuse(self, "garbage", words, self._hello)

    def too_slow(self) -> None:
        reason = f"it has not said who it is within {self._reception.introduction:g} s"
        self._reception.refuse(self, "slow", Unacceptable("BadTimeout", reason))
