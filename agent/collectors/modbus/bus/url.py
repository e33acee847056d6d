"""Where a Modbus device is reached, as its URL says it. Pure.

    tcp://HOST[:502]                     Modbus TCP
    udp://HOST[:502]                     the same in datagrams
    tls://HOST[:802]                     Modbus/TCP Security
    rtu+tcp://HOST[:502]                 RTU frames through a serial device server; ascii+tcp:// likewise
    serial:///dev/serial/by-id/X?baudrate=9600&parity=E&stopbits=1&bytesize=8&framing=rtu&rs485=on
    tcp-listen://0.0.0.0:9000?framing=rtu    a 4G DTU dials in to the agent

Defaults of a serial line are those of the standard (MODBUS over Serial Line V1.02, 2.5.1): 19200 baud are its default,
9600 are met more often and ours; even parity, one stop bit, two where there is no parity; 8 data bits, 7 with ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

T = TypeVar("T")

Kind = Literal["tcp", "udp", "tls", "serial", "listen"]
Framing = Literal["tcp", "rtu", "ascii"]

_SCHEMES: Mapping[str, tuple[Kind, Framing, int]] = {
    "tcp": ("tcp", "tcp", 502),
    "udp": ("udp", "tcp", 502),
    "tls": ("tls", "tcp", 802),
    "rtu+tcp": ("tcp", "rtu", 502),
    "ascii+tcp": ("tcp", "ascii", 502),
    "serial": ("serial", "rtu", 0),
    "tcp-listen": ("listen", "rtu", 0),
}
#: As word processors write them.
_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
#: What others call Modbus TCP.
_OTHER_NAMES = ("modbus", "modbus-tcp", "modbus+tcp", "modbustcp", "mbtcp", "mbap", "http", "https")
#: `/dev/ttyUSB0`, `/dev/ttyUSB0:9600,8,N,1`, `/dev/ttyUSB0:9600:8N1`
_PORT = re.compile(
    r"(?P<path>/dev/[^:?\s]+)(?:[:?]\s*(?P<baud>\d{3,7})(?:[,:]\s*(?P<bits>[78])[,:]?(?P<parity>[NEOneo])[,:]?(?P<stop>[12])?)?.*)?"
)
_TCP = 'write tcp://HOST:PORT, for example "tcp://192.168.10.21:502"'
_SERIAL = 'write for example "serial:///dev/ttyUSB0?baudrate=9600&parity=E&stopbits=1"'
_LISTEN = 'write the address and port DTUs dial, for example "tcp-listen://0.0.0.0:9000"'
_CALLED = {"baud": "baudrate", "baud_rate": "baudrate", "speed": "baudrate", "stop_bits": "stopbits",
           "stop": "stopbits", "data_bits": "bytesize", "databits": "bytesize"}  # fmt: skip
_BAUD_RATES = (300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 76800, 115200, 187500, 230400,
               250000, 460800, 500000, 576000, 921600, 1000000, 1500000, 2000000, 3000000)  # fmt: skip
_FAST = 19200  #: above this the gap between frames is a fixed time (V1.02, 2.5.1.1)


@dataclass(frozen=True, slots=True)
class SerialPort:
    """Settings of a serial line."""

    baudrate: int = 9600
    parity: Literal["E", "O", "N"] = "E"
    stopbits: int = 1
    bytesize: int = 8
    rs485: bool = False  #: the driver switches the transmitter (the adapter does it by itself where this is off)
    rts_on_send: bool = True  #: RTS is high while sending
    rts_before: float = 0.0  #: seconds between RTS and the first byte …
    rts_after: float = 0.0  #: … and behind the last one

    @property
    def character(self) -> float:
        """Seconds one character takes: start bit, data, parity, stop bits."""
        return (1 + self.bytesize + (self.parity != "N") + self.stopbits) / self.baudrate

    @property
    def gap(self) -> float:
        """Seconds of silence between two frames: 3.5 characters, 1.75 ms above 19200 baud."""
        return 0.00175 if self.baudrate > _FAST else 3.5 * 11 / self.baudrate


@dataclass(frozen=True, slots=True)
class BusTarget:
    """A parsed URL."""

    kind: Kind
    framing: Framing
    host: str = ""  #: of a serial line: the path of the port
    port: int = 0
    serial: SerialPort = SerialPort()

    @property
    def place(self) -> str:
        """What there can be only one of: two devices that say the same share it."""
        if self.kind == "serial":
            return f"serial://{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tcp-listen' if self.kind == 'listen' else self.kind}://{host}:{self.port}"

    @property
    def name(self) -> str:
        """For people: host and port, or the path."""
        return self.host if self.kind == "serial" else self.place.partition("://")[2]


def _meant(text: str) -> str:
    """What to write for a place that is named without its scheme."""
    if (port := _PORT.fullmatch(text)) is not None:
        baud, bits, parity, stop = port["baud"], port["bits"], (port["parity"] or "E").upper(), port["stop"]
        options = f"baudrate={baud or 9600}&parity={parity}" + (f"&stopbits={stop}" if stop else "")
        options += "&bytesize=7" if bits == "7" else ""
        known = "" if baud and port["parity"] else " with the baud rate and parity of the line"
        return f'write "serial://{port["path"]}?{options}"{known}'
    if re.fullmatch(r"COM\d+(:.*)?", text, re.IGNORECASE):
        return (
            "that is a serial port of Windows; on Linux write for example "
            '"serial:///dev/ttyUSB0?baudrate=9600&parity=E" (`ls /dev/serial/by-id` lists what is there)'
        )
    if re.fullmatch(r"[\w.-]+(:\d+)?", text, re.ASCII):
        return f'write "tcp://{text}"'
    return _TCP


def parse_url(url: str) -> BusTarget:
    """The place and its settings. ValueError says what to write instead."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ValueError(f"{url!r} is not a URL; {_meant(url)}")
    if scheme not in _SCHEMES:
        place = url.strip(_QUOTES).partition("://")[2].rstrip("/")
        if scheme.strip(_QUOTES) in _SCHEMES:
            raise ValueError(f"{url!r} has quotes of a word processor; write {url.strip(_QUOTES)}")
        if place.startswith("/dev/") or (scheme in _OTHER_NAMES and "/" not in place):
            raise ValueError(f"{scheme}:// is no Modbus transport; {_meant(place)}")
        known = ", ".join(f"{known}://" for known in _SCHEMES)
        raise ValueError(f"{scheme}:// is no Modbus transport; {_TCP} (or one of {known})")
    kind, framing, usual = _SCHEMES[scheme]
    hint = {"serial": _SERIAL, "listen": _LISTEN}.get(kind, _TCP.replace("tcp://", f"{scheme}://"))
    try:
        parts = urlsplit(url)
        options = _Options(parts, hint)
        if kind == "serial":
            return _serial(parts, options, hint)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        said = "; write" in str(error)
        raise ValueError(str(error) if said else f"{url!r} has no usable port or host; {hint}") from None
    if not host or port == 0 or any(char.isspace() for char in host):
        raise ValueError(f"{url!r} names no host or port; {hint}")
    if port is None and not usual:
        raise ValueError(f"{url!r} names no port; {hint}")
    if kind == "listen":
        framing = options.one_of("framing", {"rtu": "rtu", "tcp": "tcp", "ascii": "ascii"}, framing)
    unit = next((options.left[key] for key in ("unit", "unit_id", "slave", "id") if key in options.left), None)
    unit = unit or (parts.path[1:] if parts.path[1:].isdecimal() else None)
    if unit is not None:
        raise ValueError(
            f"{url!r} has more than a host and a port; write {scheme}://{parts.netloc} and `unit_id: {unit}`"
        )
    options.nothing_left(f"{url!r} has more than a host and a port; {hint}")
    if parts.path.strip("/") or parts.fragment or parts.username is not None:
        raise ValueError(f"{url!r} has more than a host and a port; {hint}")
    return BusTarget(kind, framing, host, usual if port is None else port)


