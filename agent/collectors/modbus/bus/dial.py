"""Opens what carries frames without a transaction id: byte streams and serial ports."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import os
import ssl
from typing import TYPE_CHECKING

from agent.collectors.modbus.bus.shown import reason_of
from agent.collectors.modbus.bus.stream import StreamWire
from agent.collectors.modbus.bus.url import SerialPort
from agent.core.dial import connect_socket
from agent.core.errors import ConnectionLost, PermanentError
from agent.core.resolve import resolver

if TYPE_CHECKING:
    from pymodbus.transport.serialtransport import SerialTransport

#: Errors of a port that was pulled out while it was being opened: no word about what it can do.
_UNPLUGGED = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.EBADF}


async def dial(
    protocol: asyncio.BaseProtocol,
    host: str,
    port: int,
    timeout: float,
    tls: ssl.SSLContext | None = None,
    name: str | None = None,
) -> None:
    """Connect a protocol over TCP, or TLS where there is a context; `name`: what its certificate must be for.

    Raises ConnectionLost.
    """
    loop = asyncio.get_running_loop()
    try:
        sock = await connect_socket(host, port, timeout)
        try:
            async with asyncio.timeout(timeout):  # the handshake, where there is one
                await loop.create_connection(lambda: protocol, sock=sock, ssl=tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise
    except TimeoutError as error:
        reason = error.strerror or f"no connection within {timeout:g} s"
        raise ConnectionLost(f"{host}:{port}: {reason}") from None
    except OSError as error:
        raise ConnectionLost(f"{host}:{port}: {reason_of(error)}") from None


async def dial_datagrams(protocol: asyncio.BaseProtocol, host: str, port: int, timeout: float) -> None:
    """Send a protocol's datagrams there. Raises ConnectionLost where the name has no address."""
    try:
        async with asyncio.timeout(timeout):
            address = (await resolver.addresses(host, port))[0]
            sockaddr = (address.sockaddr[0], address.sockaddr[1])
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, remote_addr=sockaddr)
    except TimeoutError:
        raise ConnectionLost(f"{host}:{port}: no answer of the resolver within {timeout:g} s") from None
    except OSError as error:
        raise ConnectionLost(f"{host}:{port}: {reason_of(error)}") from None


async def open_serial(wire: StreamWire, path: str, settings: SerialPort) -> None:
    """Open a port for this wire alone. Opening may block for seconds, so a thread does it.

    Raises ConnectionLost where it is not there, taken or forbidden; PermanentError where it cannot do what is asked.
    """
    if importlib.util.find_spec("serial") is None:
        raise PermanentError("serial lines need pyserial", "pip install pyserial (the image has it)")
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, _open, loop, wire, path, settings)
    try:
        transport = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise
    try:
        transport.setup()
    except OSError as error:
        transport.sync_serial.close()
        raise ConnectionLost(f"{path}: {reason_of(error)}") from None
    wire.connection_made(transport)


def _open(loop: asyncio.AbstractEventLoop, wire: StreamWire, path: str, settings: SerialPort) -> SerialTransport:
    import termios

    from pymodbus.transport.serialtransport import SerialTransport

    parity, bytesize = settings.parity, settings.bytesize
    if os.path.realpath(path).startswith("/dev/pts/"):  # a pseudo terminal has neither, and refuses them
        parity, bytesize = "N", 8
    try:
        transport = SerialTransport(loop, wire, path, settings.baudrate, bytesize, parity, settings.stopbits, 0)
    except OSError as error:  # SerialException is one
        hint = " (the user must be in the group of the port, often dialout)" if error.errno == errno.EACCES else ""
        raise ConnectionLost(f"{path}: {_words(error)}{hint}") from None
    except (ValueError, termios.error) as error:
        if error.args[0] in _UNPLUGGED:
            raise ConnectionLost(f"{path}: {os.strerror(error.args[0])}") from None
        raise PermanentError(f"{path}: {error}", "choose settings the adapter supports") from None
    port = transport.sync_serial
    with contextlib.suppress(ValueError, OSError, AttributeError, NotImplementedError):
        port.set_low_latency_mode(True)  # FTDI adapters else hold bytes back for 16 ms
    if settings.rs485:
        from serial.rs485 import RS485Settings  # type: ignore[import-untyped]

        try:
            port.rs485_mode = RS485Settings(
                settings.rts_on_send, not settings.rts_on_send, False, settings.rts_before, settings.rts_after
            )
        except (ValueError, OSError) as error:
            port.close()
            if isinstance(error, OSError) and error.errno in _UNPLUGGED:
                raise ConnectionLost(f"{path}: {_words(error)}") from None
            raise PermanentError(
                f"{path}: its driver has no RS-485 mode", "leave rs485=on out for adapters that switch by themselves"
            ) from None
    with contextlib.suppress(termios.error):
        port.reset_input_buffer()
    return transport


def _words(error: OSError) -> str:
    text = str(error)
    if error.errno == errno.EAGAIN or "exclusively lock" in text:
        return "another program has it open"
    return os.strerror(error.errno) if error.errno else text


def _close_late(opening: asyncio.Future[SerialTransport]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().sync_serial.close()
