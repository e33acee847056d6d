"""An address where devices dial in: the agent listens, and each says by its first bytes who it is.

Nothing here knows the protocol. Who has said it waits until somebody asks for it; a newer connection of the same device
takes the place of the older, because nobody can tell whether that still lives; that is told with both addresses. Who
says nothing in time, or what nobody expects, or comes from where its device may not, is disconnected. Of too many who
have yet to say it, and of too many of one address, the one that has been silent for longest gives way.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Generic, TypeVar, cast

from agent.collectors.common.sockets import keep_alive
from agent.core.errors import ConnectionLost, TransientError
from agent.settings.values import is_loopback

Network = IPv4Network | IPv6Network

VISITORS = 64  #: who have not said yet who they are
OF_ONE_ADDRESS = 8  #: of them, beyond loopback

WhoT = TypeVar("WhoT", bound=Hashable)
CallerT = TypeVar("CallerT", bound="DialledIn")


class DialIn(ABC, Generic[WhoT, CallerT]):
    """One listening address. Implements `core.ports.Bus`: what is asked for is the connection of a device."""

    def __init__(self, host: str, port: int, introduction: float) -> None:
        self.host, self.port = host, port  #: port: the real one once it listens
        self.introduction = introduction  #: seconds for a visitor to say who it is
        self.listening = False
        self._expected: dict[object, WhoT] = {}  #: by who expects them
        self._waited_for: dict[WhoT, asyncio.Future[None]] = {}
        self._here: dict[WhoT, CallerT] = {}  #: the newest connection of each
        self._visitors: dict[DialledIn, None] = {}  #: who have not introduced themselves yet, the oldest first
        self._allowed: dict[object, Sequence[Network]] = {}  #: where they may come from, by who expects them
        self._trouble: str | None = None

    @property
    def name(self) -> str:
        """Address and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    # --- what a protocol says -----------------------------------------------------------------------------------------

    @abstractmethod
    def visitor(self) -> CallerT:
        """The protocol by which a caller identifies itself."""

    @abstractmethod
    def opened(self) -> None:
        """It listens from now on."""

    def crowded(self, caller: DialledIn) -> None:
        """This one has to go because too many have yet to say who they are."""

    def foreign(self, caller: DialledIn) -> None:
        """This one comes from an address from which no device may connect."""

    def taken_over(self, caller: CallerT, before: CallerT) -> None:
        """This one takes the place of another that stood."""

    # --- what collectors call -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen until cancelled. Raises TransientError where the address cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self.visitor, self.host, self.port)
        except OSError as error:
            number = error.errno or 0  # below zero: a resolver's
            reason = os.strerror(number) if number > 0 else error.strerror or str(error)
            self._trouble = f"cannot listen on {self.name}: {reason}"
            self._wake(*self._waited_for)
            raise TransientError(self._trouble) from None
        self.port = server.sockets[0].getsockname()[1]
        self._trouble, self.listening = None, True
        self.opened()
        try:
            await loop.create_future()
        finally:
            self.listening = False
            server.close()
            waiting: list[DialledIn] = [*self._visitors, *self._here.values()]
            for caller in waiting:
                caller.close()
            await server.wait_closed()
            await asyncio.sleep(0)  # the loop drops the sockets in its next turn

    def expect(self, who: WhoT, allow: Sequence[Network] = ()) -> Callable[[], None]:
        """Somebody reads this device, sooner or later, until the undo is called. Others are disconnected.

        `allow`: the networks it may dial in from; none: any.
        """
        key = object()
        self._expected[key], self._allowed[key] = who, allow

        def undo() -> None:
            self._expected.pop(key, None)
            self._allowed.pop(key, None)
            if who not in self._expected.values() and (caller := self._here.pop(who, None)):
                caller.close()

        return undo

    async def ask(self, unit: int, who: WhoT, /) -> CallerT:  # noqa: ARG002 - the port's
        """A connection of this device that nobody has used yet, now or when it dials in. One waits for each.

        Raises ConnectionLost where nobody can dial in because the address cannot be had.
        """
        while True:
            if self._trouble is not None:
                raise ConnectionLost(self._trouble)
            caller = self._here.get(who)
            if caller is not None and caller.fresh:
                return caller
            waiting = self._waited_for[who] = asyncio.get_running_loop().create_future()
            try:
                await waiting
            finally:
                self._waited_for.pop(who, None)

    # --- callers ------------------------------------------------------------------------------------------------------

    def admit(self, caller: DialledIn) -> bool:
        """A new visitor; False: it has no business here, or we are leaving."""
        if not self.listening:
            return False
        if self._expected and not any(caller.comes_from(allow) for allow in self._allowed.values()):
            self.foreign(caller)
            return False
        same = [one for one in self._visitors if one.host == caller.host]
        crowd = same if len(same) >= OF_ONE_ADDRESS and not caller.local else list(self._visitors)
        if crowd is same or len(crowd) >= VISITORS:
            self.crowded(crowd[0])
            crowd[0].close()
        self._visitors[caller] = None
        return True

    def may_be(self, caller: DialledIn, who: WhoT) -> bool:
        """Whether this device may dial in from there."""
        allowed = [self._allowed[key] for key, one in self._expected.items() if one == who]
        return any(caller.comes_from(allow) for allow in allowed)

    def introduced(self, caller: CallerT, who: WhoT) -> None:
        """A caller has said who it is. What the same device had before is dead."""
        self._visitors.pop(caller, None)
        if not self.may_be(caller, who):
            self.foreign(caller)
            caller.close()
            return
        before = self._here.pop(who, None)
        self._here[who] = caller
        if before is not None and before is not caller:
            self.taken_over(caller, before)
            before.close()
        self._wake(who)

    def left(self, caller: DialledIn) -> None:
        """A caller is gone, or is not to be found here any more."""
        self._visitors.pop(caller, None)
        for who, other in list(self._here.items()):
            if other is caller:
                del self._here[who]

    def _wake(self, *whom: WhoT) -> None:
        for who in whom:
            waiting = self._waited_for.get(who)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)


