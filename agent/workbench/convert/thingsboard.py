"""ThingsBoard IoT Gateway: modbus.json and opcua.json, of today and of before (`server` with `devices`).

Source: the gateway's documentation, and how its uplink converters decode. `functionCode` says the area; addresses count
from zero; orders are two words, LITTLE where they are not given, and count for numbers only, not for bits and strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.workbench.convert.result import Converted, duration

_AREAS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_TYPES = {
    "16int": "int16", "16uint": "uint16", "32int": "int32", "32uint": "uint32", "64int": "int64", "64uint": "uint64",
    "16float": "float16", "32float": "float32", "64float": "float64", "string": "string",
    "8int": "int8", "8uint": "uint8",
}  # fmt: skip
#: What no byte order counts for there; None: a bit.
_RAW = ("string", "int8", "uint8", None)
#: As wide as `objectsCount` registers.
_WIDE = {"int": "int", "integer": "int", "long": "int", "uint": "uint", "float": "float", "double": "float"}
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
#: A path that is one way and no pattern: names with escaped dots between them.
_WAY = re.compile(r"\$?\{?((?:[^\\.${}*+?()\[\]|^]|\\{1,2}\.)+)\}?")
_RANGE = re.compile(r"(\d+)-(\d+)")


def is_thingsboard(data: Any) -> bool:
    """Whether it is a connector's file of Modbus or OPC UA."""
    if not isinstance(data, dict):
        return False
    master, server = data.get("master"), data.get("server")
    return (isinstance(master, dict) and "slaves" in master) or (
        isinstance(server, dict)
        and (("url" in server and ("mapping" in server or "mapping" in data)) or "devices" in server)
    )


def convert(data: Mapping[str, Any], result: Converted) -> None:
    """Every slave, or the server."""
    server = data.get("server") or {}
    for number, slave in enumerate(data.get("master", {}).get("slaves", []), 1):
        with result.spared(f"slave {number}"):
            _slave(slave, result)
    for device in server.get("devices", []):  # as it was before `master`
        method = "rtu" if server.get("rtuOverTcp") else "socket"
        period = device.get("timeseriesPollPeriod", 5000)
        _slave({"method": method, "pollPeriod": period, **server, **device}, result)
    if data.get("slave"):
        result.lose("slave", "the gateway as a Modbus server has no match here: the agent only reads")
    if "url" in server:
        _server(server, data.get("mapping", server.get("mapping", [])), result)


def _slave(slave: Mapping[str, Any], result: Converted) -> None:
    item = str(slave.get("deviceName", "slave"))
    kind, method = str(slave.get("type", "tcp")).lower(), str(slave.get("method", "socket")).lower()
    if kind == "serial":
        line = {key: slave.get(key, usual) for key, usual in (("baudrate", 19200), ("parity", "N"), ("stopbits", 1))}
        url = f"serial://{slave.get('port')}?" + "&".join(f"{key}={value}" for key, value in line.items())
    elif (kind, method) in _SCHEMES:
        scheme = "tls" if slave.get("security") or slave.get("tls") else _SCHEMES[kind, method]
        url = f"{scheme}://{slave.get('host')}:{slave.get('port', 502)}"
    else:
        result.lose(item, f"type {kind!r} with method {method!r} is not known here")
        return
    order = _order(slave, slave)
    absent = [key for key in ("byteOrder", "wordOrder") if not slave.get(key)]
    if absent and order is not None:
        result.hint(
            item,
            f"no {' and no '.join(absent)}, which is LITTLE there: byte_order {order}; compare with"
            " `edge-agent read … --orders`",
        )
    keys = {
        "type": "modbus", "url": url, "unit_id": slave.get("unitId", 1), "byte_order": order,
        "interval": duration(slave.get("pollPeriod", 5000)), "timeout": f"{min(int(slave.get('timeout', 3)), 60)}s",
    }  # fmt: skip
    if pause := slave.get("delayBetweenRequestsMs"):
        keys["workarounds"] = {"pause_between_requests": duration(pause)}
    tags = result.device(item, keys)
    for section in ("attributes", "timeseries"):
        for one in slave.get(section, []):
            for single in _each(one):
                _value(f"{item} {section} {single.get('tag')}", single, slave, tags, result)
    for section in ("attributeUpdates", "rpc"):
        for one in slave.get(section, []) if isinstance(slave.get(section), list) else []:
            result.lose(f"{item} {section} {one.get('tag')}", "writes to the device, which the agent never does")


def _order(given: Mapping[str, Any], slave: Mapping[str, Any]) -> str | None:
    """Ours for its two words; what a tag does not say its slave does."""
    byte, word = (str(given.get(key) or slave.get(key) or "LITTLE").upper() for key in ("byteOrder", "wordOrder"))
    return _ORDERS.get((byte, word))


