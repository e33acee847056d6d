"""Neuron (EMQX): south nodes with groups and tags as JSON.

Addresses are `unit!4xxxxx` (or `4xxxx`), counting from one; `.n` a bit; `.nH`, `.nL`, `.nD`, `.nE` a string of n
bytes. `#LL` is the order of the standard and the default (1234), `#LB` 2143, `#BL` 3412, `#BB` 4321, of 32 and 64 bits;
`#L` 12 and `#B` 21 of 16 bits. What a tag does not say the node does (`endianess` 1 to 4, `address_base` 0 or 1).
An OPC UA node's addresses are `NS!IDENTIFIER`, `NS[2,3]!IDENTIFIER` for an element of an array.
Source: the tables `#ENDIAN` and `ADDRESS` of the drivers in Neuron's manual, and the settings its plugins list.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from agent.workbench.convert.result import Converted, duration

_TYPES = {
    3: "int16", 4: "uint16", 5: "int32", 6: "uint32", 7: "int64", 8: "uint64", 9: "float32", 10: "float64",
    11: "bool", 12: "bool", 13: "string", 16: "uint16", 17: "uint32", 18: "uint64",
}  # fmt: skip
_ORDERS = {"LL": None, "LB": "BADC", "BL": "CDAB", "BB": "DCBA"}
#: `endianess` of a node.
_NODE_ORDERS = {1: "LL", 2: "LB", 3: "BB", 4: "BL"}
#: Bits of a tag's attribute: it is read, told where it changes, asked of no device.
_READS, _SUBSCRIBED, _STATIC = 1, 4, 8
_AREAS = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_STRINGS = {"H": None, "L": "low_first", "D": "one_per_register_high", "E": "one_per_register"}
_ADDRESS = re.compile(
    r"(?P<unit>\d+)!(?P<area>[0134])(?P<number>\d{4,5})(?:\.(?P<more>\d+)(?P<string>[HLDE]?))?(?:#(?P<order>[BL]{1,2}))?"
)
_NODE = re.compile(r"(?P<space>\d+)(?:\[(?P<index>\d+(?:,\d+)*)\])?!(?P<identifier>.+)")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_READ = 1  #: `update_mode`; 2 subscribes, 3 does both
_USUAL_PAUSE = 20  #: milliseconds between requests, what a node has where nobody chose it
_Tag = tuple[str, str, Mapping[str, Any]]  # driver, group, tag
_SCHEMES = {"Modbus TCP": "tcp", "Modbus TCP QH": "tcp", "Modbus RTU over TCP": "rtu+tcp", "Modbus RTU": "serial"}


def is_neuron(data: Any) -> bool:
    """Whether it has nodes with a plugin."""
    nodes = data.get("nodes") if isinstance(data, dict) else None
    return isinstance(nodes, list) and any(isinstance(node, dict) and "plugin" in node for node in nodes)


def convert(data: Mapping[str, Any], result: Converted) -> None:
    """Every south node: a device for each unit that its tags name."""
    under = [{**group, "driver": node.get("name")} for node in data["nodes"] for group in node.get("groups") or []]
    data = {**data, "groups": [*data.get("groups", []), *under]}  # what /api/v2/global/drivers has under its nodes
    intervals = {
        (group.get("driver"), group.get("group", group.get("name"))): group.get("interval", 1000)
        for group in data.get("groups", [])
    }
    tags: dict[str, list[_Tag]] = defaultdict(list)
    for one in _tags(data):
        tags[one[0]].append(one)
    settings = {str(one.get("node")): one.get("params", {}) for one in reversed(data.get("settings", []))}
    for node in data["nodes"]:
        name, plugin = str(node.get("name")), str(node.get("plugin"))
        mine = tags[name]
        if not mine and (plugin in _SCHEMES or plugin.upper() == "OPC UA"):
            result.lose(name, "no tags of it are in the file")
        elif plugin in _SCHEMES:
            with result.spared(name):
                _node(name, _SCHEMES[plugin], node.get("params") or settings.get(name, {}), mine, intervals, result)
        elif plugin.upper() == "OPC UA":
            with result.spared(name):
                _server(name, node.get("params") or settings.get(name, {}), mine, intervals, result)
        elif mine:
            result.lose(
                name, f"plugin {plugin!r} is not a protocol that the agent reads; its {len(mine)} tags are left out"
            )
        else:
            result.lose(name, f"plugin {plugin!r} has no match here")


def _tags(data: Mapping[str, Any]) -> Iterator[_Tag]:
    """Driver, group and tag, in either form: tags under their groups, or one by one."""
    for one in [*data.get("tags", []), *data.get("groups", [])]:
        driver, group = str(one.get("driver")), str(one.get("group", one.get("name", "")))
        if isinstance(one.get("tags"), list):
            yield from ((driver, group, tag) for tag in one["tags"])
        elif "address" in one:
            yield driver, group, one


def _node(
    name: str, scheme: str, params: Mapping[str, Any], tags: list[_Tag],
    intervals: Mapping[tuple[Any, Any], int], result: Converted,
) -> None:  # fmt: skip
    if scheme == "serial" and params.get("device"):
        baud, parity = _BAUD.get(int(params.get("baud", 4)), 9600), int(params.get("parity", 0))
        line = f"baudrate={baud}&parity={_PARITIES.get(parity, 'N')}&stopbits={int(params.get('stop', 0)) + 1}"
        url = f"serial://{params['device']}?{line}"
        if parity not in _PARITIES:
            result.hint(name, "parity mark or space is not known here: look at what the device takes")
    elif params.get("connection_mode") == 1:
        url = f"tcp-listen://{params.get('host', '0.0.0.0')}:{params.get('port', 502)}"  # noqa: S104 - as it stands there
        result.hint(name, "the device dials in: write `dtu: {registration: …}` with what it says first")
    else:
        transport = "rtu+tcp" if scheme == "serial" else scheme
        url = f"{transport}://{params.get('host', '192.0.2.1')}:{params.get('port', 502)}"
    devices: dict[int, dict[str, Any]] = {}
    parsed = [(group, tag, _ADDRESS.fullmatch(str(tag.get("address", "")).strip())) for _, group, tag in tags]
    units = {int(match["unit"]) for _, _, match in parsed if match is not None}
    for group, tag, match in parsed:
        item = f"{name} {group} {tag.get('name')}"
        if _static(item, tag, result):
            continue
        if match is None:
            result.lose(item, f"address {tag.get('address')!r} is no Modbus address of Neuron's")
            continue
        unit = int(match["unit"])
        if unit not in devices:
            keys = {
                "type": "modbus", "url": url, "unit_id": unit, "timeout": duration(params.get("timeout", 3000)),
                "retries": min(int(params.get("max_retries") or 0), 3) or None,
            }  # fmt: skip
            if (pause := int(params.get("interval") or 0)) > _USUAL_PAUSE:
                keys["workarounds"] = {"pause_between_requests": duration(pause)}
            devices[unit] = result.device(name if len(units) == 1 else f"{name}-{unit}", keys)
        every = duration(intervals.get((name, group), 1000))
        _tag(item, tag, match, every, devices[unit], params, result)


def _tag(
    item: str, tag: Mapping[str, Any], match: re.Match[str], every: str, tags: dict[str, Any],
    params: Mapping[str, Any], result: Converted,
) -> None:  # fmt: skip
    first = 0 if params.get("address_base") == 0 else 1
    area, offset, order = _AREAS[match["area"]], int(match["number"]) - first, match["order"] or ""
    kind = _TYPES.get(tag.get("type", 4))
    if kind is None:
        result.lose(item, f"type {tag.get('type')} is not known here")
        return
    keys: dict[str, Any] = {"address": f"{area}:{offset}", "type": kind, "interval": every}
    if area in ("coil", "discrete"):
        del keys["type"]
    elif kind == "bool":
        keys = {"address": f"{area}:{offset}.{match['more'] or 0}", "interval": every}
    elif kind == "string":
        keys |= {"length": int(match["more"] or 2), "string_order": _STRINGS.get(match["string"])}
        if match["string"] in ("D", "E"):
            result.hint(item, "D and E: Neuron's manual and its program differ in which byte of a register is meant")
    elif not kind.endswith("16"):
        usual = "LL" if kind.endswith("64") else _NODE_ORDERS.get(params.get("endianess", 1), "LL")
        keys["byte_order"] = _ORDERS.get(order or usual)
        if kind.endswith("64"):
            result.hint(item, "64 bits: look at the order with `edge-agent read … --orders`")
    elif order == "B":
        keys["byte_order"] = "BADC"
    if kind not in ("bool", "string"):
        keys |= _linear(tag)
    if kind.startswith("float"):
        keys["round"] = tag.get("precision") or None
    result.tag(tags, str(tag["name"]), keys | _shown(tag))


def _linear(tag: Mapping[str, Any]) -> dict[str, Any]:
    decimal = tag.get("decimal") or 0
    return {"scale": decimal if decimal not in (0, 1) else None, "offset": tag.get("bias") or None}


def _server(
    name: str, params: Mapping[str, Any], tags: list[_Tag], intervals: Mapping[tuple[Any, Any], int], result: Converted
) -> None:
    mode = "poll" if params.get("update_mode", _READ) <= _READ else "subscribe"
    given = {"type": "opcua", "url": params.get("url"), "mode": mode}
    if mode == "subscribe":
        given["interval"] = duration(params.get("publish-interval", 500))
    if params.get("cert") or params.get("security_mode", 1) > 1:
        result.hint(name, "secured: write `security:` with what the server offers, with the agent's own certificate")
    if params.get("username"):
        result.lose(name, f"the user {params['username']}: write username: and password_file: with a file of yours")
    made = result.device(name, given)
    for _, group, tag in tags:
        item = f"{name} {group} {tag.get('name')}"
        match = _NODE.fullmatch(str(tag.get("address", "")).strip())
        if _static(item, tag, result):
            continue
        if match is None:
            result.lose(item, f"address {tag.get('address')!r} is no OPC UA address of Neuron's")
            continue
        identifier = match["identifier"]
        kind = "i" if identifier.isdecimal() else "g" if _GUID.fullmatch(identifier) else "s"
        keys = {"node": f"ns={match['space']};{kind}={identifier}", "index_range": match["index"]}
        if mode == "poll":
            keys["interval"] = duration(intervals.get((name, group), 1000))
        result.tag(made, str(tag["name"]), keys | _linear(tag) | _shown(tag, polled=mode == "poll"))


def _shown(tag: Mapping[str, Any], *, polled: bool = True) -> dict[str, Any]:
    """Its text, and whether it is told only where it changes."""
    on_change = polled and int(tag.get("attribute", _READS)) & _SUBSCRIBED
    return {"report": "on_change" if on_change else None, "description": tag.get("description") or None}


def _static(item: str, tag: Mapping[str, Any], result: Converted) -> bool:
    """Whether no device is read for it: it was written down, or is only written."""
    attribute = int(tag.get("attribute", _READS))
    if attribute & _STATIC:
        result.lose(item, f"a value that was written down ({tag.get('value')!r}): nothing is read for it")
    elif not attribute & (_READS | _SUBSCRIBED):
        result.lose(item, "writes to the device, which the agent never does")
    return not attribute & (_READS | _SUBSCRIBED) or bool(attribute & _STATIC)


_BAUD = {0: 115200, 1: 57600, 2: 38400, 3: 19200, 4: 9600, 5: 4800, 6: 2400, 7: 1800, 8: 1200, 9: 600}
_PARITIES = {0: "N", 1: "O", 2: "E"}