class _Options:
    """The query of a URL, taken key by key; what is left over is a mistake."""

    def __init__(self, parts: SplitResult, hint: str) -> None:
        self._left = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._hint = hint

    def one_of(self, key: str, known: Mapping[str, T], default: T) -> T:
        """The meaning of a value; `known` maps what may be written."""
        if key not in self._left:
            return default
        value = self._left.pop(key)
        if value not in known:
            meant = next((one for one in known if one.isalpha() and value[:1].upper() == one), None)
            hint = f"write {key}={meant}" if meant else self._hint
            raise ValueError(f"{key}={value} is not known, only {', '.join(known)} are; {hint}")
        return known[value]

    @property
    def left(self) -> Mapping[str, str]:
        """What nobody has taken yet."""
        return self._left

    def milliseconds(self, key: str) -> float:
        """Seconds of a whole number of milliseconds, `5` or `5ms`."""
        text = self._left.pop(key, "0").removesuffix("ms")
        if not text.isdecimal() or int(text) > 1000:
            raise ValueError(f"{key}={text} is no number of milliseconds up to 1000; {self._hint}")
        return int(text) / 1000

    def nothing_left(self, reason: str) -> None:
        """Raise where something nobody knows was written."""
        if self._left:
            raise ValueError(reason)


def _serial(parts: SplitResult, options: _Options, hint: str) -> BusTarget:
    path = parts.netloc + parts.path
    if not path.strip("/"):
        raise ValueError(f"it names no serial port; {hint}")
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is no path; write serial:///{path} (three slashes)")
    switch = {"on": True, "off": False}
    framing: Framing = options.one_of("framing", {"rtu": "rtu", "ascii": "ascii"}, "rtu")
    parity: Literal["E", "O", "N"] = options.one_of("parity", {"E": "E", "O": "O", "N": "N"}, "E")
    port = SerialPort(
        baudrate=options.one_of("baudrate", {str(rate): rate for rate in _BAUD_RATES}, 9600),
        parity=parity,
        stopbits=options.one_of("stopbits", {"1": 1, "2": 2}, 2 if parity == "N" else 1),
        bytesize=options.one_of("bytesize", {"7": 7, "8": 8}, 7 if framing == "ascii" else 8),
        rs485=options.one_of("rs485", switch, False),
        rts_on_send=options.one_of("rts_on_send", {"high": True, "low": False}, True),
        rts_before=options.milliseconds("rts_before"),
        rts_after=options.milliseconds("rts_after"),
    )
    known = "baudrate, parity, stopbits, bytesize, framing, rs485, rts_on_send, rts_before, rts_after"
    hint = next((f"write {key}= instead of {one}=" for one, key in _CALLED.items() if one in options.left), hint)
    options.nothing_left(f"a serial line has the options {known} and no other; {hint}")
    if framing == "rtu" and port.bytesize == 7:
        raise ValueError(f"RTU needs 8 data bits, only ASCII lives with 7; {hint}")
    return BusTarget("serial", framing, path, 0, port)
