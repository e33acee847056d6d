"""`tags_file`, `devices_file`: a table with keys as columns. Pure; its rows come from grid.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.config.environment import EnvironmentMistake, expand
from agent.config.grid import GridRow
from agent.config.located import Broken, Map, Place, Text
from agent.config.words import Words
from agent.core.errors import Mistake

_MAX_COLUMNS = 100
_ADDRESS = re.compile(r"(holding|input|coil|discrete):|nsu?=|[isgb]=|[0134]\d{4,5}$")
#: How tables of others, in English, German and Chinese, call their columns.
_COLUMNS = {
    **dict.fromkeys(("device", "devicename", "gerät", "设备", "设备名", "设备名称"), "tag"),
    **dict.fromkeys(("tag", "tagname", "name", "variable", "point", "bezeichnung", "variablenname"), "tag"),
    **dict.fromkeys(
        ("名称", "标签", "标签名", "点位", "点位名称", "点名", "变量", "变量名", "变量名称", "测点"), "tag"
    ),
    **dict.fromkeys(("address", "register", "adresse", "地址", "寄存器", "寄存器地址"), "address"),
    **dict.fromkeys(("type", "datatype", "typ", "datentyp", "类型", "数据类型"), "type"),
    **dict.fromkeys(("unit", "units", "engunits", "einheit", "单位"), "unit"),
    **dict.fromkeys(
        ("description", "comment", "beschreibung", "kommentar", "描述", "说明", "备注", "注释"), "description"
    ),
    **dict.fromkeys(("scale", "factor", "faktor", "skalierung", "系数", "倍率", "比例"), "scale"),
    **dict.fromkeys(("interval", "scanrate", "intervall", "周期", "采集周期"), "interval"),
    **dict.fromkeys(("template", "vorlage", "模板"), "template"),
}
_TEXTS = {"unit", "description"}  #: keys whose cells are text, also where they begin with a bracket: [degF]
_IGNORED = [""]  #: the path of a column whose cells are passed over, its mistake being noted


class ColumnKind(NamedTuple):
    """What a column is."""

    path: list[str] | None  #: the key it stands for, or was probably meant for
    wrong: Words | None = None


class TableKind(NamedTuple):
    """What a table lists."""

    name_column: str  #: holds the name of what a row describes
    word: str  #: for people
    more: str  #: another column, as an example
    known: Callable[[Sequence[str]], ColumnKind]  #: looks a column up, split at its dots


def read_table(
    rows: Iterable[GridRow], file: str, environ: Mapping[str, str], kind: TableKind, mistakes: list[Mistake]
) -> Map:
    """What the rows describe, by name. An empty cell is an absent key; `a.b` is key b of mapping a."""
    table = Map(file, 1)
    before = len(mistakes)
    columns: list[list[str] | None] = []
    for row in rows:
        if columns:
            _row(row, columns, table, environ, kind, mistakes)
            continue
        columns = _columns(row, kind, mistakes)
        if [kind.name_column] not in columns:
            return table
    if not columns and len(mistakes) == before:
        hint = f"its first line names the columns: {kind.name_column}, {kind.more}, …"
        mistakes.append(Mistake(file, 1, "the table is empty", hint))
    return table


def _columns(header: GridRow, kind: TableKind, mistakes: list[Mistake]) -> list[list[str] | None]:
    """The key of each column; None for one without a name."""
    names = header.cells[:_MAX_COLUMNS]
    columns: list[list[str] | None] = []
    if kind.name_column not in names:
        mistakes.append(Mistake(*header.place, f"no column `{kind.name_column}`", _first_line(names, kind)))
        return columns
    for index, name in enumerate(names):
        path = name.split(".")
        column = ColumnKind(path) if name in ("", kind.name_column) else kind.known(path)
        if column.wrong is not None:
            reason = column.wrong.reason.replace("is not a key", "is not a column")
            mistakes.append(Mistake(*header.at(index), reason, column.wrong.hint))
        if name and column.path in columns:
            mistakes.append(Mistake(*header.at(index), f"the column `{name}` stands here twice", "keep one of them"))
            columns.append(_IGNORED)
        else:
            columns.append(column.path or _IGNORED if name else None)
    return columns


def _first_line(names: Sequence[str], kind: TableKind) -> str:
    """What to write as the first line, where it names columns as other tools or other languages do."""
    filled = [name for name in names if name]
    if names[0].lower().startswith("sep=") or (len(filled) == 1 and len(names) > 1):
        return f"remove this line: the first one names the columns, {kind.name_column}, {kind.more}, …"
    if any(_ADDRESS.match(name) for name in names):
        return f"write a line above it that names the columns: {kind.name_column}, {kind.more}, …"
    if kind.word == "device" and {"tag", "address"} <= set(names):
        return "it lists tags: name it under `tags_file:` of a device"
    words = {name: _COLUMNS.get(re.sub(r"[\s_]", "", name.lower())) for name in names}
    ours = [
        kind.name_column if words[name] == "tag" else words[name] or re.sub(r"[\s-]", "_", name.lower())
        for name in names
    ]
    if kind.name_column in ours:
        return f"write it as {','.join(ours)}"
    return f"the first line names the columns: {kind.name_column}, {kind.more}, …"


def _row(
    row: GridRow,
    columns: Sequence[list[str] | None],
    table: Map,
    environ: Mapping[str, str],
    kind: TableKind,
    mistakes: list[Mistake],
) -> None:
    entry = Map(*row.place)
    name, at = "", row.place
    for index, text in enumerate(row.cells):
        path = columns[index] if index < len(columns) else None
        if not text or path is _IGNORED:
            continue
        place = row.at(index)
        if path is None:
            reason = f"{text!r} stands in a column without a name"
            mistakes.append(Mistake(*place, reason, "check the number of separators in this line"))
        elif path == [kind.name_column]:
            name, at = text, place
        else:
            _put(entry, path, _cell(path[-1], text, place, environ, mistakes), place, text)
    if not name:
        reason = f"a line without a name in column `{kind.name_column}`"
        mistakes.append(Mistake(*row.place, reason, f"name the {kind.word}, or remove the line"))
    elif name in table:
        reason = f"the {kind.word} `{name}` stands here a second time; the first is in {table.place(name).in_file()}"
        mistakes.append(Mistake(*at, reason, "keep one of them"))
    else:
        table.put(name, entry, at)


def _put(entry: Map, path: Sequence[str], value: object, place: Place, text: str) -> None:
    into = entry
    for step in path[:-1]:
        if not isinstance(into.get(step), Map):
            into.put(step, Map(*place), place)
        into = into[step]
    into.put(path[-1], value, place, text if isinstance(value, Text) and "${" in text else None)


def _cell(key: str, text: str, place: Place, environ: Mapping[str, str], mistakes: list[Mistake]) -> object:
    if text[0] in "[{" and key not in _TEXTS:
        from agent.config.yaml import parse  # as in files.py

        value = parse(text, place.file, environ, mistakes, line=place.line - 1)
        return Broken() if value is None else value
    try:
        return Text(expand(text, environ)) if "${" in text else Text(text)
    except EnvironmentMistake as error:
        mistakes.append(Mistake(*place, str(error), error.hint))
        return Broken()
