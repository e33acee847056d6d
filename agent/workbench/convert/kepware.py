"""Kepware: a project as JSON (KEPServerEX, ThingWorx Kepware Server), or the tags of a device as CSV.

Source: the names of the Configuration API's properties, and Kepware's manual of the Modbus Ethernet driver. Addresses
count from one and say 4xxxxx; data types are numbers; groups of tags become part of a tag's name.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from agent.collectors.modbus.tags.address import SUFFIXES
from agent.workbench.convert.registers import linear
from agent.workbench.convert.result import Converted, duration

_DEFAULT = -1  #: the type that follows from the address: a register is a word
_TYPES = {
    1: "bool", 2: "int8", 3: "uint8", 4: "int16", 5: "uint16", 6: "int32", 7: "uint32", 8: "float32", 9: "float64",
    10: "bcd16", 11: "bcd32", 13: "int64", 14: "uint64", 0: "string", _DEFAULT: "uint16",
}  # fmt: skip
_WORDS = {
    "boolean": 1, "char": 2, "byte": 3, "short": 4, "word": 5, "long": 6, "dword": 7, "float": 8, "double": 9,
    "bcd": 10, "lbcd": 11, "llong": 13, "qword": 14, "string": 0, "default": _DEFAULT, "": _DEFAULT,
}  # fmt: skip
_SCALINGS = {"": 0, "none": 0, "linear": 1}
_ARRAY = 20  #: data types from here on are arrays of those below it
_ADDRESS = re.compile(
    r"(?P<area>[0134])(?P<number>\d{4,5})(?P<suffix>[A-Za-z])?(?:\.(?P<more>\d+)(?P<order>[HL]?))?"
    r"(?P<array>(?:\s*\[\d+\]){1,2})?"  # [elements], or [rows][columns]
)
_NODE = re.compile(r"(?:nsu?=[^;]+;)?[isgb]=")
_MODES = {2: "Sign"}
_BROKEN = {1: "Basic128Rsa15", 2: "Basic256"}
_PARITIES = {ord("N"): "N", ord("O"): "O", ord("E"): "E", 0: "N"}
_AREAS = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_MODBUS = ("Modbus TCP/IP Ethernet", "Modbus RTU Serial", "Modbus Ethernet", "Modbus ASCII Serial")
#: Attempts at a request where nobody chose, and the most retries the agent makes.
_USUAL_ATTEMPTS, _MOST_RETRIES = 3, 3
_NAME, _DESCRIPTION = "common.ALLTYPES_NAME", "common.ALLTYPES_DESCRIPTION"


def is_project(data: Any) -> bool:
    """Whether it is a project with channels."""
    return isinstance(data, dict) and isinstance(data.get("project"), dict) and "channels" in data["project"]


def is_csv(text: str) -> bool:
    """Whether it is an export of tags: its first line names the columns Kepware writes."""
    return _delimiter(text) in (",", ";")


def _delimiter(text: str) -> str:
    """A comma or, by a setting of the product, a semicolon; nothing where it is no such export."""
    head = re.match(r'"?tag name"?(.)"?address"?\1"?data type"?', text, re.IGNORECASE)
    return head[1] if head else ""


def convert(data: Any, result: Converted) -> None:
    """A project, or the text of a CSV."""
    if isinstance(data, str):
        _csv(data, result)
        return
    for channel in _mappings("project", data["project"]["channels"], result):
        driver = str(channel.get("servermain.MULTIPLE_TYPES_DEVICE_DRIVER", ""))
        for device in _mappings(str(channel.get(_NAME)), channel.get("devices", []), result):
            item = f"{channel.get(_NAME)}.{device.get(_NAME)}"
            if driver in _MODBUS:
                _device(item, channel, device, result)
            elif driver == "OPC UA Client":
                _server(item, channel, device, result)
            else:
                result.lose(item, f"driver {driver!r} is not a protocol that the agent reads")


def _device(item: str, channel: Mapping[str, Any], device: Mapping[str, Any], result: Converted) -> None:
    host, unit = _place(str(device.get("servermain.DEVICE_ID_STRING", device.get("servermain.DEVICE_ID_DECIMAL", ""))))
    port = device.get("modbus_ethernet.DEVICE_ETHERNET_PORT_NUMBER", 502)
    scheme = "udp" if device.get("modbus_ethernet.DEVICE_ETHERNET_IP_PROTOCOL") == 0 else "tcp"
    url = f"{scheme}://{host}:{port}" if host else _serial(item, channel, result)
    if device.get("modbus_ethernet.DEVICE_MODICON_BIT_ORDER"):
        result.lose(item, "Modicon bit order: bit 0 is the most significant there; look at each bit")
    timeout = device.get("servermain.DEVICE_REQUEST_TIMEOUT_MILLISECONDS")
    pause = device.get("servermain.DEVICE_INTER_REQUEST_DELAY_MILLISECONDS")
    keys = {
        "type": "modbus", "url": url, "unit_id": unit, **_orders(device),
        **_shown(device),
        "interval": duration(device.get("servermain.DEVICE_SCAN_MODE_RATE_MS", 1000)),
        "timeout": duration(min(timeout, 60_000)) if timeout else None,
        "retries": _retries(item, device.get("servermain.DEVICE_RETRY_ATTEMPTS", _USUAL_ATTEMPTS), result),
        "workarounds": {"pause_between_requests": duration(pause)} if pause else None,
    }  # fmt: skip
    zero = device.get("modbus_ethernet.DEVICE_ZERO_BASED_ADDRESSING", True)
    bits = device.get("modbus_ethernet.DEVICE_ZERO_BASED_BIT_ADDRESSING", True)
    tags = result.device(str(device.get(_NAME, channel.get(_NAME, ""))), keys)
    for path, tag in _tags(item, device, "", result):
        keys = {
            "address": tag.get("servermain.TAG_ADDRESS", ""), "type": tag.get("servermain.TAG_DATA_TYPE", -1),
            "rate": tag.get("servermain.TAG_SCAN_RATE_MILLISECONDS", 0), "description": tag.get(_DESCRIPTION),
            "scaling": tag.get("servermain.TAG_SCALING_TYPE", 0), "unit": tag.get("servermain.TAG_SCALING_UNITS"),
            "raw": (tag.get("servermain.TAG_SCALING_RAW_LOW", 0), tag.get("servermain.TAG_SCALING_RAW_HIGH", 1)),
            "to": (tag.get("servermain.TAG_SCALING_SCALED_LOW", 0), tag.get("servermain.TAG_SCALING_SCALED_HIGH", 1)),
            "zero": bool(zero), "zero_bits": bool(bits), "negated": tag.get("servermain.TAG_SCALING_NEGATE_VALUE"),
            "clamped": [tag.get(f"servermain.TAG_SCALING_CLAMP_{end}") for end in ("LOW", "HIGH")],
        }  # fmt: skip
        with result.spared(f"{item}.{path}"):
            _tag(f"{item}.{path}", path, keys, tags, result)


def _retries(item: str, attempts: int, result: Converted) -> int | None:
    """Retries for attempts that somebody chose."""
    if attempts == _USUAL_ATTEMPTS:
        return None
    if attempts > _MOST_RETRIES + 1:
        result.lose(item, f"{attempts} attempts at a request: {_MOST_RETRIES} retries are the most here")
    return min(attempts - 1, _MOST_RETRIES) or None


def _shown(device: Mapping[str, Any]) -> dict[str, Any]:
    """What people see of it; a device whose data collection is off is none that is read."""
    off = device.get("servermain.DEVICE_DATA_COLLECTION") is False
    return {"description": device.get(_DESCRIPTION) or None, "enabled": False if off else None}


def _orders(device: Mapping[str, Any]) -> dict[str, str]:
    """`byte_order`, and `byte_order_64` where that does not follow from it."""

    def on(key: str) -> bool:
        given = device.get(f"modbus_ethernet.DEVICE_{key}", device.get(f"modbus_serial.DEVICE_{key}", True))
        return given not in (False, 0)

    def ordered(letters: str, *, swapped: bool) -> str:
        words = [letters[at : at + 2] for at in range(0, len(letters), 2)]
        if on("FIRST_WORD_LOW"):
            words = [words[at ^ 1] for at in range(len(words))]
        if swapped:
            words = words[2:] + words[:2]
        return "".join(word if on("MODBUS_BYTE_ORDER") else word[::-1] for word in words)

    order = ordered("ABCD", swapped=False)
    found = {} if order == "ABCD" else {"byte_order": order}
    if on("FIRST_DWORD_LOW") != on("FIRST_WORD_LOW"):
        found["byte_order_64"] = ordered("ABCDEFGH", swapped=on("FIRST_DWORD_LOW"))
    return found


def _serial(item: str, channel: Mapping[str, Any], result: Converted) -> str:
    def of(key: str) -> Any:
        return channel.get(f"servermain.CHANNEL_SERIAL_COMMUNICATIONS_{key}")

    result.hint(item, f"a serial channel, COM{of('COM_ID') or '?'} there: write its port of Linux into `url`")
    parity = _PARITIES.get(of("PARITY"))
    if parity is None or of("BAUD_RATE") is None:
        result.hint(item, "its baud rate and parity are not in the project: write them into `url`")
    stop = of("STOP_BITS") or 1
    return f"serial:///dev/ttyS0?baudrate={of('BAUD_RATE') or 9600}&parity={parity or 'N'}&stopbits={stop}"


def _server(item: str, channel: Mapping[str, Any], device: Mapping[str, Any], result: Converted) -> None:
    keys: dict[str, Any] = {
        "type": "opcua", "url": channel.get("opcuaclient.CHANNEL_UA_SERVER_ENDPOINT_URL"),
        **_shown(device),
    }  # fmt: skip
    policy = channel.get("opcuaclient.CHANNEL_UA_SERVER_SECURITY_POLICY")
    if policy:
        mode = _MODES.get(channel.get("opcuaclient.CHANNEL_UA_SERVER_MESSAGE_MODE", 3), "SignAndEncrypt")
        keys["security"] = {"policy": "Basic256Sha256", "mode": mode}
        if policy in _BROKEN:
            result.hint(
                item, f"{_BROKEN[policy]} is broken and not spoken here: the server has to offer Basic256Sha256"
            )
        result.hint(item, "secured: the certificate is the agent's own here; docs/opcua.md says how a server trusts it")
    if channel.get("opcuaclient.CHANNEL_AUTHENTICATION_USERNAME"):
        result.lose(item, "its user: write username: and password_file: with a file of yours")
    tags = result.device(str(device.get(_NAME, channel.get(_NAME, ""))), keys)
    for path, tag in _tags(item, device, "", result):
        one = {"node": tag.get("servermain.TAG_ADDRESS", ""), "description": tag.get(_DESCRIPTION) or None}
        if not _NODE.match(str(one["node"])):
            result.lose(f"{item}.{path}", f"address {one['node']!r} is no node id")
            continue
        if tag.get("servermain.TAG_SCALING_TYPE", 0):
            result.lose(f"{item}.{path}", "scaling: write `scale:` and `offset:`; the raw value is read")
        result.tag(tags, path, one)


def _tags(
    item: str, holder: Mapping[str, Any], prefix: str, result: Converted
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tag in _mappings(item, holder.get("tags", []), result):
        yield f"{prefix}{tag.get(_NAME)}", tag
    for group in _mappings(item, holder.get("tag_groups", []), result):
        yield from _tags(item, group, f"{prefix}{group.get(_NAME)}.", result)


def _mappings(item: str, found: Any, result: Converted) -> Iterator[Mapping[str, Any]]:
    """Those of a list that are what they should be; one that is damaged costs itself only."""
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, dict):
            yield one
        else:
            result.lose(item, f"{str(one)[:40]!r} stands where something with properties is expected")


def _csv(text: str, result: Converted) -> None:
    rows = csv.DictReader(io.StringIO(text), delimiter=_delimiter(text))
    listed = [{str(key).strip().lower(): str(value or "").strip() for key, value in row.items()} for row in rows]
    if any(_NODE.match(one.get("address", "")) for one in listed):
        result.hint("the file", "a list of tags names no server: write its `url` and name")
        nodes = [
            {
                _NAME: one.get("tag name"), "servermain.TAG_ADDRESS": one.get("address"),
                _DESCRIPTION: one.get("description"),
                "servermain.TAG_SCALING_TYPE": _SCALINGS.get(one.get("scaling", "").lower(), 2),
            }
            for one in listed
        ]  # fmt: skip
        channel = {"opcuaclient.CHANNEL_UA_SERVER_ENDPOINT_URL": "opc.tcp://192.0.2.1:4840"}
        _server("the file", channel, {_NAME: "kepware", "tags": nodes}, result)
        return
    tags = result.device("kepware", {"type": "modbus", "url": "tcp://192.0.2.1", "byte_order": "CDAB"})
    result.hint("the file", "a list of tags names no device: write its `url`, `unit_id` and name")
    result.hint("the file", "byte_order CDAB is Kepware's default (first word low); take it away where that was off")
    for one in listed:
        name = one.get("tag name", "")
        keys: dict[str, Any] = {
            "address": one.get("address", ""), "type": _number_of_type(one.get("data type", "")),
            "rate": _number(one.get("scan rate", "")), "description": one.get("description") or None,
            "scaling": _SCALINGS.get(one.get("scaling", "").lower(), 2),
            "raw": (_number(one.get("raw low", "")), _number(one.get("raw high", ""))),
            "to": (_number(one.get("scaled low", "")), _number(one.get("scaled high", ""))),
            "unit": one.get("eng units") or None, "zero": True, "zero_bits": True,
            "negated": _number(one.get("negate value", "")) != 0,
            "clamped": [_number(one.get(f"clamp {end}", "")) for end in ("low", "high")],
        }  # fmt: skip
        _tag(name, name, keys, tags, result)


def _tag(item: str, name: str, given: Mapping[str, Any], tags: dict[str, Any], result: Converted) -> None:
    match = _ADDRESS.fullmatch(str(given["address"]).replace("x", "").strip())
    if match is None:
        result.lose(item, f"address {given['address']!r} is no Modbus address")
        return
    single = given["type"] - _ARRAY if given["type"] >= _ARRAY else given["type"]
    kind = _TYPES.get(single)
    if match["suffix"]:  # `400001F`: what it is stands behind the address; a data type of the tag's own goes before it
        behind = SUFFIXES.get(match["suffix"].upper())
        if behind is None:
            result.lose(item, f"address {given['address']!r} ends in a letter that is not known here")
            return
        kind = behind if single == _DEFAULT else kind
    if kind is None:
        result.lose(item, f"data type {given['type']} is not known here")
        return
    area, offset = _AREAS[match["area"]], int(match["number"]) - (1 if given["zero"] else 0)
    keys: dict[str, Any] = {"address": f"{area}:{offset}", "type": kind}
    if area in ("coil", "discrete"):
        del keys["type"]
    elif kind == "string":
        keys["length"] = int(match["more"] or 2)
        keys["string_order"] = "low_first" if match["order"] == "L" else None
    elif match["more"] is not None:
        keys = {"address": f"{area}:{offset}.{int(match['more']) - (0 if given['zero_bits'] else 1)}"}
    if match["array"] is not None or single != given["type"]:
        _array(item, match["array"] or "", keys, result)
    _scaled(item, given, keys, result)
    keys["unit"], keys["description"] = given["unit"] or None, given["description"] or None
    if given["rate"]:
        keys["interval"] = duration(given["rate"])
    result.tag(tags, name, keys)


def _array(item: str, array: str, keys: dict[str, Any], result: Converted) -> None:
    sizes = [int(size) for size in re.findall(r"\d+", array)]
    keys["count"] = prod(sizes)
    if len(sizes) > 1:
        result.hint(item, f"{sizes[0]} rows of {sizes[1]} become one list, row by row")
    elif not sizes:
        result.hint(item, "an array whose address does not say how long it is: write its `count`")


def _scaled(item: str, given: Mapping[str, Any], keys: dict[str, Any], result: Converted) -> None:
    if not given["scaling"]:
        return
    if given["scaling"] != 1:
        result.lose(item, "square root scaling; the raw value is read")
        return
    try:
        scale, offset = linear(*given["raw"], *given["to"])
    except (ZeroDivisionError, TypeError):
        result.lose(item, f"scaling from {given['raw']} to {given['to']} is no line; the raw value is read")
        return
    sign = -1 if given["negated"] else 1
    keys["scale"] = sign * scale
    keys["offset"] = sign * offset or None
    if any(given["clamped"]):
        ends = [sign * end or 0 if there else None for end, there in zip(given["to"], given["clamped"], strict=True)]
        bounds = zip(("min", "max"), ends[::sign], strict=True)
        keys["range"] = {name: end for name, end in bounds if end is not None}
        result.hint(item, "clamped there; here `range:` marks what is outside as uncertain and leaves the value")


def _place(text: str) -> tuple[str | None, int]:
    """Host and unit of `<192.168.1.10>.1`; without a host of a serial channel."""
    match = re.fullmatch(r"<([^>]+)>(?:\.(\d+))?", text.strip())
    if match is not None:
        return match[1], int(match[2] or 1)
    return None, int(text) if text.strip().isdigit() else 1


def _number_of_type(word: str) -> int:
    single = word.lower().removesuffix(" array")
    kind = _WORDS.get(single, -1)
    return kind + _ARRAY if kind >= 0 and single != word.lower() else kind


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return 0.0
