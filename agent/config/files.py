"""The files of a configuration: reading them, following `include:`."""

from __future__ import annotations

import codecs
import glob
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from agent.config.grid import GridRow, csv_rows, file_of, is_workbook, sheet_rows
from agent.config.located import List, Map, Place, named
from agent.config.plain_json import plain_json
from agent.config.shape import close
from agent.core.errors import Mistake


@dataclass
class Reads:
    """What a configuration was read from, as far as the reading came.

    As long as all of this stays as it was, reading again comes to the same.
    """

    yaml: dict[Path, str] = field(default_factory=dict)
    """YAML files, the main one first, each with a digest of the bytes that were read: empty where it was missing."""
    tables: dict[Path, str] = field(default_factory=dict)
    """Tables likewise."""
    globs: dict[tuple[str, Path], tuple[str, ...]] = field(default_factory=dict)
    """Patterns of `include` with the folder they start from, and the names that matched."""
    secrets: dict[Path, str] = field(default_factory=dict)
    """Secret and certificate files likewise; only of a configuration without mistakes."""

    def forget(self) -> None:
        """All is read again."""
        for kept in (self.yaml, self.tables, self.globs, self.secrets):
            kept.clear()

    def hash(self) -> str:
        """12 digits over the bytes of all files: names a configuration that has mistakes, and so no meaning."""
        text = "".join(sorted((*self.yaml.values(), *self.tables.values())))
        return digest(text.encode())[:12]


def digest(data: bytes) -> str:
    """Tells contents of a file apart."""
    return hashlib.sha256(data).hexdigest()


def digest_of(file: Path) -> str:
    """Of what the file holds now; empty where it cannot be read."""
    try:
        if not file.is_file():
            return ""
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


LARGEST = 64 << 20  #: bytes of one file, as of an unpacked workbook: reading takes several times as much memory
#: What one pattern of `include` may match, and the folders it may lead through: a whole disk is not meant.
MOST_FILES = 10_000
_MAIN = ("agent", "log", "http", "outbox", "history")
INCLUDABLE = ("devices", "devices_file", "templates", "publishers", "include")


class SourceFile(NamedTuple):
    """One YAML file of the configuration."""

    data: Map
    base: Path  #: absolute folder that relative paths in it start from
    shown: str  #: its name for people: as the user named it
    located: bool = True  #: its data knows lines


def read_text(
    path: Path, shown: str, place: Place | None, mistakes: list[Mistake], seen: dict[Path, str]
) -> str | None:
    """The text of a UTF-8 file, or None after noting why not: at `place`, where the file is named, else at the file.

    What was read is entered in `seen`, as in :class:`Reads`.
    """
    data = _read_bytes(path, shown, place, mistakes, seen)
    if data is None:
        return None
    if (other := _other_than_text(data, shown)) is not None:
        mistakes.append(Mistake(shown, None, *other))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        mistakes.append(Mistake(shown, line, f"byte 0x{data[error.start]:02X} is not UTF-8", _as_utf_8(shown)))
        return None


def _as_utf_8(shown: str) -> str:
    return f"save the file as UTF-8{' (in Excel: CSV UTF-8)' if shown.lower().endswith('.csv') else ''}"


