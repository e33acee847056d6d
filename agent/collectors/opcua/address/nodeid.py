"""Node ids as text, and what they are on one connection. Pure (OPC 10000-6, 5.3.1.10).

nsu=urn:acme:cnc;s=Spindle.Speed     namespace by URI: safe, looked up on every connection
ns=2;i=1005                          namespace by index: as the server numbers them today
i=2258                               namespace 0, the standard's own nodes
ns=2;g=09087e75-8e5e-499b-954f-f2a9603db28a      ns=2;b=M/RbKBsRVkePCePcx24oRA==
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import NamedTuple

from agent.collectors.opcua.address.namespaces import Namespaces

_OTHERWISE = re.compile(r"(?:ns\s*[=:]\s*)?(\d{1,5})\s*[;:!,]\s*(?:([isgb])\s*[=:]\s*)?(.+)", re.IGNORECASE)
_HINT = "write nsu=URI;s=NAME, ns=2;s=NAME, ns=2;i=NUMBER, g=GUID or b=BASE64"

Identifier = int | str | uuid.UUID | bytes


class NodeAddress(NamedTuple):
    """A node id as configured."""

    namespace: int | str  #: an index, or the URI of `nsu=`
    identifier: Identifier

    @property
    def text(self) -> str:
        """As it is written in a configuration."""
        kind = {int: "i", str: "s", uuid.UUID: "g"}.get(type(self.identifier), "b")
        value = base64.b64encode(self.identifier).decode() if isinstance(self.identifier, bytes) else self.identifier
        if isinstance(self.namespace, int):
            return f"ns={self.namespace};{kind}={value}" if self.namespace else f"{kind}={value}"
        return f"nsu={self.namespace.replace('%', '%25').replace(';', '%3B')};{kind}={value}"

    @property
    def indexes(self) -> frozenset[int]:
        """Those of namespaces that it is written with; 0 is the standard's everywhere."""
        return frozenset({self.namespace} if isinstance(self.namespace, int) and self.namespace else ())

    def index_in(self, namespaces: Namespaces) -> int | None:
        """Index of the namespace on a connection with these; None where there is none."""
        return namespaces.find(self.namespace)


def parse_node_id(text: str) -> NodeAddress:
    """Raises ValueError that says what to write instead."""
    rest = text
    namespace: int | str = 0
    if rest.startswith("ns="):
        number, found, rest = rest[3:].partition(";")
        if not found or not number.isdecimal() or int(number) > 0xFFFF:
            raise ValueError(f"{text!r} is not a node id: `ns=` takes an index of 0 to 65535; {_meant(text)}")
        namespace = int(number)
    elif rest.startswith("nsu="):
        # A URI may itself hold `;`: it ends where the identifier begins.
        ends = [end for end in (rest.find(mark) for mark in (";i=", ";s=", ";g=", ";b=")) if end > 0]
        if not ends or min(ends) == 4:
            raise ValueError(f"{text!r} is not a node id: a URI and an identifier belong after `nsu=`; {_HINT}")
        namespace, rest = unescape_uri(rest[4 : min(ends)]), rest[min(ends) + 1 :]
    return NodeAddress(namespace, _identifier(rest, text))


def unescape_uri(uri: str) -> str:
    """The standard escapes `;` and `%` inside a URI as %3B and %25."""
    return uri.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")


def _identifier(rest: str, text: str) -> Identifier:
    kind, value = rest[:2], rest[2:]
    try:
        if kind == "i=" and value.isascii() and value.isdecimal() and int(value) <= 0xFFFFFFFF:
            return int(value)
        if kind == "s=" and value:
            return value
        if kind == "g=":
            return uuid.UUID(value)
        if kind == "b=" and value:
            return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        pass
    what = {
        "i=": "`i=` takes a number of 0 to 4294967295",
        "s=": "`s=` takes a name",
        "g=": "`g=` takes a GUID",
        "b=": "`b=` takes base64",
    }.get(kind, "no identifier i=, s=, g= or b= found")
    raise ValueError(f"{text!r} is not a node id: {what}; {_meant(text)}")


def _meant(text: str) -> str:
    """What to write for a node id as other products write it: `2:Speed`, `2!Speed`, `ns:2;s:Speed`, `ns=2,s=Speed`."""
    match = _OTHERWISE.fullmatch(text.strip())
    if match is None or int(match[1]) > 0xFFFF:
        return _HINT
    index, kind, identifier = match.groups()
    kind = (kind or ("i" if identifier.isdecimal() else "s")).lower()
    return f'write "ns={index};{kind}={identifier}"'
