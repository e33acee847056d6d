"""Every transport against servers nobody here has written."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import termios
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.collectors.modbus.config import ModbusConfig
from agent.core.errors import AgentError, ConnectionLost, PermanentError, TransientError
from agent.testing.context import SimpleContext
from tests.integration.modbus.independent import Bus, cable, libmodbus, library, port_of
from tests.integration.modbus.reading import Said, cycle, take
from tests.integration.modbus.servers import device, pattern
from tests.support.certs import Certs, make_certs
from tests.support.waiting import eventually

_MANY: dict[str, object] = {f"h{offset}": f"holding:{offset}" for offset in range(500, 640)}
TAGS: dict[str, object] = _MANY | {
    "first": "holding:0",
    "far": "holding:1999",
    "wide": {"address": "holding:100", "type": "uint32"},
    "input": "input:7",
    "bit": "input:7.3",
    "coil": "coil:30",
    "discrete": "discrete:31",
    "none": "holding:2000",
}


def check(found: dict[str, Said], unit: int = 1) -> None:
    """What such a server holds, and a register it has not."""
    held = pattern(unit)
    assert found["none"].code == "BadConfigurationError"
    assert found["first"].value == held["holding"][0]
    assert found["far"].value == held["holding"][1999]
    assert found["wide"].value == held["holding"][100] << 16 | held["holding"][101]
    assert found["input"].value == held["input"][7]
    assert found["bit"].value == bool(held["input"][7] >> 3 & 1)
    assert (found["coil"].value, found["discrete"].value) == (held["coil"][30], held["discrete"][31])
    assert all(found[f"h{offset}"].value == held["holding"][offset] for offset in range(500, 640))


async def read(config: ModbusConfig) -> dict[str, Said]:
    """One cycle of a device, or its error."""
    async with SimpleContext() as context:
        try:
            async with config.build("press", context).open() as samples:
                return await cycle(samples, config)
        except AgentError as error:
            fault = error
    raise fault


@asynccontextmanager
async def libmodbus_tcp(_: Path) -> AsyncIterator[str]:
    async with libmodbus("tcp", "0") as running:
        yield f"tcp://127.0.0.1:{port_of(running)}"


@asynccontextmanager
async def libmodbus_rtu(folder: Path) -> AsyncIterator[str]:
    async with cable(folder) as (ours, theirs), libmodbus("rtu", str(theirs), "1"):
        yield f"serial://{ours}"


@asynccontextmanager
async def library_serial(folder: Path, kind: str = "serial rtu") -> AsyncIterator[str]:
    async with cable(folder) as (ours, theirs), library(kind, path=str(theirs)):
        yield f"serial://{ours}?framing={kind.split()[1]}"


SERVERS = {
    "libmodbus over tcp": libmodbus_tcp,
    "libmodbus over a serial line": libmodbus_rtu,
    "library over a serial line": library_serial,
    "library over a serial line, ascii": lambda folder: library_serial(folder, "serial ascii"),
    "library over tcp": lambda _: library("tcp"),
    "library over udp": lambda _: library("udp"),
    "library over rtu+tcp": lambda _: library("rtu+tcp"),
    "library over ascii+tcp": lambda _: library("ascii+tcp"),
}


@pytest.mark.parametrize("name", SERVERS)
async def test_every_transport_reads_the_truth(name: str, tmp_path: Path) -> None:
    """All areas are read right, and a register that is not there is refused alone."""
    async with SERVERS[name](tmp_path) as url:
        check(await read(device(url, TAGS)))


# --- tls --------------------------------------------------------------------------------------------------------------


def strict(certs: Certs) -> ssl.SSLContext:
    """A server that wants the client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.server_cert, certs.server_key)
    context.load_verify_locations(certs.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_tls_with_certificates_of_both(tmp_path: Path) -> None:
    """Modbus/TCP Security: both sides show a certificate, and the values are read."""
    certs = make_certs(tmp_path)
    async with library("tls", context=strict(certs)) as url:
        tls = {"ca_file": str(certs.ca), "cert_file": str(certs.client_cert), "key_file": str(certs.client_key)}
        check(await read(device(url, TAGS, tls=tls)))


@pytest.mark.parametrize("fault", ["stranger", "name", "expired", "no certificate", "old"])
async def test_tls_is_never_trusted_blindly(fault: str, tmp_path: Path) -> None:
    """A stranger's, another's or an expired certificate is refused, and so are we without ours; nothing is read."""
    certs = make_certs(tmp_path, expired=fault == "expired")
    context = strict(certs)
    if fault == "old":
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    tls = {"ca_file": str(certs.other_ca if fault == "stranger" else certs.ca)}
    if fault != "no certificate":
        tls |= {"cert_file": str(certs.client_cert), "key_file": str(certs.client_key)}
    if fault == "name":
        tls["server_name"] = "another.example"
    words = {
        "no certificate": "(?i)certificate",
        "stranger": "certificate is refused",
        "name": "certificate is refused",
        "expired": "expired",
    }
    async with library("tls", context=context) as url:
        with pytest.raises(TransientError, match=words.get(fault)):
            await read(device(url, {"a": "holding:0"}, tls=tls))


async def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    """The file that is wrong is named."""
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")
    config = device("tls://127.0.0.1:1", {"a": "holding:0"}, tls={"ca_file": str(tmp_path / "ca.pem")})
    with pytest.raises(TransientError, match=r"tls.ca_file .*ca.pem"):
        await read(config)


# --- datagrams --------------------------------------------------------------------------------------------------------


async def test_nobody_listens_for_datagrams() -> None:
    """Where the network says that nobody listens the connection is lost, before any time-out."""
    config = device("udp://127.0.0.1:1", {"a": "holding:0"}, timeout="60s")
    with pytest.raises(ConnectionLost, match="refused"):
        await read(config)


# --- serial lines -----------------------------------------------------------------------------------------------------


async def test_three_devices_on_a_bus_one_of_them_dead() -> None:
    """Units 1 and 3, on servers of their own, are read on; unit 2, which is dead, is offline alone."""
    bus = Bus(2)
    try:
        async with (
            library("serial rtu", 1, path=bus.taps[0]),
            library("serial rtu", 3, path=bus.taps[1]),
            SimpleContext() as context,
        ):
            url = f"serial://{bus.master}"
            tags: dict[str, object] = {"a": "holding:5", "b": {"address": "input:9", "type": "uint32"}}
            keys = {"interval": "50ms", "timeout": "500ms"}
            devices = {unit: device(url, tags, unit_id=unit, **keys) for unit in (1, 2, 3)}
            dead = devices[2].build("dead", context)

            async def attempt() -> None:
                async with dead.open() as samples:
                    await take(samples)

            async with (
                devices[1].build("one", context).open() as first,
                devices[3].build("three", context).open() as third,
            ):
                for _ in range(3):
                    with pytest.raises(TransientError, match="no answer from unit 2"):
                        await attempt()
                    for unit, samples in ((1, first), (3, third)):
                        held = pattern(unit)
                        assert await cycle(samples, devices[unit]) == {
                            "a": Said(held["holding"][5], "Good"),
                            "b": Said(held["input"][9] << 16 | held["input"][10], "Good"),
                        }
            assert len(context.buses) == 1
    finally:
        bus.close()


async def test_an_adapter_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    """When its port vanishes the line is lost; it is opened again under the same path."""
    async with SimpleContext() as context:
        config = device(f"serial://{tmp_path / 'ttyA'}", {"a": "holding:5"}, timeout="1s")
        collector = config.build("press", context)
        async with cable(tmp_path) as (_, theirs), libmodbus("rtu", str(theirs), "1"):
            opened = collector.open()
            samples = await opened.__aenter__()
            await cycle(samples, config)

        async def lost() -> None:
            while True:
                await take(samples)

        with pytest.raises(ConnectionLost):
            await lost()
        await opened.__aexit__(None, None, None)
        with pytest.raises(ConnectionLost, match="No such file"):
            async with collector.open():
                pass
        async with cable(tmp_path) as (_, theirs), libmodbus("rtu", str(theirs), "1"):

            async def again() -> bool:
                try:
                    async with collector.open() as new:
                        return (await cycle(new, config))["a"] == Said(pattern(1)["holding"][5], "Good")
                except TransientError:
                    return False

            await eventually(again)


async def test_a_port_belongs_to_one(tmp_path: Path) -> None:
    """A port that another program has open is not shared with it."""
    async with cable(tmp_path) as (ours, _), SimpleContext() as first, SimpleContext() as second:
        config = device(f"serial://{ours}", {"a": "holding:5"})
        async with config.build("press", first).open():
            with pytest.raises(ConnectionLost, match="another program has it open"):
                async with config.build("press", second).open():
                    pass


async def test_without_pyserial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyserial is missing, the device fails alone and says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PermanentError, match=r"pip install pyserial"):
        await read(device("serial:///dev/ttyNONE", {"a": "holding:0"}))


