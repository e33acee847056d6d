"""Machines with a network of their own, and a wire between two of them that loses packets: real IP, real TCP.

    async with Room() as far, Room() as near, Wire(near, far) as wire:
        async with Door(far, WIRE_FAR, 0, "127.0.0.1", mosquitto.port) as door:   # a port in the room, served out here
            ...                                             # clients in `near` connect to WIRE_FAR:door.port
            wire.loss = 0.2
            wire.dead = {"up"}                              # towards `far` nothing passes any more

A room is a network namespace that a thread has moved into: what is run there, and every process started there, sees
only its network. A wire is a pair of TUN devices, and what carries packets between them. Root is needed.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import random
import socket
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import pytest

from agent.simulator.proxy import Proxy
from tests.support.agent import REPOSITORY, TRUST, AgentProcess

T = TypeVar("T")

#: Addresses of the two ends of a wire, of a net kept for documentation (RFC 5737).
WIRE_NEAR, WIRE_FAR = "192.0.2.1", "192.0.2.2"

_CLONE_NEWNET = 0x40000000  # sched.h
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C  # linux/sockios.h
_IFF_UP = 0x1  # net/if.h


def _leave() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace of its own")


def _ask(request: int, name: str, content: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, request, struct.pack("16s24s", name.encode(), content))


def _up(name: str, address: str | None = None) -> None:
    if address is not None:
        for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.0")):
            _ask(request, name, struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(value)))
    _ask(_SIOCSIFFLAGS, name, struct.pack("H", _IFF_UP))


def _tun(address: str) -> int:
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", b"wire", _IFF_TUN | _IFF_NO_PI))
    _up("wire", address)
    return end


class Room:
    """A network namespace with nothing but loopback. Skips the test where it may not be; fails it in CI as root."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="room")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call it in the room. Sockets made there, and processes started there, belong there."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def __aenter__(self) -> Self:
        try:
            await self.run(_leave)
            await self.run(_up, "lo")
            if not Path("/dev/net/tun").exists():
                raise FileNotFoundError("/dev/net/tun")
        except OSError as error:
            self._thread.shutdown()
            if os.geteuid() == 0 and os.environ.get("CI"):
                pytest.fail(f"no network namespace: {error}")
            pytest.skip(f"a network of one's own needs root, and TUN devices: {error}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._thread.shutdown()


class Wire:
    """Carries packets between two rooms; `up` is towards the far one. Settings may be changed at any time."""

    def __init__(self, near: Room, far: Room, *, chance: random.Random | None = None) -> None:
        self.loss = 0.0  #: share of packets that vanish, each way
        self.delay = 0.0  #: seconds a packet is under way …
        self.jitter = 0.0  #: … and up to so many more: they overtake each other
        self.dead: set[str] = set()  #: `up`, `down`: nothing passes, and nobody is told
        self.carried = self.lost = 0
        self._rooms = (near, far)
        self._chance = chance or random.Random()
        self._ends: list[int] = []

    async def __aenter__(self) -> Self:
        near, far = self._rooms
        self._ends = [await near.run(_tun, WIRE_NEAR), await far.run(_tun, WIRE_FAR)]
        loop = asyncio.get_running_loop()
        one, other = self._ends
        loop.add_reader(one, partial(self._carry, "up", one, other))
        loop.add_reader(other, partial(self._carry, "down", other, one))
        return self

    async def __aexit__(self, *_: object) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            asyncio.get_running_loop().remove_reader(end)
            os.close(end)

    def calm(self) -> None:
        """Let everything pass, at once."""
        self.loss = self.delay = self.jitter = 0.0
        self.dead = set()

    def _carry(self, way: str, source: int, sink: int) -> None:
        for _ in range(64):
            try:
                packet = os.read(source, 65535)
            except BlockingIOError:
                return
            if way in self.dead or self._chance.random() < self.loss:
                self.lost += 1
                continue
            self.carried += 1
            if self.delay or self.jitter:
                late = self.delay + self._chance.random() * self.jitter
                asyncio.get_running_loop().call_later(late, self._deliver, sink, packet)
            else:
                self._deliver(sink, packet)

    def _deliver(self, sink: int, packet: bytes) -> None:
        if sink in self._ends:
            try:
                os.write(sink, packet)
            except OSError:  # its queue is full, as that of any device may be
                self.lost += 1


class Door(Proxy):
    """A port in a room, whose connections are passed on to `host`:`target_port` out here."""

    def __init__(self, room: Room, address: str, port: int, host: str, target_port: int) -> None:
        super().__init__(host, target_port)
        self.port = port
        self._room = room
        self._address = address

    async def _listen(self) -> asyncio.Server:
        made = await self._room.run(lambda: socket.create_server((self._address, self.port)))
        return await asyncio.start_server(self._accept, sock=made)


class HousedAgent(AgentProcess):
    """An agent that runs in a room."""

    def __init__(self, room: Room, folder: Path, **keys: Any) -> None:
        super().__init__(folder, **keys)
        self._room = room

    async def _spawn(self) -> subprocess.Popen[bytes]:
        def start() -> subprocess.Popen[bytes]:  # not forked: it must be born in the room
            with self.log_path.open("ab") as log:
                return subprocess.Popen(self._argv, stdout=log, stderr=log, cwd=REPOSITORY, env=self._env)

        return await self._room.run(start)

    async def _get(self, path: str) -> httpx.Response:
        return await self._room.run(lambda: httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, verify=TRUST))
