"""What was probably meant: for values people often write, the hint that leads to a right file in one step. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import get_args

from pydantic.fields import FieldInfo

from agent.config.located import List, Map

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_DECIMAL_COMMA = re.compile(r"\s*([-+]?\d+),(\d+)\s*")
_FRACTION = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*")
_PAIRS = re.compile(r"\s*\d+\s*[=:]\s*[^,;=:]+(?:[,;]\s*\d+\s*[=:]\s*[^,;=:]+)*")
_WITH_UNIT = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*([^\d\s.,:/x*eE+-][^\d,]*)")
_REGISTER = re.compile(r"(holding|input):\d+")
#: A key that only one mapping has → the key that is meant by a word alone.
_ALONE = {"data_dir": "id", "level": "level", "ca_file": "ca_file"}
#: Keys that the mapping has, the text that stands in its place, and what is meant: {0} all of it, {1} its first group.
_TEXTS = tuple(
    (frozenset(needed.split()), re.compile(written, re.DOTALL), meant)
    for needed, written, meant in (
        ("percent", _PERCENT.pattern, "percent: {1}"),
        ("node", r"(?:nsu?|[isgb])=.*", 'node: "{0}"'),
        ("address", r"[^\W_].*", 'address: "{0}"'),
        ("min max", r"\s*([-+]?\d+(?:\.\d+)?)\s*(?:\.\.\.?|-|to|~)\s*([-+]?\d+(?:\.\d+)?)\s*", "min: {1}, max: {2}"),
        ("port", r"([\w.-]+):(\d+)", "host: {1}, port: {2}"),
        ("keep", r"\d+(?:ms|s|m|h|d)", "keep: {0}"),
        ("age", r"\d+(?:ms|s|m|h|d)", "age: {0}"),
        ("index count", r"(\d+)/(\d+)", "index: {1}, count: {2}"),
        ("include max_nodes", r".*", 'include: ["{0}"]'),
    )
)
_OFF = (False, "off", "no", "none", "false", "disabled")
_SCHEME = re.compile(r"([a-z.+]+://)host", re.IGNORECASE)
#: Keys that only a tag has.
_OF_TAGS = ("address", "node", "path")
#: The key of an item that other products give the name in.
_NAMES = ("name", "tag", "id")
#: What other products let a tag be, and the agent never does.
_WRITES = ("writable", "writeable", "write", "access", "rw", "read_write", "client_access")
_UNCHECKED = ("insecure", "insecure_skip_verify", "tls_insecure", "verify", "verify_ssl", "skip_verify")
#: A variable as shells, Windows and templates (Jinja, Helm) write it.
_VARIABLE = re.compile(r"\$\(?([A-Za-z_]\w*)\)?|%([A-Z_][A-Z0-9_]*)%|\{\{[\s.]*(?:\w+\.)*(\w+)\s*\}\}")
_FUNCTIONS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
#: Which words come first, as other products say it.
_ORDERS = {
    "endian": ("ABCD", "DCBA"), "endianness": ("ABCD", "DCBA"), "endianess": ("ABCD", "DCBA"),
    "word_order": ("ABCD", "CDAB"), "wordorder": ("ABCD", "CDAB"), "word_swap": ("ABCD", "CDAB"),
    "swap": ("ABCD", "CDAB"), "byte_swap": ("ABCD", "BADC"),
}  # fmt: skip
_HOSTS = ("host", "hostname", "ip", "ip_address", "server", "broker")
#: Options of a serial line, as they stand in its URL.
_SERIAL = {"baudrate": "baudrate", "baud": "baudrate", "baud_rate": "baudrate", "parity": "parity",
           "stopbits": "stopbits", "stop_bits": "stopbits", "bytesize": "bytesize"}  # fmt: skip


def as_list(key: object, value: object) -> str | None:
    """For text where a list belongs: `acme/suzhou` is a path of two levels."""
    if key != "location" or not isinstance(value, str) or "/" not in value:
        return None
    return f"write [{', '.join(level for level in value.split('/') if level)}]"


def as_mapping(keys: Collection[str], value: object) -> str | None:
    """For a value where a mapping belongs: the mapping that was meant."""
    meant = None
    if isinstance(value, List):
        meant = _of_list(keys, value)
    elif {"port", "keep"} & set(keys) and (value.lower() if isinstance(value, str) else value) in _OFF:
        meant = "write null"
    elif value is True and "retain" in keys:
        meant = "retain: true"
    elif value is True and "ca_file" in keys:
        meant = "write {}: the scheme of `url` says it already, and `ca_file` names an authority of your own"
    elif isinstance(value, int) and not isinstance(value, bool) and "port" in keys:
        meant = f"port: {value}"
    elif isinstance(value, int) and not isinstance(value, bool) and "address" in keys:
        meant = f'address: "holding:{value}"'
    elif isinstance(value, str):
        meant = _of_text(keys, value)
    return None if meant is None else meant if meant.startswith("write ") else f"write {{{meant}}}"


def _of_text(keys: Collection[str], value: str) -> str | None:
    for needed, written, meant in _TEXTS:
        if needed <= set(keys) and (found := written.fullmatch(value)) is not None:
            return meant.format(value, *found.groups())
    if (key := _taking(keys, value)) is not None:
        return f"{key}: {value}"
    if "policy" in keys and value.isalnum() and value.lower() != "none":
        by_mode = value in ("Sign", "SignAndEncrypt")
        return f"policy: {'Basic256Sha256' if by_mode else value}, mode: {value if by_mode else 'SignAndEncrypt'}"
    if not keys and _PAIRS.fullmatch(value):
        pairs = (re.split(r"\s*[=:]\s*", one.strip(), maxsplit=1) for one in re.split("[,;]", value))
        return ", ".join(f"{number}: {text}" for number, text in pairs)
    return None


def _taking(keys: Collection[str], value: str) -> str | None:
    """The key that takes this word: one of few it knows, else the one that is meant where only one is written."""
    fields = keys.items() if isinstance(keys, Mapping) else ()
    known = next((key for key, field in fields if value in get_args(field.annotation)), None)
    return known or next((key for has, key in _ALONE.items() if has in keys), None)


def _of_list(keys: Collection[str], value: List) -> str | None:
    if not value:
        return None
    if not keys and all(isinstance(one, str | bool) for one in value):
        texts = [str(one).lower() if isinstance(one, bool) else one for one in value]
        return ", ".join(f"{number}: {text}" for number, text in enumerate(texts))
    if {"min", "max"} <= set(keys) and len(value) == 2 and all(isinstance(one, int | float) for one in value):
        return f"min: {value[0]}, max: {value[1]}"
    return by_name(value)


def by_name(value: object) -> str | None:
    """For a list of mappings where names stand: `- name: oil` is `oil:` here."""
    first = value[0] if isinstance(value, List) and value else None
    if not isinstance(first, Map):
        return None
    named = next(((key, first[key]) for key in _NAMES if isinstance(first.get(key), str)), None)
    if named is None:
        return "write `NAME:` instead of each `-`, and its keys below it"
    return f"write `{named[1]}:` instead of `- {named[0]}: {named[1]}` and its other keys below it; so for each"


def as_variable(value: object) -> str | None:
    """For `$UNIT` and `{{ unit }}`: what takes it from the environment."""
    found = _VARIABLE.search(value) if isinstance(value, str) else None
    return None if found is None else f"write ${{{found[found.lastindex or 0]}}} for an environment variable"


def as_number(value: object) -> str | None:
    """For text where a number belongs: `0,1` and `1/10`."""
    if not isinstance(value, str):
        return None
    if (comma := _DECIMAL_COMMA.fullmatch(value)) is not None:
        pointed = f"{comma[1]}.{comma[2]}"
        thousands = len(comma[2]) == 3 and comma[1].lstrip("+-") != "0"
        return (
            f"write {comma[1]}{comma[2]}, or {pointed} where the comma is a point" if thousands else f"write {pointed}"
        )
    if (fraction := _FRACTION.fullmatch(value)) is not None and float(fraction[2]):
        return f"write {float(fraction[1]) / float(fraction[2]):.12g}"
    if (measured := _WITH_UNIT.fullmatch(value)) is not None:
        return f"write {measured[1]}"
    return None


def instead_of(key: object, value: object, keys: Mapping[str, FieldInfo], beside: object) -> str | None:
    """What to write where a key does not exist, but what it says has a place: `host` and `baudrate` are in a URL."""
    name = str(key).lower().replace("-", "_")
    given = (
        {str(one).lower(): beside.raw.get(one, text) for one, text in beside.items()} if isinstance(beside, Map) else {}
    )
    if "url" in keys and name in _SERIAL:
        url = str(given.get("url") or "/dev/ttyUSB0")
        url = f"serial://{url}" if url.startswith("/") else url
        options = {_SERIAL[one]: str(text)[:1].upper() if _SERIAL[one] == "parity" else text
                   for one, text in given.items() if one in _SERIAL}  # fmt: skip
        written = "&".join(f"{option}={text}" for option, text in options.items())
        return f'write url: "{url}{"&" if "?" in url else "?"}{written}" instead'
    host = next((str(given[one]) for one in _HOSTS if one in given), None)
    if "url" in keys and name in (*_HOSTS, "port") and host is not None:
        scheme = _SCHEME.search(keys["url"].description or "")
        port = f":{given['port']}" if "port" in given else ""
        return f'write url: "{scheme[1] if scheme else "SCHEME://"}{host}{port}" instead'
    if "tls" in keys and name in ("ca_file", "cert_file", "key_file", "ca", "cafile"):
        return f"write tls: {{{name if name.endswith('_file') else 'ca_file'}: {value}}} instead"
    if {"tls", "ca_file"} & set(keys) and name in _UNCHECKED:
        return "leave it out: who the server is is always checked; `ca_file` names the authority that signed it"
    if "will" in keys and name in ("retain", "retained"):
        return "leave it out: readings are never retained, states and catalogues always"
    return _of_a_tag(name, value, given, keys) if "scale" in keys else None


def _of_a_tag(name: str, value: object, given: Mapping[str, object], keys: Collection[str]) -> str | None:
    address = str(given.get("address"))
    meant = None
    if name in _WRITES:
        meant = "leave it out: the agent only reads"
    elif name in _NAMES:
        meant = "leave it out: the key above it is the tag's name; words for people are its `description`"
    elif name in _OF_TAGS and {"address", "node"} & set(keys):
        of, key = ("Modbus", "address: …") if "address" in keys else ("OPC UA", 'node: "ns=…;s=…"')
        meant = (
            f'write node: "{value}" instead'
            if "node" in keys and "=" in str(value)
            else (f"the `type` of this device is {of}, where a tag has `{key}`; `{name}` is another protocol's")
        )
    elif name in ("min", "max") and "range" in keys:
        meant = (
            f"write range: {{{', '.join(f'{end}: {given[end]}' for end in ('min', 'max') if end in given)}}} instead"
        )
    elif name in ("divisor", "divider") and isinstance(value, int | float) and value:
        meant = f"write scale: {1 / value:.12g} instead"
    elif name in ("scan_rate", "poll_interval", "polling_interval", "period", "rate") and isinstance(value, int):
        meant = f"write interval: {value}ms, or interval: {value}s for seconds"
    elif "byte_order" in keys and name in _ORDERS:
        low = str(value).lower() in ("little", "true", "low", "low_first", "1", "yes", "word", "byte")
        meant = f"write byte_order: {_ORDERS[name][low]} instead"
    elif name in ("bit", "bit_index", "bit_number") and isinstance(value, int) and _REGISTER.fullmatch(address):
        meant = f'write address: "{address}.{value}" instead'
    elif name in ("function", "function_code", "functioncode", "fc") and value in _FUNCTIONS and address.isdecimal():
        meant = f'write address: "{_FUNCTIONS[int(str(value))]}:{address}" instead'
    elif "address" in keys and name in ("register", "reg", "offset") and isinstance(value, int):
        meant = f'write address: "holding:{value}", or input:, coil:, discrete:'
        if str(value)[:1] in "34" and len(str(value)) in (5, 6):
            meant = f'write address: "{value}" for the Modicon address, "holding:{value}" for offset {value} itself'
    return meant


def is_percent(value: object) -> bool:
    """Whether this is text such as `1%`."""
    return isinstance(value, str) and _PERCENT.fullmatch(value) is not None


def is_tag(value: object) -> bool:
    """Whether this looks like a tag: the mistake is where it stands."""
    return isinstance(value, Map) and any(key in value for key in _OF_TAGS)
