"""Browse paths as text, and what they are on one connection. Pure (OPC 10000-4, annex A.2, the forward part of it).

Objects/2:Machine/2:Spindle                     names with the namespace index as the server numbers it today
Objects/nsu=urn:acme:cnc;Machine/0:Speed        with the namespace's URI; without either it is 0
`&` takes the meaning from the character behind it: `2:Speed &/ s`
"""

from __future__ import annotations

from typing import NamedTuple

from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.address.nodeid import unescape_uri

_STARTS = {"Root": 84, "Objects": 85, "Types": 86, "Views": 87}
_HINT = 'write "Objects/2:Machine/2:Spindle" or "Objects/nsu=URI;Machine/nsu=URI;Spindle"'


class BrowsePath(NamedTuple):
    """A path as configured: from a node of the standard, along (namespace index or URI, browse name)."""

    start: int
    steps: tuple[tuple[int | str, str], ...]

    @property
    def indexes(self) -> frozenset[int]:
        """Those of namespaces that it is written with; 0 is the standard's everywhere."""
        return frozenset(namespace for namespace, _ in self.steps if isinstance(namespace, int) and namespace)

    def names_in(self, namespaces: Namespaces) -> list[tuple[int, str]] | int | str:
        """The steps with the indexes of this connection; what it has no index for instead."""
        names = []
        for namespace, name in self.steps:
            index = namespaces.find(namespace)
            if index is None:
                return namespace
            names.append((index, name))
        return names


def parse_path(text: str) -> BrowsePath:
    """Raises ValueError that says what to write instead. Without a start it begins at Objects."""
    steps: list[tuple[int | str, str]] = []
    rest = text.removeprefix("/")
    while rest:
        namespace: int | str = 0
        if rest.startswith("nsu="):
            uri, found, rest = rest[4:].partition(";")
            if not uri or not found:
                raise ValueError(f"{text!r} is no browse path: `nsu=` takes a URI that ends with `;`; {_HINT}")
            namespace = unescape_uri(uri)
        name, rest = _name(rest, text)
        if namespace == 0:
            number, found, behind = name.partition(":")
            if found and number.isascii() and number.isdecimal():
                namespace, name = int(number), behind
                if namespace > 0xFFFF:
                    raise ValueError(f"{text!r} is no browse path: an index is a number of 0 to 65535; {_HINT}")
        if not name:
            raise ValueError(f"{text!r} is no browse path: a name is missing; {_HINT}")
        steps.append((namespace, name.replace("\0", ":")))
    if steps and steps[0] in {(0, start) for start in _STARTS}:
        start = _STARTS[steps[0][1]]
        steps = steps[1:]
    else:
        start = _STARTS["Objects"]
    if not steps:
        raise ValueError(f"{text!r} is no browse path: it leads nowhere; {_HINT}")
    return BrowsePath(start, tuple(steps))


def _name(rest: str, text: str) -> tuple[str, str]:
    """The name up to the next `/`, and what follows. An escaped `:` comes back as NUL, which no name has."""
    name = ""
    at = 0
    while at < len(rest):
        char = rest[at]
        if char == "/":
            return name, rest[at + 1 :]
        if char == "&":
            at += 1
            if at == len(rest):
                raise ValueError(f"{text!r} is no browse path: nothing follows the `&`, write `&&` for itself; {_HINT}")
            char = "\0" if rest[at] == ":" else rest[at]
        name += char
        at += 1
    return name, ""