class DialledIn(asyncio.Protocol, ABC):
    """A connection opened to us; until it is handed over, the protocol by which the caller identifies itself."""

    def __init__(self, hall: DialIn[WhoT, CallerT]) -> None:
        self._hall = hall
        self._transport: asyncio.Transport | None = None
        self._said = b""
        self._timer: asyncio.TimerHandle | None = None
        self.fresh = True  #: nobody has used it, and it stands
        self.peer = self.host = ""

    @property
    def local(self) -> bool:
        """It comes from this machine."""
        return is_loopback(self.host)

    def comes_from(self, networks: Sequence[Network]) -> bool:
        """Whether it does from one of these; none: any will do."""
        try:
            address = ip_address(self.host.partition("%")[0])
        except ValueError:
            return not networks
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return not networks or any((mapped or address) in network for network in networks)

    @abstractmethod
    def hear(self) -> None:
        """`_said` has grown. Call `known()`, and the hall's `introduced`, or close."""

    @abstractmethod
    def too_slow(self) -> None:
        """It has not said who it is in time."""

    def known(self) -> None:
        """It has said who it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """From now on its bytes are this protocol's. Raises ConnectionLost where it has disconnected."""
        transport = self._transport
        if transport is None or not self.fresh or transport.is_closing():
            raise ConnectionLost("it dialled in and has disconnected")
        self.fresh = False
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def close(self, last_words: bytes = b"") -> None:
        """Disconnect."""
        self.fresh = False
        self.known()
        transport, self._transport = self._transport, None
        self._hall.left(self)
        if transport is not None and last_words:
            transport.write(last_words)
            transport.close()
        elif transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by inheritance
        self.host, port, *_ = self._transport.get_extra_info("peername") or ("?", 0)
        self.peer = f"{self.host}:{port}"
        keep_alive(transport.get_extra_info("socket"))
        if self._hall.admit(self):
            self._timer = asyncio.get_running_loop().call_later(self._hall.introduction, self.too_slow)
            self.hear()
        else:
            self.close()

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._said += data
            self.hear()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.close()
