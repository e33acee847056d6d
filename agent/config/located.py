"""Raw configuration data that knows where it stands: dicts and lists that carry file and line of their entries.

pydantic validates them as the plain dicts and lists they are; the places are looked at only when something is wrong.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from agent.settings.values import FromEnvironment

Key: TypeAlias = Hashable
Path: TypeAlias = Sequence[Any]


class Place(NamedTuple):
    """Where something stands."""

    file: str  #: as the user named it
    line: int  #: 1-based; 0 where the name says it all (a cell of a sheet)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    def in_file(self) -> str:
        """For somebody who looks at that file already."""
        return f"line {self.line}" if self.line else self.file.rpartition("!")[2]


class Text(str):
    """Text whose type the field decides (a CSV cell): where a number is wanted it is read as one."""

    __slots__ = ()


class Reference(str):
    """Text of a template with `${…}` in it: put in where a device uses the template."""

    __slots__ = ()


class Broken(FromEnvironment):
    """Stands for a scalar that could not be read; its mistake is noted already, what follows from it is not said."""

    __slots__ = ()


#: Of most mappings and lists nothing came out of the environment: they share this one, which stays empty.
_NOTHING: dict[Key, str] = {}


class Map(dict[Any, Any]):
    """A mapping with the place of each key: its line, or all of it where it came from elsewhere (merged files, CSV)."""

    __slots__ = ("file", "line", "lines", "raw", "size")

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: dict[Key, int | Place] = {}
        self.raw = _NOTHING  #: as written, where `${NAME}` was put in
        self.size = 1  #: values inside, aliases counted as often as they are used

    def put(self, key: Key, value: object, place: Place, raw: str | None = None) -> None:
        """Set an entry that stands at `place`; `raw` as written, where it came out of the environment."""
        self[key] = value
        self.lines[key] = place
        if raw is not None:
            came_as(self, key, raw)

    def place(self, key: Key) -> Place:
        """Where `key` stands; the mapping's own place for a key it does not have."""
        at = self.lines.get(key, self.line)
        return at if isinstance(at, Place) else Place(self.file, at)

    def bare(self) -> Map:
        """Without its values: it knows the places only."""
        bare = Map(self.file, self.line)
        bare.lines = self.lines
        return bare

    def copy_as(self) -> Map:
        """A shallow copy that may be changed."""
        copy = Map(self.file, self.line)
        copy.update(self)
        copy.lines = dict(self.lines)
        copy.raw = dict(self.raw) if self.raw else _NOTHING
        copy.size = self.size
        return copy


class List(list[Any]):
    """A sequence with the line of each item."""

    __slots__ = ("file", "line", "lines", "raw", "size")

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: list[int] = []
        self.raw = _NOTHING
        self.size = 1

    def place(self, index: int) -> Place:
        """Where item `index` stands."""
        return Place(self.file, self.lines[index] if index < len(self.lines) else self.line)


_HOLDERS = (Map, List)


def came_as(data: Map | List, key: Key, raw: str) -> None:
    """Note how an entry is written whose value came out of the environment."""
    if data.raw is _NOTHING:
        data.raw = {}
    data.raw[key] = raw


def written(data: Map | List, path: tuple[Key, ...] = ()) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Path and text, as written, of every value that came out of the environment."""
    for key, text in data.raw.items():
        yield (*path, key), text
    for key, value in data.items() if isinstance(data, Map) else enumerate(data):
        if isinstance(value, _HOLDERS):
            yield from written(value, (*path, key))


class Found(NamedTuple):
    """What a path into raw data leads to."""

    path: tuple[Any, ...]  #: the steps that exist in the data
    value: object
    place: Place
    raw: str | None  #: as written, where the value came out of the environment


def named(key: object) -> str:
    """A key as it is written in YAML."""
    if key is None or isinstance(key, bool):
        return "null" if key is None else str(key).lower()
    return str(key)


def _key(data: object, step: object) -> object:
    """The key of a mapping that pydantic means: of one that is no text it gives text, or a number for true."""
    if isinstance(data, Map) and (step == 1 or step not in data):
        return next((key for key in data if key == step or (not isinstance(key, str) and str(key) == step)), step)
    return step


def find(data: Map | List, path: Path) -> Found:
    """Follow `path` as far as it exists in the data, leaving out steps that are no keys (names of union branches)."""
    value: Any = data
    place = Place(data.file, data.line)
    raw: str | None = None
    taken: list[Any] = []
    for meant in path:
        step: Any = _key(value, meant)
        if (isinstance(value, Map) and step in value) or (
            isinstance(value, List) and isinstance(step, int) and 0 <= step < len(value)
        ):
            place, raw, value = value.place(step), value.raw.get(step), value[step]
            taken.append(step)
    return Found(tuple(taken), value, place, raw)
