"""Telegraf: `inputs.modbus` in its three styles, `inputs.opcua` and `inputs.opcua_listener`.

Source: the plugins' documentation. Addresses count from zero; `controller` is tcp://HOST:PORT or file:///dev/tty….
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.workbench.convert.registers import HALVES, order_of
from agent.workbench.convert.result import Converted, duration

_TYPES = {
    "INT16": "int16", "UINT16": "uint16", "INT32": "int32", "UINT32": "uint32", "INT64": "int64", "UINT64": "uint64",
    "FLOAT16": "float16", "FLOAT32": "float32", "FLOAT64": "float64", "STRING": "string",
    "FLOAT16-IEEE": "float16", "FLOAT32-IEEE": "float32", "FLOAT64-IEEE": "float64",
}  # fmt: skip
#: Fixed point numbers by how many registers they have. In the register style FLOAT32 is an old word for UFIXED.
_UNSIGNED = {1: "uint16", 2: "uint32", 4: "uint64"}
_FIXED = {"FIXED": {1: "int16", 2: "int32", 4: "int64"}, "UFIXED": _UNSIGNED, "FLOAT32": _UNSIGNED}
_LISTS = {"coils": "coil", "discrete_inputs": "discrete", "holding_registers": "holding", "input_registers": "input"}
_MODES = {"RTUoverTCP": "rtu+tcp", "ASCIIoverTCP": "ascii+tcp", "TCP": "tcp", "auto": "tcp", "": "tcp"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
#: Where a register holds one character of a string.
_STRINGS = {"upper": "one_per_register_high", "lower": "one_per_register"}
#: Keys that are read here, at whatever level, and those that change nothing in what is read.
_READ = frozenset({
    "name", "name_override", "interval", "timeout", "controller", "transmission_mode", "configuration_type",
    "slave_id", "register", "request", "metric", "coils", "discrete_inputs", "holding_registers", "input_registers",
    "baud_rate", "parity", "stop_bits", "data_bits", "workarounds", "pause_after_connect", "pause_between_requests",
    "close_connection_after_gather", "string_register_location", "fields", "tags", "default_tags", "address",
    "type", "data_type", "bit", "length", "scale", "byte_order", "omit", "endpoint", "request_timeout",
    "subscription_interval", "security_policy", "security_mode", "username", "password", "auth_method",
    "certificate", "private_key", "nodes", "group", "events", "id", "namespace", "namespace_uri", "identifier",
    "identifier_type", "monitoring_params", "sampling_interval", "data_change_filter", "queue_size",
    "deadband_type", "deadband_value", "trigger", "alias", "client_trace", "debug_connection",
    "exclude_register_type_tag", "log_level", "measurement", "name_prefix", "name_suffix", "optional_fields",
    "optimization_max_register_fill", "busy_retries_wait",
})  # fmt: skip
#: Not set, or what is so here too: `timestamp = "source"`.
_UNSET = (None, False, 0, "", "none", "source")
#: Other keys are told; of these it is known what the agent does instead.
_INSTEAD = {
    "busy_retries": "a busy device is asked again up to four times within the cycle",
    "max_bit_registers_per_request": "write `max_bits:`",
    "max_word_registers_per_request": "write `max_registers:`",
    "one_request_per_field": "the agent plans its requests; `max_registers:` bounds each",
    "optimization": "the agent plans its requests; `max_gap:` says how many unwanted registers one may bridge",
    "output": "a value has the type that its registers, scale and offset give it",
    "timestamp": "`clock:` of the device says whose time a reading has",
}


def is_telegraf(document: Any) -> bool:
    """Whether it has one of the inputs that can be converted, or is Telegraf's at all."""
    return isinstance(document, dict) and isinstance(document.get("inputs"), dict)


