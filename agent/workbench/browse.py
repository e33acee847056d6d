"""What a survey of an OPC UA server found, as tags of a configuration: names, keys, a tree for people. Pure."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from agent.collectors.opcua.browse.facts import Nature, NodeWords
from agent.collectors.opcua.survey import FoundVariable
from agent.core.text import carried, plain
from agent.workbench.spelled import LONGEST_NAME, literal, spelled, unique

_KEPT = 240  #: of a name that is longer
#: Of a folder the first few variables are shown, of a server so many lines.
_FEW, _LINES = 6, 60
COLUMNS = ("tag", "node", "unit", "range.min", "range.max", "description")


class FoundTags(Struct):
    """Tags by name, in the order of the tree, with words about each."""

    tags: dict[str, dict[str, object]]
    comments: dict[str, str]
    unreadable: int = 0  #: variables this user may not read
    unwritable: int = 0  #: whose node ids no file can hold
    other: int = 0  #: of another type than was asked for
    known: int = 0  #: that are configured already
    indexed: int = 0  #: whose namespace has no URI of its own: their node ids are good for today only


def tags_of(found: Sequence[FoundVariable], types: Sequence[str] = (), known: Collection[str] = ()) -> FoundTags:
    """Those that can be read, are of one of these types (globs; none: any) and not `known` by their node ids."""
    result = FoundTags({}, {})
    times = Counter(one.name for one in found)
    for one in sorted(found, key=lambda each: each.place):
        node = one.address.text
        nature, said = one.nature or Nature(), one.told or NodeWords()
        if carried(node) != node:
            result.unwritable += 1
        elif not nature.read:
            result.unreadable += 1
        elif types and not any(fnmatchcase(nature.type or "", glob) for glob in types):
            result.other += 1
        elif node in known:
            result.known += 1
        else:
            name = unique(tag_name(one, alone=times[one.name] == 1), result.tags)
            result.indexed += isinstance(one.address.namespace, int) and one.address.namespace > 0
            result.tags[name] = _keys(node, said)
            result.comments[name] = _comment(nature, one)
    return result


def tag_name(one: FoundVariable, *, alone: bool) -> str:
    """The browse names on the way, as `browse:` of a device has it; with the node id where others have that name."""
    name = one.name if alone else f"{one.name} ({one.address.text})"
    name = carried(plain(name))
    if not name.strip("/ "):
        name = plain(one.address.text)
    if len(name) <= LONGEST_NAME:
        return name
    tail = name[-_KEPT:]
    mark = hashlib.sha256(one.address.text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{tail.partition('/')[2] or tail}~{mark}"


def _keys(node: str, said: NodeWords) -> dict[str, object]:
    keys: dict[str, object] = {"node": literal(node)}
    if said.unit is not None:
        keys["unit"] = literal(said.unit)
    if said.low is not None and said.high is not None:
        keys["range"] = {"min": _number(said.low), "max": _number(said.high)}
    if said.description is not None:
        keys["description"] = literal(said.description)
    if said.texts is not None:
        keys["enum"] = {number: literal(text) for number, text in said.texts.items()}
    return keys


def _number(value: float) -> float | int:
    return int(value) if value == int(value) and abs(value) < 1e15 else value


def _comment(nature: Nature, one: FoundVariable) -> str:
    if one.nature is None:
        return "not asked about"
    words = [nature.type or "of a type of its own"]
    if nature.texts:
        told = [plain(carried(f"{number} {text}")) for number, text in nature.texts.items()]
        words.append(f"the server's texts: {', '.join(told[:_FEW])}{', …' if len(told) > _FEW else ''}")
    if nature.write:
        words.append("writable")
    if nature.history:
        words.append("with history")
    if nature.sampling_ms is not None:
        words.append(f"sampled every {nature.sampling_ms:g} ms at most")
    return ", ".join(words)


def device_name(url: str) -> str:
    """For a server that has none yet: by its address."""
    where = url.partition("://")[2].partition("/")[0].removesuffix(":4840")
    return "opcua-" + (re.sub(r"[^A-Za-z0-9]+", "-", where).strip("-")[:50] or "server")


# --- CSV --------------------------------------------------------------------------------------------------------------


def csv_of(tags: Mapping[str, Mapping[str, Any]], columns: Sequence[str] | None = None, *, header: bool = True) -> str:
    """A `tags_file`; of `columns` only those that are known are filled. `enum` is one where a tag has texts."""
    columns = columns or (COLUMNS if not any("enum" in keys for keys in tags.values()) else (*COLUMNS, "enum"))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for name, keys in tags.items():
        span = keys.get("range") or {}
        cells = {**keys, "tag": name, "range.min": span.get("min"), "range.max": span.get("max")}
        writer.writerow(["" if cells.get(column) is None else _cell(cells[column]) for column in columns])
    return out.getvalue()


def _cell(value: object) -> str:
    """Spreadsheets would take such a text for a formula; the space is not read."""
    text = str(value) if isinstance(value, str) else spelled(value)
    return f" {text}" if isinstance(value, str) and text[:1] in {"=", "+", "-", "@"} else text


# --- a tree for people ------------------------------------------------------------------------------------------------


def tree(tags: FoundTags) -> Sequence[str]:
    """The folders with their first few variables, cut where it would be long."""
    root: dict[str, Any] = {}
    for name in tags.tags:
        *way, last = name.split("/")
        at = root
        for step in way:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):  # a variable that has variables below it
                break
        else:
            at.setdefault(last, name)
    lines = list(_branches(root, "", tags))
    return [*lines[:_LINES], f"… and {len(lines) - _LINES} more lines"] if len(lines) > _LINES else lines


def _branches(at: Mapping[str, Any], indent: str, tags: FoundTags) -> Iterator[str]:
    leaves = [key for key, inner in at.items() if not isinstance(inner, dict)]
    for key in leaves[:_FEW]:
        yield f"{indent}{key}  {_told(tags, at[key])}".rstrip()
    if len(leaves) > _FEW:
        yield f"{indent}… {len(leaves) - _FEW:,} more variables"
    for key, inner in at.items():
        if isinstance(inner, dict):
            yield f"{indent}{key}/  ({_count(inner):,})"
            yield from _branches(inner, f"{indent}  ", tags)


def _count(at: Mapping[str, Any]) -> int:
    return sum(_count(inner) if isinstance(inner, dict) else 1 for inner in at.values())


def _told(tags: FoundTags, name: str) -> str:
    keys = tags.tags[name]
    span = keys.get("range")
    words = [tags.comments[name], str(keys.get("unit", ""))]
    if isinstance(span, dict):
        words.append(f"{span['min']} to {span['max']}")
    return ", ".join(word for word in words if word)
