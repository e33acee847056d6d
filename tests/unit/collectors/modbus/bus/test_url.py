from __future__ import annotations

import pytest

from agent.collectors.modbus.bus.url import BusTarget, SerialPort, parse_url


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("tcp://192.168.10.21:502", BusTarget("tcp", "tcp", "192.168.10.21", 502)),
        ("tcp://plc.local", BusTarget("tcp", "tcp", "plc.local", 502)),
        ("tcp://[fe80::1]:1502/", BusTarget("tcp", "tcp", "fe80::1", 1502)),
        ("udp://h", BusTarget("udp", "tcp", "h", 502)),
        ("tls://h", BusTarget("tls", "tcp", "h", 802)),
        ("rtu+tcp://h:4001", BusTarget("tcp", "rtu", "h", 4001)),
        ("ascii+tcp://h", BusTarget("tcp", "ascii", "h", 502)),
        ("tcp-listen://0.0.0.0:9000", BusTarget("listen", "rtu", "0.0.0.0", 9000)),
        ("tcp-listen://0.0.0.0:9000?framing=tcp", BusTarget("listen", "tcp", "0.0.0.0", 9000)),
    ],
)
def test_network_urls(url: str, target: BusTarget) -> None:
    """Kind, framing, host and port; 502, or 802 with TLS, where no port is given."""
    assert parse_url(url) == target


@pytest.mark.parametrize(
    ("options", "port"),
    [
        ("", SerialPort(9600, "E", 1, 8)),
        ("?baudrate=19200&parity=E&stopbits=1", SerialPort(19200, "E", 1, 8)),
        ("?parity=N", SerialPort(9600, "N", 2, 8)),
        ("?parity=N&stopbits=1", SerialPort(9600, "N", 1, 8)),
        ("?framing=ascii", SerialPort(9600, "E", 1, 7)),
        ("?framing=ascii&bytesize=8&parity=O", SerialPort(9600, "O", 1, 8)),
        ("?rs485=on&rts_on_send=low&rts_before=2&rts_after=5ms",
         SerialPort(rs485=True, rts_on_send=False, rts_before=0.002, rts_after=0.005)),
    ],
)  # fmt: skip
def test_serial_urls(options: str, port: SerialPort) -> None:
    """A serial line has the settings of the standard where nothing is said: even parity, two stop bits without one."""
    target = parse_url(f"serial:///dev/serial/by-id/usb-FTDI_x-if00-port0{options}")
    assert (target.kind, target.host) == ("serial", "/dev/serial/by-id/usb-FTDI_x-if00-port0")
    assert target.framing == ("ascii" if "ascii" in options else "rtu")
    assert target.serial == port


def test_times_of_a_serial_line() -> None:
    """3.5 characters of silence lie between two frames, 1.75 ms above 19200 baud; a character has 11 bits."""
    assert SerialPort(9600).gap == pytest.approx(0.00401, abs=1e-5)
    assert SerialPort(115200).gap == 0.00175
    assert SerialPort(9600).character == SerialPort(9600, "N", 2).character == 11 / 9600
    assert SerialPort(9600, "N", 1).character == 10 / 9600


def test_places() -> None:
    """What can exist once has one name, whatever its settings."""
    assert parse_url("rtu+tcp://h:502").place == parse_url("tcp://h").place == "tcp://h:502"
    assert parse_url("serial:///dev/ttyS0?parity=N").place == parse_url("serial:///dev/ttyS0").place
    assert parse_url("tcp://[fe80::1]").name == "[fe80::1]:502"


@pytest.mark.parametrize(
    ("url", "hint", "example"),
    [
        ("http://h", "no Modbus transport", 'write "tcp://h"'),
        ("10.0.0.1:502", "not a URL", 'write "tcp://10.0.0.1:502"'),
        ("tcp://", "no host", "tcp://HOST:PORT"),
        ("tcp://h:0", "no host or port", "tcp://HOST:PORT"),
        ("tcp://h:99999", "no usable port", "tcp://HOST:PORT"),
        ("tcp://h:502/unit/1", "more than a host", "tcp://HOST:PORT"),
        ("tcp://user@h:502", "more than a host", "tcp://HOST:PORT"),
        ("tcp://h?framing=rtu", "more than a host", "tcp://HOST:PORT"),
        ("rtu+tcp://", "no host", "rtu+tcp://HOST:PORT"),
        ("tcp-listen://0.0.0.0", "no port", "tcp-listen://0.0.0.0:9000"),
        ("tcp-listen://0.0.0.0:9000?framing=x", "framing=x is not known, only rtu, tcp, ascii", "tcp-listen"),
        ("serial://", "no serial port", "serial:///dev"),
        ("serial:///dev/ttyS0?baud=9600", "has the options baudrate", "write baudrate= instead of baud="),
        ("serial:///dev/ttyS0?baudrate=9601", "baudrate=9601 is not known", "serial:///dev"),
        ("serial:///dev/ttyS0?parity=even", "only E, O, N", "write parity=E"),
        ("serial:///dev/ttyS0?bytesize=7", "RTU needs 8", "serial:///dev"),
        ("serial:///dev/ttyS0?rts_after=1s", "milliseconds", "serial:///dev"),
    ],
)
def test_urls_refused(url: str, hint: str, example: str) -> None:
    """What cannot be used is refused, with what to write, not ignored."""
    with pytest.raises(ValueError, match=hint) as caught:
        parse_url(url)
    assert example in str(caught.value)