def convert(document: Mapping[str, Any], result: Converted) -> None:
    """Every input of the file."""
    default = document.get("agent", {}).get("interval", "10s")
    for kind, plugins in document["inputs"].items():
        for number, plugin in enumerate(plugins if isinstance(plugins, list) else [plugins], 1):
            item = f"inputs.{kind} {number}"
            with result.spared(item):
                if kind == "modbus":
                    _modbus(item, plugin, default, result)
                elif kind in ("opcua", "opcua_listener"):
                    _opcua(item, plugin, default, result, subscribe=kind == "opcua_listener")
                else:
                    result.lose(item, "not a protocol that the agent reads")
    if labels := document.get("global_tags"):
        result.lose("global_tags", f"its labels {', '.join(labels)}: `location:` of the agent says such things here")
    for section in ("outputs", "processors", "aggregators"):
        for kind in document.get(section, {}):
            result.lose(f"{section}.{kind}", "write a publisher for it; nothing of it is carried over")


# --- modbus -----------------------------------------------------------------------------------------------------------


def _modbus(item: str, plugin: Mapping[str, Any], default: str, result: Converted) -> None:
    url = _url(plugin)
    if url is None:
        result.lose(item, f"controller {plugin.get('controller')!r} is not an address that the agent can use")
        return
    base: dict[str, Any] = {
        "type": "modbus", "url": url, "interval": _time(plugin.get("interval", default)),
        "timeout": _time(plugin.get("timeout", "1s")),
    }  # fmt: skip
    odd = plugin.get("workarounds", {})
    pauses = {key: _time(odd.get(key, "")) for key in ("pause_after_connect", "pause_between_requests")}
    kept = {**pauses, "close_after_cycle": odd.get("close_connection_after_gather") or None}
    base["workarounds"] = {key: value for key, value in kept.items() if value is not None} or None
    _left(item, plugin, result)
    _left(f"{item} workarounds", odd, result)
    others = set(result.devices)
    name = str(plugin.get("name") or plugin.get("name_override") or "modbus")
    _labels(item, plugin, result=result)
    style = plugin.get("configuration_type", "register")
    if style == "register":
        tags = result.device(name, {**base, "unit_id": plugin.get("slave_id", 1)})
        for key, area in _LISTS.items():
            for field in plugin.get(key, []):
                _register(f"{item} {key}", field, area, tags, result)
    elif style in ("request", "metric"):
        _groups(item, name, base, plugin.get(style, []), style, result)
    else:
        result.lose(item, f"configuration_type {style!r} is unknown")
    for other in ("request", "metric"):
        if other != style and other in plugin:
            result.lose(f"{item} {other}", f'Telegraf reads them only with `configuration_type = "{other}"`')
    if (order := _STRINGS.get(str(odd.get("string_register_location", "")))) is not None:
        for tag in (tag for own in result.devices.keys() - others for tag in result.devices[own]["tags"].values()):
            if tag.get("type") == "string":  # a character for each register
                tag.pop("byte_order", None)
                tag |= {"length": tag["length"] // 2, "string_order": order}


def _left(item: str, given: Mapping[str, Any], result: Converted) -> None:
    """Every key that is not read here, and set, is told."""
    for key in sorted(given.keys() - _READ):
        if given[key] not in _UNSET:
            result.lose(item, f"{key}: {_INSTEAD.get(key, 'there is no such setting here')}")


def _groups(
    item: str, name: str, base: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], style: str, result: Converted
) -> None:
    """Requests and metrics: each names its slave, so that one plugin may be several devices."""
    devices: dict[int, dict[str, Any]] = {}
    slaves = {group.get("slave_id", 1) for group in groups}
    for number, group in enumerate(groups, 1):
        slave = group.get("slave_id", 1)
        if slave not in devices:
            own = name if len(slaves) == 1 else f"{name}-{slave}"
            devices[slave] = result.device(own, {**base, "unit_id": slave})
        _labels(f"{item} {style} {number}", group, result=result)
        _left(f"{item} {style} {number}", group, result)
        for field in group.get("fields", []):
            where = f"{item} {style} {number} field {field.get('name', field.get('address'))}"
            if field.get("omit"):
                continue
            _left(where, field, result)
            area = field.get("register", group.get("register", "holding"))
            single = {**field, "byte_order": group.get("byte_order", "ABCD")}
            _field(where, single, area, field["address"], devices[slave], result)


