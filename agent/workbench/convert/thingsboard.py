"""ThingsBoard IoT Gateway: modbus.json and opcua.json.

Source: the gateway's documentation. `functionCode` says the area; addresses count from zero; orders are two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.workbench.convert.result import Converted, duration

_AREAS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_TYPES = {
    "16int": "int16", "16uint": "uint16", "32int": "int32", "32uint": "uint32", "64int": "int64", "64uint": "uint64",
    "16float": "float16", "32float": "float32", "64float": "float64", "string": "string", "int": "int16",
    "long": "int32", "float": "float32", "double": "float64",
}  # fmt: skip
#: byteOrder, wordOrder → ours.
_ORDERS = {("BIG", "BIG"): None, ("BIG", "LITTLE"): "CDAB", ("LITTLE", "BIG"): "BADC", ("LITTLE", "LITTLE"): "DCBA"}
_SCHEMES = {
    ("tcp", "socket"): "tcp",
    ("udp", "socket"): "udp",
    ("tcp", "rtu"): "rtu+tcp",
    ("tcp", "ascii"): "ascii+tcp",
}
_WRITE = "a write"
_NODE = re.compile(r"\$?\{?\s*(ns=\d+;\s*[isgb]=[^}]+?)\s*\}?")


def is_thingsboard(data: Any) -> bool:
    """Whether it is a connector's file of Modbus or OPC UA."""
    if not isinstance(data, dict):
        return False
    master, server = data.get("master"), data.get("server")
    return (isinstance(master, dict) and "slaves" in master) or (
        isinstance(server, dict) and "url" in server and ("mapping" in server or "mapping" in data)
    )


def convert(data: Mapping[str, Any], result: Converted) -> None:
    """Every slave, or the server."""
    for slave in data.get("master", {}).get("slaves", []):
        _slave(slave, result)
    if "slave" in data:
        result.lose("slave", "the gateway as a Modbus server has no match here: the agent only reads")
    if "server" in data:
        _server(data["server"], data.get("mapping", data["server"].get("mapping", [])), result)


def _slave(slave: Mapping[str, Any], result: Converted) -> None:
    item = str(slave.get("deviceName", "slave"))
    kind, method = str(slave.get("type", "tcp")).lower(), str(slave.get("method", "socket")).lower()
    order = _ORDERS.get((str(slave.get("byteOrder", "LITTLE")).upper(), str(slave.get("wordOrder", "LITTLE")).upper()))
    if kind == "serial":
        url = f"serial://{slave.get('port')}?baudrate={slave.get('baudrate', 19200)}&parity={slave.get('parity', 'N')}"
    elif (kind, method) in _SCHEMES:
        scheme = "tls" if slave.get("security") or slave.get("tls") else _SCHEMES[kind, method]
        url = f"{scheme}://{slave.get('host')}:{slave.get('port', 502)}"
    else:
        result.lose(item, f"type {kind!r} with method {method!r} is not known here")
        return
    keys = {
        "type": "modbus", "url": url, "unit_id": slave.get("unitId", 1), "byte_order": order,
        "interval": duration(slave.get("pollPeriod", 5000)), "timeout": f"{min(int(slave.get('timeout', 3)), 60)}s",
    }  # fmt: skip
    tags = result.device(item, keys)
    for section in ("attributes", "timeseries"):
        for one in slave.get(section, []):
            _value(f"{item} {section} {one.get('tag')}", one, tags, result)
    for section in ("attributeUpdates", "rpc"):
        for one in slave.get(section, []) if isinstance(slave.get(section), list) else []:
            result.lose(f"{item} {section} {one.get('tag')}", "writes to the device, which the agent never does")


def _value(item: str, one: Mapping[str, Any], tags: dict[str, Any], result: Converted) -> None:
    area = _AREAS.get(one.get("functionCode", 3))
    if area is None:
        result.lose(item, f"functionCode {one.get('functionCode')} does not read")
        return
    count, kind = int(one.get("objectsCount", 1)), str(one.get("type", "16int"))
    keys: dict[str, Any] = {"address": f"{area}:{one['address']}"}
    if area in ("coil", "discrete"):
        keys["count"] = count if count > 1 else None
    elif kind in ("bit", "bits"):
        if one.get("bit") is None and count == 1 and kind == "bits":
            keys["type"] = "uint16"
            result.hint(item, "bits of a register: read as its number; name single bits as holding:N.B")
        else:
            keys["address"] += f".{one.get('bit', 0)}"
    elif kind in _TYPES:
        keys["type"] = _TYPES[kind]
    else:
        result.lose(item, f"type {kind!r} is not known here")
        return
    if keys.get("type") == "string":
        keys["length"] = 2 * count
    if one.get("multiplier"):
        keys["scale"] = one["multiplier"]
    elif one.get("divider"):
        keys["scale"] = 1 / one["divider"]
    result.tag(tags, str(one["tag"]), keys)


def _server(server: Mapping[str, Any], mapping: list[Mapping[str, Any]], result: Converted) -> None:
    url = str(server["url"])
    security = str(server.get("security", "None"))
    polled = bool(server.get("disableSubscriptions")) or server.get("enableSubscriptions") is False
    keys: dict[str, Any] = {
        "type": "opcua", "url": url if "://" in url else f"opc.tcp://{url}",
        "mode": "poll" if polled else "subscribe",
        "interval": duration(_period(server, polled=polled)),
    }  # fmt: skip
    if security not in ("None", ""):
        result.hint("server", f"security {security}: write `security:` with what the server offers (docs/opcua.md)")
    identity = server.get("identity", {})
    if identity.get("type") == "username" or identity.get("username"):
        user = identity.get("username")
        result.lose("server", f"the user {user}: write username: and password_file: with a file of yours")
    for number, device in enumerate(mapping, 1):
        tags = result.device(_device_name(device, number), keys)
        for item, name, path in _paths(device, number):
            match = _NODE.fullmatch(path.strip())
            if match is not None:
                result.tag(tags, name, {"node": match[1].replace(" ", "")})
            elif path == _WRITE:
                result.lose(item, "writes to the device, which the agent never does")
            else:
                result.lose(item, f"the path {path!r} is a pattern; browse the server and write its node")


def _period(server: Mapping[str, Any], *, polled: bool) -> float:
    """How often values come, milliseconds. `scanPeriodInMillis` is an hour where it only looks for new nodes."""
    if not polled:
        return float(server.get("subCheckPeriodInMillis", 500))
    return float(server.get("pollPeriodInMillis", server.get("scanPeriodInMillis", 5000)))


def _device_name(device: Mapping[str, Any], number: int) -> str:
    pattern = str(device.get("deviceNamePattern") or device.get("deviceInfo", {}).get("deviceNameExpression") or "")
    return f"opcua-{number}" if not pattern or "${" in pattern else pattern


def _paths(device: Mapping[str, Any], number: int) -> Iterator[tuple[str, str, str]]:
    for section in ("attributes", "timeseries"):
        for one in device.get(section, []):
            name = str(one.get("key", one.get("tag", "")))
            yield f"mapping {number} {section} {name}", name, str(one.get("path", one.get("value", "")))
    for section in ("rpc_methods", "attributes_updates"):
        for one in device.get(section, []) if isinstance(device.get(section), list) else []:
            yield (
                f"mapping {number} {section}",
                str(one.get("method", one.get("attributeOnThingsBoard", ""))),
                _WRITE,
            )