async def test_a_driver_without_rs485() -> None:
    """What a port cannot do is said once, with what to write instead."""
    ours, theirs = os.openpty()
    try:
        with pytest.raises(PermanentError, match="no RS-485 mode"):
            await read(device(f"serial://{os.ttyname(theirs)}?rs485=on", {"a": "holding:0"}))
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(("number", "expected"), [(errno.EIO, ConnectionLost), (errno.EINVAL, PermanentError)])
async def test_a_port_that_is_pulled_out_while_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    """It may be back in a second; settings that it does not know stay wrong."""

    def refuse(*_: object) -> None:
        raise termios.error(number, os.strerror(number))

    ours, theirs = os.openpty()
    try:
        monkeypatch.setattr("termios.tcsetattr", refuse)
        with pytest.raises(expected, match=os.strerror(number)):
            await read(device(f"serial://{os.ttyname(theirs)}", {"a": "holding:0"}))
    finally:
        os.close(ours)
        os.close(theirs)


async def test_opening_a_port_does_not_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a port takes long to open, everything else goes on; giving up does not leave it open."""
    entered, gate = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        entered.set()
        gate.wait(10)
        raise ConnectionLost("slow")

    monkeypatch.setattr("agent.collectors.modbus.bus.dial._open", slow)
    async with SimpleContext() as context:
        collector = device("serial:///dev/ttySLOW", {"a": "holding:0"}).build("press", context)

        async def attempt() -> None:
            async with collector.open():
                pass

        async with asyncio.TaskGroup() as group:
            opening = group.create_task(attempt())
            await eventually(entered.is_set)
            opening.cancel()
    gate.set()