def _each(one: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A value at `50-60` is one for each `objectsCount` of these places, named by `tagOverrides` or by its number."""
    span = _RANGE.fullmatch(str(one.get("address")))
    if span is None:
        yield one
        return
    names = one.get("tagOverrides", {})
    for at in range(int(span[1]), min(int(span[2]), 65535) + 1, max(int(one.get("objectsCount", 1)), 1)):
        pattern = str(one["tag"])
        name = pattern if "${address}" in pattern else f"{pattern}_${{address}}"
        filled = {key: str(one.get(key, "")) for key in ("functionCode", "type", "objectsCount")} | {"address": str(at)}
        for key, value in filled.items():
            name = name.replace(f"${{{key}}}", value)
        yield {**one, "address": at, "tag": names.get(str(at), name)}


def _value(
    item: str, one: Mapping[str, Any], slave: Mapping[str, Any], tags: dict[str, Any], result: Converted
) -> None:
    area = _AREAS.get(one.get("functionCode", 3))
    if area is None:
        result.lose(item, f"functionCode {one.get('functionCode')} does not read")
        return
    keys: dict[str, Any] = {"address": f"{area}:{int(one['address'])}"}
    count = int(one.get("objectsCount", one.get("registerCount", one.get("registersCount", 1))))
    if area in ("coil", "discrete"):
        keys["count"] = count if count > 1 else None
    elif not _typed(item, one, count, keys, result):
        return
    elif keys.get("type") in _RAW:
        keys["byte_order"] = "ABCD" if _order(slave, slave) in ("BADC", "DCBA") else None
    elif (order := _order(one, slave)) != _order(slave, slave):
        keys["byte_order"] = order or "ABCD"
    if one.get("divider"):
        keys["scale"] = 1 / one["divider"]
    elif one.get("multiplier"):
        keys["scale"] = one["multiplier"]
    if one.get("variants"):
        keys["enum"] = {int(number): str(text) for number, text in one["variants"].items()}
        result.hint(item, "its texts stand in `label` here, the number stays in `value`")
    result.tag(tags, str(one["tag"]), keys | _reported(one, slave))


def _reported(one: Mapping[str, Any], slave: Mapping[str, Any]) -> dict[str, str]:
    """What is sent only where it changes, or at a period of its own, is so here too."""
    strategy = one.get("reportStrategy") or slave.get("reportStrategy") or {}
    kind = strategy.get("type", "ON_CHANGE" if slave.get("sendDataOnlyOnChange") is True else None)
    if kind == "ON_CHANGE_OR_REPORT_PERIOD" and strategy.get("reportPeriod"):
        return {"report": "on_change", "max_silence": duration(strategy["reportPeriod"])}
    if kind == "ON_REPORT_PERIOD" and strategy.get("reportPeriod"):
        return {"interval": duration(max(strategy["reportPeriod"], slave.get("pollPeriod", 5000)))}
    return {"report": "on_change"} if kind in ("ON_CHANGE", "ON_CHANGE_OR_REPORT_PERIOD") else {}


def _typed(item: str, one: Mapping[str, Any], count: int, keys: dict[str, Any], result: Converted) -> bool:
    """Whether the registers of a value mean something here: its type, length and bits are then in `keys`."""
    kind = str(one.get("type", "16int")).lower()
    if kind in _WIDE:
        kind = f"{16 * count}{_WIDE[kind]}"
    if kind in ("bit", "bits") and (kind == "bit" or one.get("bit") is not None):
        keys["address"] += f".{one.get('bit', 0)}"
        result.hint(item, "versions of the gateway count bits in different ways: look at this one")
    elif kind == "bits":
        keys["type"] = "uint16"
        result.hint(item, "bits of a register: read as its number; name single bits as holding:N.B")
    elif kind in _TYPES:
        keys["type"] = _TYPES[kind]
        keys["length"] = 2 * count if kind == "string" else None
        keys["bits"] = [8, 15] if kind in ("8int", "8uint") else None
    else:
        result.lose(item, f"type {kind!r} is not known here")
        return False
    return True


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
        paths = list(_paths(device, number))
        reads = [(item, path) for item, _, path in paths if path != _WRITE]
        ways = {item: way for item, path in reads if (way := _way(str(device.get("deviceNodePattern")), path))}
        found = {"include": list(ways.values())}
        tags = result.device(_device_name(device, number), {**keys, "browse": found if ways else None})
        for item, name, path in paths:
            match = _NODE.fullmatch(path)
            if path == _WRITE:
                result.lose(item, "writes to the device, which the agent never does")
            elif match is not None:
                result.tag(tags, name, {"node": match[1].replace(" ", "")})
            elif item in ways:
                result.hint(item, f"found by its path on every connection: its tag is called {ways[item]}")
            else:
                result.lose(item, f"the path {path!r} is a pattern; `edge-agent browse {keys['url']}` prints its node")


def _way(device: str, path: str) -> str | None:
    """The names below Objects that lead to a value, as `browse:` has them; None where they are a pattern."""
    names: list[str] = []
    for text in (device, path):
        match = _WAY.fullmatch(text)
        if match is None or _NODE.fullmatch(text):
            return None
        steps = re.split(r"\\{1,2}\.", match[1])
        names = steps if steps[0] == "Root" else names + steps
    return "/".join(names[2:]) if names[:2] == ["Root", "Objects"] and len(names) > 2 else None


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
            yield f"mapping {number} {section} {name}", name, str(one.get("path", one.get("value", ""))).strip()
    for section in ("rpc_methods", "attributes_updates"):
        for one in device.get(section, []) if isinstance(device.get(section), list) else []:
            yield (
                f"mapping {number} {section}",
                str(one.get("method", one.get("attributeOnThingsBoard", ""))),
                _WRITE,
            )
