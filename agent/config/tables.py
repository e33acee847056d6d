"""`tags_file`: a CSV with the keys of a tag as columns. Pure; the text comes from files.py."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agent.config.environment import EnvironmentMistake, expand
from agent.config.located import Broken, Map, Place, Text
from agent.config.words import Words
from agent.config.yaml import parse
from agent.core.errors import Mistake

NAME_COLUMN = "tag"
_MAX_COLUMNS = 100
_IGNORED = [""]  #: the path of a column whose cells are passed over, its mistake being noted


class Column(NamedTuple):
    """What a column is."""

    path: list[str] | None  #: the key it stands for, or was probably meant for
    wrong: Words | None = None


def read_table(
    text: str,
    file: str,
    environ: Mapping[str, str],
    known: Callable[[Sequence[str]], Column],
    mistakes: list[Mistake],
) -> Map:
    """The tags of a table by name. An empty cell is an absent key; `a.b` is key b of mapping a.

    `known` looks a column up, split at its dots.
    """
    table = Map(file, 1)
    separator = _separator(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: list[list[str] | None] = []
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            mistakes.append(
                Mistake(
                    file, line, f"not CSV: {error}", 'put cells with separators into "quotes", write " inside as ""'
                )
            )
            return table
        if row is None:
            break
        if not any(cell.strip() for cell in row):
            continue
        if not columns:
            columns = _columns(row, file, line, known, mistakes)
            if [NAME_COLUMN] not in columns:
                return table
            continue
        _row(row, columns, table, Place(file, line), environ, mistakes)
    if not columns:
        mistakes.append(
            Mistake(file, 1, "the table is empty", f"its first line names the columns: {NAME_COLUMN}, address, …")
        )
    return table


def _separator(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=header.count)


def _columns(
    header: Sequence[str], file: str, line: int, known: Callable[[Sequence[str]], Column], mistakes: list[Mistake]
) -> list[list[str] | None]:
    """The key of each column; None for one without a name."""
    names = [cell.strip() for cell in header[:_MAX_COLUMNS]]
    columns: list[list[str] | None] = []
    if NAME_COLUMN not in names:
        hint = f"the first line names the columns: {NAME_COLUMN}, address, …"
        mistakes.append(Mistake(file, line, f"no column `{NAME_COLUMN}`", hint))
        return columns
    for name in names:
        path = name.split(".")
        column = Column(path) if name in ("", NAME_COLUMN) else known(path)
        if column.wrong is not None:
            reason = column.wrong.reason.replace("is not a key", "is not a column")
            mistakes.append(Mistake(file, line, reason, column.wrong.hint))
        if name and column.path in columns:
            mistakes.append(Mistake(file, line, f"the column `{name}` stands here twice", "keep one of them"))
            columns.append(_IGNORED)
        else:
            columns.append(column.path or _IGNORED if name else None)
    return columns


def _row(
    row: Sequence[str],
    columns: Sequence[list[str] | None],
    table: Map,
    place: Place,
    environ: Mapping[str, str],
    mistakes: list[Mistake],
) -> None:
    tag = Map(*place)
    name = ""
    for index, cell in enumerate(row):
        text = cell.strip()
        path = columns[index] if index < len(columns) else None
        if not text or path is _IGNORED:
            continue
        if path is None:
            mistakes.append(
                Mistake(
                    *place, f"{text!r} stands in a column without a name", "check the number of separators in this line"
                )
            )
        elif path == [NAME_COLUMN]:
            name = text
        else:
            _put(tag, path, _cell(text, place, environ, mistakes), place, text)
    if not name:
        mistakes.append(
            Mistake(*place, f"a line without a name in column `{NAME_COLUMN}`", "name the tag, or remove the line")
        )
    elif name in table:
        mistakes.append(
            Mistake(
                *place,
                f"the tag `{name}` stands here a second time; the first is in line {table.place(name).line}",
                "keep one of them",
            )
        )
    else:
        table.put(name, tag, place)


def _put(tag: Map, path: Sequence[str], value: object, place: Place, text: str) -> None:
    into = tag
    for step in path[:-1]:
        if not isinstance(into.get(step), Map):
            into.put(step, Map(*place), place)
        into = into[step]
    into.put(path[-1], value, place, text if isinstance(value, Text) and "${" in text else None)


def _cell(text: str, place: Place, environ: Mapping[str, str], mistakes: list[Mistake]) -> object:
    if text[0] in "[{":
        value = parse(text, place.file, environ, mistakes, line=place.line - 1)
        return Broken() if value is None else value
    try:
        return Text(expand(text, environ)) if "${" in text else Text(text)
    except EnvironmentMistake as error:
        mistakes.append(Mistake(*place, str(error), error.hint))
        return Broken()
