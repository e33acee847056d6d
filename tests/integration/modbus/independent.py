"""Servers nobody here has written: libmodbus in C, and the library's own over every transport; and what connects them.

Their values are those of `servers.pattern`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from pymodbus import ModbusDeviceIdentification
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer, ModbusUdpServer

from tests.integration.modbus.servers import Core, Memory, make_device, pattern
from tests.support.ports import free_port
from tests.support.processes import Process, process
from tests.support.waiting import eventually

SOURCE = Path(__file__).with_name("libmodbus.c")
_NEEDS = "gcc and libmodbus (apt-get install gcc libc6-dev libmodbus-dev, or make test as root)"


def missing(what: str) -> None:
    """Leave the test out at a desk; fail it where CI=true."""
    reason = f"not installed: {what}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def _build() -> Path | str:
    """The server on libmodbus, compiled once, or why it cannot be."""
    if shutil.which("gcc") is None:
        return _NEEDS
    target = Path(mkdtemp(prefix="edge-libmodbus-")) / "libmodbus-server"
    built = subprocess.run(
        ["gcc", "-O1", "-I/usr/include/modbus", "-o", str(target), str(SOURCE), "-lmodbus"],
        capture_output=True,
        text=True,
        check=False,
    )
    return target if built.returncode == 0 else f"{_NEEDS}: {built.stderr.strip().splitlines()[0]}"


@asynccontextmanager
async def libmodbus(*arguments: str) -> AsyncIterator[Process]:
    """The C server, ready: `tcp 0` (its port: `port_of`) or `rtu PATH UNIT`."""
    server = _build()
    if isinstance(server, str):
        missing(server)
    with process(str(server), *arguments) as running:
        await eventually(lambda: running.stdout.startswith("ready"), what="libmodbus")
        yield running


def port_of(running: Process) -> int:
    """The port it said."""
    return int(running.stdout.split()[1])


@asynccontextmanager
async def cable(folder: Path) -> AsyncIterator[tuple[Path, Path]]:
    """Two serial ports joined by a cable (socat). Leaving unplugs both."""
    if shutil.which("socat") is None:
        missing("socat")
    ends = folder / "ttyA", folder / "ttyB"
    with process("socat", *(f"pty,raw,echo=0,link={end}" for end in ends)):
        await eventually(lambda: all(end.exists() for end in ends), what="socat")
        yield ends
    for end in ends:
        end.unlink(missing_ok=True)


class Bus:
    """A four-wire bus: what the master says all hear, what they say the master hears. Paths of serial ports.

    Not for servers on libmodbus: after a request to another unit they take whatever comes next for its answer.
    """

    def __init__(self, taps: int) -> None:
        self._pairs = [os.openpty() for _ in range(taps + 1)]
        for ours, theirs in self._pairs:
            tty.setraw(theirs)
            os.set_blocking(ours, False)
            asyncio.get_running_loop().add_reader(ours, self._pass_on, ours)
        self.master, *self.taps = [os.ttyname(theirs) for _, theirs in self._pairs]

    def _pass_on(self, source: int) -> None:
        data = os.read(source, 4096)
        (master, _), *taps = self._pairs
        for ours, _ in taps if source == master else self._pairs[:1]:
            os.write(ours, data)

    def close(self) -> None:
        """Take it down."""
        for ours, theirs in self._pairs:
            asyncio.get_running_loop().remove_reader(ours)
            os.close(ours)
            os.close(theirs)


IDENTITY = ModbusDeviceIdentification(
    {
        0: "Acme",
        1: "PM-7",
        2: "2.1",
        3: "https://acme.example",
        4: "Power meter " + "x" * 120,
        5: "y" * 120,
        6: "hall 2",
    }
)
"""What the library's servers say of themselves; too much for one answer."""


@asynccontextmanager
async def library(kind: str, *units: int, path: str = "", context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The library's server; gives what stands under `url:`."""
    memory = Memory()
    devices = [make_device(unit, memory, pattern(unit)) for unit in units or (1,)]
    port = free_port()
    usual: dict[str, Any] = {"address": ("127.0.0.1", port), "ignore_missing_devices": True, "identity": IDENTITY}
    server: Any
    if kind.startswith("serial"):
        framer = FramerType.ASCII if "ascii" in kind else FramerType.RTU
        server = ModbusSerialServer(devices, framer=framer, port=path, baudrate=9600, ignore_missing_devices=True)
    elif kind == "udp":
        server = ModbusUdpServer(devices, **usual)
    elif kind == "tls":
        server = ModbusTlsServer(devices, sslctx=context, **usual)
    else:
        framers = {"tcp": FramerType.SOCKET, "rtu+tcp": FramerType.RTU, "ascii+tcp": FramerType.ASCII}
        server = ModbusTcpServer(devices, framer=framers[kind], **usual)
    server.context = Core(devices)
    await server.serve_forever(background=True)
    try:
        yield f"{kind}://127.0.0.1:{port}"
    finally:
        await server.shutdown()