def _register(item: str, field: Mapping[str, Any], area: str, tags: dict[str, Any], result: Converted) -> None:
    places = field["address"]
    first, count = places[0], len(places)
    if list(places) != list(range(first, first + count)):
        result.lose(f"{item} {field['name']}", f"the registers {places} do not follow each other")
        return
    kind = field.get("data_type", "")
    fixed = _FIXED.get(kind, {}).get(count)
    if kind == "FLOAT32":
        result.hint(f"{item} {field['name']}", "FLOAT32 is UFIXED there, an unsigned number; floats are FLOAT32-IEEE")
    single = {**field, "type": kind, "fixed": fixed, "length": count if kind == "STRING" else None}
    _field(f"{item} {field['name']}", single, area, first, tags, result)


def _field(
    item: str, field: Mapping[str, Any], area: str, address: int, tags: dict[str, Any], result: Converted
) -> None:
    name = str(field.get("name") or f"{area}_{address}")
    if area in ("coil", "discrete"):
        result.tag(tags, name, {"address": f"{area}:{address}"})
        return
    keys: dict[str, Any] = {"address": f"{area}:{address}"}
    kind = str(field.get("type", "UINT16"))
    if kind == "BIT":
        keys["address"] = f"{area}:{address}.{field.get('bit', 0)}"
    elif kind[:-1] in ("INT8", "UINT8") and kind[-1] in HALVES:
        keys |= {"type": kind[:-1].lower(), "bits": HALVES[kind[-1]]}
    elif field.get("fixed") or kind in _TYPES:
        keys["type"] = field.get("fixed") or _TYPES[kind]
    else:
        result.lose(item, f"data type {kind!r} is not known here")
        return
    if keys.get("type") == "string":
        keys["length"] = 2 * int(field.get("length") or 1)
    try:
        keys["byte_order"] = order_of(str(field.get("byte_order", "")))
    except ValueError:
        result.lose(item, f"byte order {field.get('byte_order')!r} is not known here")
        return
    scale = field.get("scale", 1)
    scale = float(scale) if isinstance(scale, str) else scale  # as its first versions wrote it
    if scale not in (0, 1, 1.0, 0.0) and kind != "BIT":
        keys["scale"] = scale
    result.tag(tags, name, keys)


def _url(plugin: Mapping[str, Any]) -> str | None:
    controller = str(plugin.get("controller", ""))
    mode = str(plugin.get("transmission_mode", ""))
    if controller.startswith("tcp://"):
        return f"{_MODES.get(mode, 'tcp')}://{controller.removeprefix('tcp://')}"
    if controller.startswith("file://"):
        scheme = "ascii+serial" if mode == "ASCII" else "serial"
        given = {
            "baudrate": plugin.get("baud_rate"), "parity": str(plugin.get("parity", "N"))[:1].upper(),
            "stopbits": plugin.get("stop_bits") or 1, "bytesize": plugin.get("data_bits"),
        }  # fmt: skip
        return f"{scheme}://{controller.removeprefix('file://')}?" + "&".join(
            f"{key}={value}" for key, value in given.items() if value is not None and (key, value) != ("bytesize", 8)
        )
    return None


# --- opc ua -----------------------------------------------------------------------------------------------------------