def _other_than_text(data: bytes, shown: str) -> tuple[str, str] | None:
    """What the file is, and what to do, where it is none of text in UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:2]:
        return "the file is UTF-16", _as_utf_8(shown)
    if data.startswith(b"PK\x03\x04"):
        return "the file is a workbook of Excel", "name it .xlsx, or save it as CSV (UTF-8)"
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return "the file is an old workbook of Excel", "save it as .xlsx, or as CSV (UTF-8)"
    return None


def where_files_are(written: str) -> str:
    """What to do about a file that is not there, as it is written."""
    if "\\" in written:
        return "that is a path of Windows; write one of Linux, with /"
    return "relative paths start at the folder of the file they are written in"


def rows_of(
    path: Path, shown: str, place: Place, mistakes: list[Mistake], seen: dict[Path, str]
) -> Iterator[GridRow] | None:
    """The rows of a table: CSV, or a sheet of a workbook (`x.xlsx`, `x.xlsx#Sheet`). None as :func:`read_text`."""
    if not is_workbook(str(path)):
        text = read_text(path, shown, place, mistakes, seen)
        return None if text is None else csv_rows(text, shown, mistakes)
    data = _read_bytes(Path(file_of(str(path))), file_of(shown), place, mistakes, seen)
    return None if data is None else sheet_rows(data, shown, mistakes)


def _read_bytes(
    path: Path, shown: str, place: Place | None, mistakes: list[Mistake], seen: dict[Path, str]
) -> bytes | None:
    seen[path.absolute()] = ""
    file, line = place if place is not None else (shown, None)
    if any("\ud800" <= char <= "\udfff" for char in str(path.absolute())):  # bytes of a name that are no UTF-8
        what = "its name" if place is None else f"the name of {shown}"
        mistakes.append(Mistake(file, line, f"{what}, or of a folder above it, is not UTF-8", "rename it"))
        return None
    try:
        if place is not None and path.exists() and not path.is_file():
            kind = "directory" if path.is_dir() else "pipe or a device"
            mistakes.append(Mistake(file, line, f"{shown!r} is a {kind}, no file", "name a file"))
            return None
        with path.open("rb") as opened:
            data = opened.read(LARGEST + 1)
        if len(data) > LARGEST:
            hint = "name the right file, or divide it"
            mistakes.append(Mistake(file, line, f"{shown} is larger than {LARGEST >> 20} MiB", hint))
            return None
    except FileNotFoundError:
        if path.is_symlink():
            mistakes.append(Mistake(file, line, f"{shown} is a link that leads nowhere", "mend the link, or remove it"))
            return None
        hint = where_files_are(shown) if place else "name it with -c"
        mistakes.append(Mistake(file, line, f"there is no file {shown}", hint))
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        mistakes.append(Mistake(file, line, f"{shown!r} cannot be read: {why}", "name a file that may be read"))
        return None
    seen[path.absolute()] = digest(data)
    return data


def read_sources(
    path: Path, environ: Mapping[str, str], mistakes: list[Mistake], reads: Reads, *, located: bool = True
) -> tuple[list[SourceFile], list[str]]:
    """The main file and all it includes, each once; unreadable ones are noted and left out. And the names of all.

    Unless data is to be `located`, that of JSON knows no lines.
    """
    sources: list[SourceFile] = []
    names: list[str] = []
    seen: set[Path] = set()
    waiting: list[tuple[Path, str, Place | None]] = [(path, str(path), None)]
    while waiting:
        file, shown, named = waiting.pop(0)
        real = Path(os.path.realpath(file))
        if real in seen:
            continue
        seen.add(real)
        names.append(shown)
        text = read_text(file, shown, named, mistakes, reads.yaml)
        if text is None:
            continue
        before = len(mistakes)
        quick = None if located else plain_json(text, shown)
        data = _yaml(text, shown, environ, mistakes) if quick is None else quick
        if data is None and sources and len(mistakes) == before:
            data = Map(shown, 1)  # an included file may be empty: one whose devices are all commented out
        if not isinstance(data, Map):
            if len(mistakes) == before:
                what = "the file is empty" if data is None else "the file does not hold a mapping"
                mistakes.append(Mistake(shown, 1, what, "it begins with keys such as `agent:` or `devices:`"))
            continue
        source = SourceFile(data, file.absolute().parent, shown, located=quick is None)
        if sources:
            _refuse_foreign_keys(source, mistakes)
        sources.append(source)
        waiting.extend(_included(source, mistakes, reads))
    return sources, names


def _yaml(text: str, file: str, environ: Mapping[str, str], mistakes: list[Mistake]) -> object:
    from agent.config.yaml import parse  # 1.4 MB, for nothing where all is JSON

    return parse(text, file, environ, mistakes)


def _refuse_foreign_keys(source: SourceFile, mistakes: list[Mistake]) -> None:
    for key in [key for key in source.data if key not in INCLUDABLE and not str(key).startswith("x-")]:
        place = source.data.place(key)
        hint = f"an included file may hold {', '.join(INCLUDABLE)}; everything else stands in the main file"
        meant = f"`{named(key)}`" if close(key, (*INCLUDABLE, *_MAIN)) else "this key"  # any file may match a glob
        mistakes.append(Mistake(*place, f"{meant} cannot stand in an included file", hint))


def _included(source: SourceFile, mistakes: list[Mistake], reads: Reads) -> list[tuple[Path, str, Place | None]]:
    patterns = source.data.get("include")
    if patterns is None:
        return []
    if not isinstance(patterns, List):
        place = source.data.place("include")
        mistakes.append(Mistake(*place, "`include` is not a list", "write `include: [devices/*.yaml]`"))
        return []
    found: list[tuple[Path, str, Place | None]] = []
    for index, pattern in enumerate(patterns):
        place = patterns.place(index)
        if not isinstance(pattern, str):
            mistakes.append(Mistake(*place, f"`include.{index}` is not text", "write `include: [devices/*.yaml]`"))
            continue
        if (pattern, source.base) in reads.globs:
            continue  # followed already
        names = matching(pattern, source.base)
        reads.globs[pattern, source.base] = tuple(names or ())
        if names is None or len(found) + len(names) > MOST_FILES:
            reason = f"`include`: {pattern!r} leads to more than {MOST_FILES:,} files or folders"
            mistakes.append(Mistake(*place, reason, "name the folder of the devices: `include: [devices/*.yaml]`"))
            continue
        if not names:
            reason = f"`include`: no file matches {pattern!r}"
            mistakes.append(Mistake(*place, reason, f"it is looked for from the folder {source.base}"))
        folder = Path(source.shown).parent
        found += [(source.base / name, str(folder / name), place) for name in names]
    return found


def matching(pattern: str, base: Path) -> list[str] | None:
    """What one pattern of `include` means, sorted: all but folders. None where that is too much to look through.

    A link to nothing counts: its devices would else be removed from the plant as if that were meant.
    """
    levels = pattern.split("/")
    # level by level: each was found to be small before the next is looked through, and links may lead in circles
    parts = ["/".join(levels[:end]) + "/" for end in range(1, len(levels)) if glob.has_magic(levels[end - 1])]
    try:
        for part in (*parts, pattern):
            found = list(islice(glob.iglob(part, root_dir=base, recursive=True), MOST_FILES + 1))  # noqa: PTH207 -- absolute patterns may be given too
            if len(found) > MOST_FILES:
                return None
        return sorted(name for name in found if not (base / name).is_dir())
    except (ValueError, OSError):
        return []
