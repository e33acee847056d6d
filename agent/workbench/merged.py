"""Devices into a file that somebody has written: its comments and its order stay. Only here is ruamel.yaml used."""

from __future__ import annotations

import io
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml as plain
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from agent.core.errors import ConfigError
from agent.workbench.spelled import is_plain, literal, unique

T = TypeVar("T")

#: libyaml's is many times as fast, where PyYAML was built with it.
_Plain: Any = getattr(plain, "CSafeLoader", plain.SafeLoader)

_ANCHOR = re.compile(r"&[^\s,\[\]{}]+")  #: a round trip drops those that nothing names
_END = re.compile(r"^\.\.\.\s*$", re.MULTILINE)  #: the marker of a document's end


def merged(text: str, file: str, devices: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    """`text` with these devices under `devices:`, and the names that stood there already: those are left as they are.

    Raises ConfigError where `text` is no file that devices can stand in.
    """
    document = _read(text, file)
    known = _mapping(document, "devices", file)
    kept = [name for name in devices if name in known]
    for name, keys in devices.items():
        if name not in kept:
            known[name] = _commented(keys)
    return _written(document, text), kept


class Addition(NamedTuple):
    """Tags for one device."""

    device: str  #: its name where it is not there yet
    keys: Mapping[str, Any] | None  #: what it has beside its tags, if it is made; None: it must be there
    tags: Mapping[str, Mapping[str, Any]]
    comments: Mapping[str, str]
    same: Callable[[str], str] = lambda node: node  #: two nodes are one where this is equal


class Added(NamedTuple):
    """What came of it."""

    device: str
    added: int
    kept: int  #: tags whose node stood there already


def with_tags(text: str, file: str, addition: Addition) -> tuple[str, Added]:
    """`text` with these tags: of the device of that name, else of the one at the same `url`, else of a new one.

    Raises ConfigError.
    """
    document = _read(text, file)
    devices = _mapping(document, "devices", file)
    name = _where(devices, addition)
    if name not in devices:
        if addition.keys is None:
            hint = "name the file where it stands, or leave -o away"
            raise ConfigError(file, None, f"there is no device {name!r} in it", hint)
        devices[name] = _commented({**addition.keys, "tags": {}})
    device = devices[name]
    if not isinstance(device, CommentedMap):
        raise ConfigError(file, None, f"the device {name} is not a mapping", "write its keys below it")
    tags = _mapping(device, "tags", file)
    if also := [
        one for one, keys in devices.items() if one != name and isinstance(keys, Mapping) and keys.get("tags") is tags
    ]:
        reason = f"the tags of {name} are those of {also[0]} too, by an alias or `<<`"
        raise ConfigError(file, None, reason, f"write tags of its own for {name}, or name another file")
    nodes = {addition.same(str(one["node"])) for one in tags.values() if isinstance(one, Mapping) and "node" in one}
    added = 0
    for wanted, keys in addition.tags.items():
        if addition.same(str(keys["node"])) in nodes:
            continue
        tag = unique(literal(wanted), tags)
        tags[_scalar(tag)] = _commented(keys, 2)
        if comment := addition.comments.get(wanted):
            tags.yaml_add_eol_comment(comment, tag, column=0)
        added += 1
    return _written(document, text), Added(name, added, len(addition.tags) - added)


def add_tags(file: Path, addition: Addition) -> Added:
    """The same with a file, made where it is not there. Raises ConfigError."""
    return _changed(file, lambda text: with_tags(text, str(file), addition))


def _where(devices: Mapping[str, Any], addition: Addition) -> str:
    if addition.keys is None or addition.device in devices:
        return addition.device
    url = addition.keys.get("url")
    at = [name for name, one in devices.items() if isinstance(one, Mapping) and one.get("url") == url]
    return at[0] if at else addition.device


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100_000
    return yaml


def _read(text: str, file: str) -> CommentedMap:
    try:
        document = _yaml().load(text) if text.strip() else CommentedMap()
    except YAMLError as error:
        raise ConfigError(file, None, f"not YAML: {str(error).splitlines()[0]}", "mend it first") from None
    if document is None:
        document = CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ConfigError(file, None, "the file does not hold a mapping", "it begins with keys such as `devices:`")
    return document


def _written(document: CommentedMap, before: str) -> str:
    out = io.StringIO()
    yaml = _yaml()
    steps = Counter(_steps(document))
    step = max((one for one in steps if one[0] == "map"), key=steps.__getitem__, default=("map", 2))[1]
    dash = max((one for one in steps if one[0] == "seq"), key=steps.__getitem__, default=("seq", 0))[1]
    yaml.indent(mapping=step, sequence=dash + 2, offset=dash)
    yaml.dump(document, out)
    return _as_it_was(before if before.endswith("\n") else f"{before}\n", out.getvalue())


def _as_it_was(before: str, after: str) -> str:
    """`after` without what a round trip does to other lines: it moves comments, drops anchors, spaces and markers."""
    end = _END.search(before)
    before, behind = (before, "") if end is None else (before[: end.start()], before[end.start() :])
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    bare_old, bare_new = (["".join(_ANCHOR.sub("", line).split()) for line in lines] for lines in (old, new))
    kept: list[str] = []
    shift: dict[int, int] = {}  # where lines began in `after` → how much further left they are in `before`
    for kind, at, to, since, until in SequenceMatcher(None, bare_old, bare_new, autojunk=False).get_opcodes():
        if kind == "equal":
            shift.update((_left(new[since + n]), _left(new[since + n]) - _left(old[at + n])) for n in range(to - at))
        kept += old[at:to]
        # What changed stays as it was. Comments only moved: none was added in a line of its own.
        came, was = ([line for line in lines if line.strip()[:1] != "#"] for lines in (new[since:until], old[at:to]))
        added = came[len(was) :]
        left = shift.get(_left(added[0]), 0) if added else 0
        kept += [line[left:] if left > 0 else " " * -left + line for line in added]
    text = "".join(kept) + behind
    try:
        same = plain.load(text, _Plain) == plain.load(after, _Plain)  # noqa: S506 - a safe one
    except (plain.YAMLError, ValueError, RecursionError):  # `2026-13-01`, an alias inside of its anchor
        same = False
    return text if same else after


def _left(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _steps(parent: Any) -> Iterator[tuple[str, int]]:
    """How far each block that was read stands to the right of the mapping around it."""
    for one in parent.values() if isinstance(parent, CommentedMap) else parent:
        if not isinstance(one, CommentedMap | CommentedSeq) or one.fa.flow_style():
            continue
        left, right = _column(parent), _column(one)
        if isinstance(parent, CommentedMap) and left is not None and right is not None:
            kind, least = ("map", 1) if isinstance(one, CommentedMap) else ("seq", 0)
            if (step := right - left) >= least:
                yield kind, step
        yield from _steps(one)


def _column(block: Any) -> int | None:
    """Where its keys begin; the place of a block itself is that of its anchor, where it has one."""
    known = getattr(block.lc, "data", None) or {}
    if isinstance(block, CommentedMap) and known:
        return min(int(place[1]) for place in known.values())
    return None if block.anchor.value else block.lc.col


def _mapping(parent: CommentedMap, key: str, file: str) -> CommentedMap:
    known = parent.get(key)
    if known is None:
        known = parent[key] = CommentedMap()
    if not isinstance(known, CommentedMap):
        raise ConfigError(file, None, f"`{key}` is not a mapping", "write `NAME:` below it and its keys below that")
    if not known:
        known.fa.set_block_style()
        known.lc.col = None  # where `{}` stood is no step to the right
    return known


def merge_into(file: Path, devices: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write them into `file`, made where it is not there; the names that were left as they are. Raises ConfigError."""
    return _changed(file, lambda text: merged(text, str(file), devices))


def _changed(file: Path, change: Callable[[str], tuple[str, T]]) -> T:
    try:
        text, told = change(file.read_text(encoding="utf-8") if file.exists() else "")
        replace(file, text)
    except UnicodeDecodeError:
        raise ConfigError(str(file), None, "it is not UTF-8", "save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(str(file), None, f"cannot be written: {error.strerror}", "name another file") from None
    return told


def replace(file: Path, text: str) -> None:
    """All of it or nothing; mode, ends of lines, and a link to the file stay. Raises OSError."""
    file = file.resolve()
    windows = file.exists() and b"\r\n" in file.read_bytes()
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8", newline="\r\n" if windows else "\n")
    if file.exists():
        shutil.copymode(file, fresh)
    fresh.replace(file)


def _commented(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _scalar(value)
    if not isinstance(value, Mapping):
        return value
    made = CommentedMap({_commented(key): _commented(inner, depth + 1) for key, inner in value.items()})
    if depth > 1:
        made.fa.set_flow_style()
    return made


def _scalar(text: str) -> str:
    return text if is_plain(text) else DoubleQuotedScalarString(text)
