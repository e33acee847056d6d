"""Names → addresses, without a dead resolver hurting anybody whose name resolves.

`getaddrinfo` blocks for as long as the system's resolver likes, and event loops run it in a pool that also holds up the
end of the process (uvloop: two at a time). Here each name is looked up by at most one thread, which nobody waits for at
the end; whoever wants the same name meanwhile shares its answer, and who gives up leaves nothing behind. Names that
hung before may use half of the threads at most, so that the others always find one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

THREADS = 64  #: look-ups at a time; more wait for their turn
_SLOW = 2.0  #: seconds; a name that took longer, or failed, is looked up behind the others
_KEEP = 10.0  #: seconds an answer is kept that came after everybody had given up


class SocketAddress(NamedTuple):
    """One address of a name, as `socket.connect` takes it."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        return str(self.sockaddr[0])


class NameUnknown(OSError):
    """A name could not be resolved. `strerror` says which, and why."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(None, f"cannot resolve {host!r}: {reason}")
        self.strerror: str = f"cannot resolve {host!r}: {reason}"

    def __str__(self) -> str:
        return self.strerror


_Answer = list[tuple[socket.AddressFamily, tuple[Any, ...]]] | OSError
_Waiter = Callable[[_Answer], None]


class Resolver:
    """Look-ups of this process, shared by everything that connects. Used from any number of event loops."""

    def __init__(
        self,
        lookup: Callable[..., list[Any]] = socket.getaddrinfo,
        *,
        threads: int = THREADS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._threads = threads
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._waiters: dict[str, list[_Waiter]] = {}  #: by name, while it is looked up or waits for its turn
        self._queue: OrderedDict[str, None] = OrderedDict()  #: names that wait for a thread
        self._running: set[str] = set()
        self._slow: set[str] = set()  #: names that hung or failed last time
        self._kept: dict[str, tuple[float, _Answer]] = {}

    async def addresses(self, host: str, port: int) -> list[SocketAddress]:
        """The addresses of a name in the order the system prefers. Raises NameUnknown. May be cancelled at any time."""
        numeric = _numeric(host, port)
        if numeric is not None:
            return numeric
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[_Answer] = loop.create_future()

        def take(answer: _Answer) -> None:
            if not waiting.done():
                waiting.set_result(answer)

        def hand_over(answer: _Answer) -> None:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                loop.call_soon_threadsafe(take, answer)

        self._want(host, hand_over)
        try:
            answer = await waiting
        finally:
            self._unwant(host, hand_over)
        if isinstance(answer, OSError):
            raise NameUnknown(host, answer.strerror or str(answer))
        return [SocketAddress(family, (sockaddr[0], port, *sockaddr[2:])) for family, sockaddr in answer]

    def _want(self, host: str, waiter: _Waiter) -> None:
        with self._lock:
            kept = self._kept.get(host)
            if kept is not None and self._monotonic() - kept[0] < _KEEP:
                waiter(kept[1])
                return
            self._kept.pop(host, None)
            waiters = self._waiters.setdefault(host, [])
            waiters.append(waiter)
            if host not in self._running:
                self._queue[host] = None
        self._start()

    def _unwant(self, host: str, waiter: _Waiter) -> None:
        with self._lock:
            waiters = self._waiters.get(host)
            if waiters is None or waiter not in waiters:
                return
            waiters.remove(waiter)
            if not waiters and host not in self._running:
                self._queue.pop(host, None)
                del self._waiters[host]

    def _start(self) -> None:
        while (host := self._next()) is not None:
            thread = threading.Thread(target=self._work, args=(host,), name=f"resolve {host}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left
                self._done(host, OSError(None, str(error)), 0.0)

    def _next(self) -> str | None:
        """The name to be looked up now. Takes it out of the queue."""
        with self._lock:
            if len(self._running) >= self._threads:
                return None
            slow = sum(host in self._slow for host in self._running)
            for host in self._queue:
                if host not in self._slow or slow < self._threads // 2:
                    del self._queue[host]
                    self._running.add(host)
                    return host
            return None

    def _work(self, host: str) -> None:
        began = self._monotonic()
        answer: _Answer
        try:
            found = self._lookup(host, None, type=socket.SOCK_STREAM)
            answer = list(dict.fromkeys((entry[0], entry[4]) for entry in found))
        except OSError as error:
            answer = error
        except UnicodeError:
            answer = OSError(None, "not a valid host name")
        self._done(host, answer, self._monotonic() - began)

    def _done(self, host: str, answer: _Answer, seconds: float) -> None:
        with self._lock:
            self._running.discard(host)
            if isinstance(answer, OSError) or seconds > _SLOW:
                self._slow.add(host)
            else:
                self._slow.discard(host)
            waiters = self._waiters.pop(host, [])
            if not waiters and not isinstance(answer, OSError):
                self._kept[host] = self._monotonic(), answer
        for waiter in waiters:
            waiter(answer)
        self._start()


def _numeric(host: str, port: int) -> list[SocketAddress] | None:
    """An address written in figures: nobody need be asked."""
    try:
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv4Address):
            return [SocketAddress(socket.AF_INET, (host, port))]
        scope = address.scope_id or "0"
        zone = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
    except ValueError:
        return None
    except OSError as error:
        raise NameUnknown(host, error.strerror or str(error)) from None
    return [SocketAddress(socket.AF_INET6, (host.partition("%")[0], port, 0, zone))]


resolver = Resolver()
"""The one of this process."""
