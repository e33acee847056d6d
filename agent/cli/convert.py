"""`edge-agent convert`: a foreign configuration → ours, and what could not be carried over, item by item."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.cli.words import counted, harmless
from agent.core.regular import read_regular
from agent.workbench.convert import FORMATS, convert, recognised
from agent.workbench.convert.formats import LARGEST, unreadable
from agent.workbench.convert.written import yaml_of


def convert_file(file: Path, kind: str | None) -> int:
    """0: all of it was carried over, 1: partly, 2: nothing. YAML to standard output, notes to standard error."""
    text = _read(file)
    if text is None:
        return 2
    found = recognised(text)
    if found is None or kind not in (None, found[0]):
        known = ", ".join(FORMATS)
        what = f"looks like {found[0]}, not {kind}" if found else "not recognised"
        why = unreadable(text) or f"{what}; known formats: {known}"
        sys.stderr.write(harmless(f"{file}: {why}") + "\n")
        return 2
    result = convert(*found)
    if "\ufffd" in text:
        result.hint("the file", "it is not UTF-8, and letters are lost (\ufffd): save it as UTF-8 and convert it again")
    lost = 0
    for note in result.notes:
        lost += note.lost
        sys.stderr.write(harmless(f"{'not carried over' if note.lost else 'look at'}: {note.item}: {note.text}") + "\n")
    tags, devices = counted(result.count, "tag"), counted(len(result.devices), "device")
    sys.stderr.write(f"{found[0]}: {tags} of {devices}, {counted(lost, 'item')} not carried over\n")
    if not result.count:
        return 2
    sys.stdout.write(f"# from {harmless(file.name)} ({found[0]})\n{yaml_of(result.devices)}")
    return 1 if lost else 0


def _read(file: Path) -> str | None:
    try:
        data = read_regular(file, LARGEST)
    except OSError as error:
        sys.stderr.write(harmless(f"{file}: cannot be read: {error.strerror}") + "\n")
        return None
    return data.decode(_encoding(data[:2]), errors="replace")


def _encoding(head: bytes) -> str:
    """UTF-8, or UTF-16 as Windows programs write it, with or without its mark."""
    if head in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in head:  # no text begins with a NUL: half of a Latin letter
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return "utf-8-sig"
