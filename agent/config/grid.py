"""Rows of a table: CSV text, or a sheet of a workbook, with the place of every cell. What they mean: tables.py."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from agent.config.located import Place
from agent.core.errors import Mistake

#: More rows than this are no list that anybody wrote.
MAX_ROWS = 100_000
#: A workbook is a zip file: what it may unpack to, bytes.
MAX_UNPACKED = 64 << 20

_MERGED = re.compile(r'<mergeCell ref="([A-Z]+)(\d+):[A-Z]+(\d+)"')
_UNSOLVED = re.compile(r'<c r="([A-Z]+\d+)"[^<>]*>\s*<f[^<>]*>[^<]*</f>\s*(?:<v\s*/>|<v></v>)?\s*</c>')
_AS_TEXT = "Excel makes dates of 1-2 or 3/4: format the column as text, and write the cell again"
_SAVE = "save it as .xlsx or as CSV (UTF-8)"


class GridRow(NamedTuple):
    """One row. Text of its cells, blank ones empty."""

    cells: Sequence[str]
    file: str  #: as the user named it; of a workbook with `#Sheet`
    number: int  #: 1-based
    sheet: bool = False

    @property
    def place(self) -> Place:
        """Of the row: its line; in a sheet its first cell."""
        return self.at(0)

    def at(self, column: int) -> Place:
        """Of one cell. Line 0: the name says it all (`meters.xlsx#Sheet1!B7`)."""
        return Place(f"{self.file}!{_letters(column)}{self.number}", 0) if self.sheet else Place(self.file, self.number)


def is_workbook(name: str) -> bool:
    """Whether `name` (`x.xlsx`, `x.xlsx#Sheet`) is that of a workbook."""
    return file_of(name).lower().endswith(".xlsx")


def file_of(name: str) -> str:
    """The file of `x.xlsx#Sheet`; any other name as it is."""
    file, mark, _ = name.rpartition("#")
    return file if mark and file.lower().endswith(".xlsx") else name


def csv_rows(text: str, file: str, mistakes: list[Mistake]) -> Iterator[GridRow]:
    """The rows of a CSV that are not blank; ends at what is no CSV, noting it."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    for _ in range(MAX_ROWS):
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            hint = 'put cells with separators into "quotes", write " inside as ""'
            mistakes.append(Mistake(file, number, f"not CSV: {error}", hint))
            return
        if row is None:
            return
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield GridRow(cells, file, number)
    mistakes.append(Mistake(file, MAX_ROWS, f"more than {MAX_ROWS:,} rows", "divide the table into several files"))


def sheet_rows(data: bytes, name: str, mistakes: list[Mistake]) -> Iterator[GridRow]:
    """The rows of one sheet that are not blank: formulas by their stored value, whole numbers as integers."""
    file, sheet = file_of(name), name[len(file_of(name)) + 1 :]
    book = _workbook(data, file, mistakes)
    if book is None:
        return
    try:
        if sheet and sheet not in book.sheetnames:
            hint = f"write one of {', '.join(f'{file}#{one}' for one in book.sheetnames[:10])}"
            mistakes.append(Mistake(file, None, f"the workbook has no sheet {sheet!r}", hint))
            return
        rows = book[sheet] if sheet else book.worksheets[0]
        shown = f"{file}#{rows.title}"
        if (found := _odd_cell(data, rows, shown)) is not None:
            mistakes.append(found)
        for number, row in enumerate(rows.iter_rows(values_only=True), 1):
            if number > MAX_ROWS:
                reason = f"more than {MAX_ROWS:,} rows"
                mistakes.append(Mistake(f"{shown}!A{number}", None, reason, "divide the table into several sheets"))
                return
            cells = [_text(value) for value in row]
            if any(cells):
                made = GridRow(cells, shown, number, sheet=True)
                dates = [made.at(column) for column, value in enumerate(row) if isinstance(value, date)]
                mistakes += [Mistake(*place, "a date", _AS_TEXT) for place in dates]
                yield made
    except Exception as error:  # noqa: BLE001 - a damaged workbook raises whatever its XML makes the library raise
        mistakes.append(Mistake(file, None, f"the workbook is damaged: {type(error).__name__}", _SAVE))
    finally:
        book.close()


def _odd_cell(data: bytes, sheet: Any, shown: str) -> Mistake | None:
    """The first cells that say less than they show: several rows made one, or a formula nobody has worked out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        xml = archive.read(sheet._worksheet_path).decode(errors="replace")  # noqa: SLF001 - only there
    for match in _MERGED.finditer(xml):
        column, first, last = match[1], int(match[2]), int(match[3])
        if first < last and first <= (sheet.max_row or MAX_ROWS):
            hint = f"unmerge them and fill in each: only {column}{first} holds the value"
            return Mistake(f"{shown}!{column}{first}", None, f"the rows {first} to {last} share a merged cell", hint)
    if (formula := _UNSOLVED.search(xml)) is not None:
        return Mistake(
            f"{shown}!{formula[1]}", None, "a formula without its value", "open the file in Excel and save it"
        )
    return None


def _workbook(data: bytes, file: str, mistakes: list[Mistake]) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_UNPACKED:
            reason = f"the workbook unpacks to {size >> 20} MiB, more than {MAX_UNPACKED >> 20} MiB"
            mistakes.append(Mistake(file, None, reason, "keep what the table needs in a file of its own"))
            return None
        from openpyxl import load_workbook

        return load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except Exception as error:  # noqa: BLE001 - the same
        mistakes.append(Mistake(file, None, f"not a workbook: {type(error).__name__}", _SAVE))
        return None


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _letters(column: int) -> str:
    letters = ""
    number = column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def place_key(mistake: Mistake) -> tuple[int, str]:
    """Orders mistakes of one file: by line, in a sheet by row and cell."""
    if mistake.line or "!" not in mistake.path:
        return mistake.line or 0, ""
    cell = mistake.path.rpartition("!")[2]
    return int("".join(filter(str.isdigit, cell)) or 0), cell