def _opcua(item: str, plugin: Mapping[str, Any], default: str, result: Converted, *, subscribe: bool) -> None:
    interval = plugin.get("subscription_interval" if subscribe else "interval", default)
    keys: dict[str, Any] = {
        "type": "opcua", "url": plugin.get("endpoint"), "mode": "subscribe" if subscribe else "poll",
        "interval": _time(interval), "timeout": _time(plugin.get("request_timeout", "5s")),
    }  # fmt: skip
    policy = plugin.get("security_policy", "auto")
    if policy not in ("None", "auto"):
        keys["security"] = {"policy": policy, "mode": plugin.get("security_mode", "SignAndEncrypt")}
        result.hint(item, "certificate and key are the agent's own here; docs/opcua.md says how a server trusts it")
    elif policy == "auto":
        result.hint(item, "security_policy auto: write `security:` with what the server offers (docs/opcua.md)")
    if plugin.get("username"):
        result.lose(item, f"the user {plugin['username']}: write username: and password_file: with a file of yours")
    _labels(item, plugin, result=result)
    _left(item, plugin, result)
    _left(f"{item} workarounds", plugin.get("workarounds", {}), result)
    tags = result.device(str(plugin.get("name", "opcua")), keys)
    for where, node in _nodes(item, plugin):
        address = node.get("id")  # all of it, `ns=2;s=Speed`, instead of its three parts
        if not address and "identifier" not in node:
            result.lose(where, "a node without an identifier")
            continue
        kind = str(node.get("identifier_type", "s"))
        space = f"nsu={node['namespace_uri']}" if node.get("namespace_uri") else f"ns={node.get('namespace') or 0}"
        address = address or f"{space};{kind}={node['identifier']}"
        _labels(where, node, result=result)
        _left(where, node, result)
        watched = _monitored(where, node, result) if subscribe else {}
        result.tag(tags, str(node["name"]), {"node": str(address), **watched})
    if plugin.get("events"):
        result.lose(f"{item} events", "events are not collected")


def _nodes(item: str, plugin: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for node in plugin.get("nodes", []):
        yield f"{item} node {node.get('name')}", node
    for group in plugin.get("group", []):
        inherited = ("namespace", "namespace_uri", "identifier_type", "sampling_interval", "default_tags")
        shared = {key: group[key] for key in inherited if key in group}
        for node in group.get("nodes", []):
            yield f"{item} group {group.get('name')} node {node.get('name')}", {**shared, **node}


def _monitored(where: str, node: Mapping[str, Any], result: Converted) -> dict[str, Any]:
    """How a node is watched: sampling, queue, deadband."""
    given = node.get("monitoring_params", {})
    change = given.get("data_change_filter", {})
    sampled = _time(given.get("sampling_interval", node.get("sampling_interval", "")))
    keys: dict[str, Any] = {"sampling_interval": sampled, "queue_size": given.get("queue_size") or None}
    if change.get("deadband_value") and change.get("deadband_type") in ("Absolute", "Percent"):
        percent = change["deadband_type"] == "Percent"
        keys["deadband"] = {"percent": change["deadband_value"]} if percent else change["deadband_value"]
        if percent:
            result.hint(where, "a percent deadband is of the node's EURange there, of the last value here")
    if (trigger := change.get("trigger", "StatusValue")) != "StatusValue":
        result.hint(where, f"trigger {trigger}: here a new status or a new value is a change, a new time alone is none")
    for part in (given, change):
        _left(where, part, result)
    return keys


def _labels(item: str, *holders: Mapping[str, Any], result: Converted) -> None:
    """Telegraf's tags are labels; readings have none."""
    names = {name for one in holders for key in ("tags", "default_tags") for name in one.get(key) or () if one.get(key)}
    if names:
        listed = ", ".join(sorted(map(str, names)))
        result.lose(item, f"its labels {listed}: `location:` and `description:` of a device say such things here")


def _time(text: object) -> str | None:
    """`10s`, `1m30s`; None for what is none, or nothing."""
    parts = _DURATION.findall(str(text).strip())
    whole = "".join(number + unit for number, unit in parts) == str(text).strip()
    total = sum(float(number) * _MILLISECONDS[unit] for number, unit in parts)
    return duration(total) if whole and total >= 1 else None
