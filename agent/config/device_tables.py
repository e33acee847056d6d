"""`devices_file`: one device a row, with the columns name, template, its parameters, and any key of a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from agent.config import registry
from agent.config.files import SourceFile, rows_of
from agent.config.located import Broken, List, Map, Place
from agent.config.sections import WrittenPart, wrong_entry
from agent.config.shape import close, keys_at
from agent.config.tables import ColumnKind, TableKind, read_table
from agent.config.templates import DeviceTemplate
from agent.config.words import Words, show
from agent.core.errors import Mistake

_ABOUT = ("template", "type")  #: columns every such table may have


class DeviceTables:
    """Adds the devices of tables to those of YAML; notes mistakes, and the tables it read."""

    def __init__(
        self,
        templates: Mapping[str, DeviceTemplate],
        environ: Mapping[str, str],
        mistakes: list[Mistake],
        *,
        seen: dict[Path, str],
    ) -> None:
        """Tables are entered in `seen`, as in Reads."""
        self.tables: list[tuple[Path, str]] = []
        self._templates = templates
        self._environ = environ
        self._mistakes = mistakes
        self._seen = seen

    def add_to(self, devices: dict[str, WrittenPart], sources: Sequence[SourceFile]) -> None:
        """Every row of every table of every file; a name that stands twice is noted with both places."""
        for source in sources:
            for file, place in self._named(source):
                for name, entry in self._read(file, place, source):
                    wrong = wrong_entry("devices", name, entry.data, devices.get(name))
                    if wrong is None:
                        devices[name] = entry
                    else:
                        self._mistakes.append(Mistake(*entry.place, *wrong))

    def _named(self, source: SourceFile) -> Iterator[tuple[str, Place]]:
        given = source.data.get("devices_file")
        files = given if isinstance(given, List) else [given]
        for index, file in enumerate(files):
            place = given.place(index) if isinstance(given, List) else source.data.place("devices_file")
            if isinstance(file, str) and file and not isinstance(file, Broken):
                yield file, place
            elif file is not None and not isinstance(file, Broken):
                hint = "write `devices_file: meters.csv`, or a list of files"
                self._mistakes.append(Mistake(*place, f"`devices_file`: {show(file)} is not the name of a file", hint))

    def _read(self, file: str, place: Place, source: SourceFile) -> Iterator[tuple[str, WrittenPart]]:
        shown = str(Path(source.shown).parent / file)
        table = (source.base / file, shown)
        rows = rows_of(*table, place, self._mistakes, self._seen)
        self.tables.append(table)
        if rows is None:
            return
        kind = TableKind("name", "device", "template", self._column)
        for name, row in read_table(rows, shown, self._environ, kind, self._mistakes).items():
            at = row.place("name") if "name" in row else Place(row.file, row.line)
            yield name, WrittenPart(self._split(name, row), source, at)

    def _column(self, path: Sequence[str]) -> ColumnKind:
        """A parameter, or a key of a device; which of them a row may have, its template says."""
        name = ".".join(path)
        parameters = {key for template in self._templates.values() for key in template.parameters}
        if name in _ABOUT or name in parameters:
            return ColumnKind([name])
        found = [_known(model, path) for model in self._models()]
        if any(column.wrong is None for column in found):
            return ColumnKind(list(path))
        keys = sorted({*_ABOUT, *parameters, *(key for model in self._models() for key in keys_at(model, ()))})
        guess = close(path[0], keys) if len(path) == 1 else None
        more = "a column is `name`, `template`, a parameter, or a key of a device"
        hint = f"did you mean `{guess}`?" if guess else more
        return ColumnKind(None if guess is None else [guess], Words(f"`{name}` is not a column", hint))

    def _models(self) -> list[type[BaseModel]]:
        return [registry.resolve(registry.COLLECTORS, name) for name in registry.known(registry.COLLECTORS)]

    def _split(self, device: str, row: Map) -> Map:
        """Parameters of the row's template go under `with:`; what it has no use for is noted."""
        template = self._templates.get(str(row.get("template")))
        if template is None:
            return row
        others = {key for one in self._templates.values() for key in one.parameters}
        data, given = Map(row.file, row.line), Map(row.file, row.line)
        for key, value in row.items():
            into = given if key in template.parameters else data
            into.put(key, value, row.place(key), row.raw.get(key))
            if into is data and key in others and not any(key in keys_at(model, ()) for model in self._models()):
                reason = f"`devices.{device}`: the template {template.name} has no parameter {show(key)}"
                self._mistakes.append(Mistake(*row.place(key), reason, "leave this cell empty"))
                del data[key]
        if given:
            data.put("with", given, Place(row.file, row.line))
        return data


def _known(model: type[BaseModel], path: Sequence[str]) -> ColumnKind:
    for depth, step in enumerate(path):
        if step not in keys_at(model, path[:depth]):
            return ColumnKind(None, Words("", ""))
    return ColumnKind(list(path))
