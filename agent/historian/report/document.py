"""A report as a file: who made it when, its figures and their SHA-256. Pure; the same bytes from the same document."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from agent.core.text import harmless
from agent.historian.report.text import TEXT, Language

SCHEMA = "edge.report.v1"
Form = Literal["html", "csv", "json"]

_Line = tuple[str, str, str, str, object]  # section, device, tag, figure, value


_LISTS = ("gaps", "differences", "stops", "agents")


class Head(NamedTuple):
    """What a file says of itself: with it, and the database, the file can be made again."""

    historian: str
    version: str
    day: str
    until: int  #: epoch milliseconds
    made: int  #: epoch milliseconds
    lang: Language


class Document(NamedTuple):
    """A report."""

    head: Head
    figures: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Of the figures as JSON: keys in order, no blanks, UTF-8."""
        text = json.dumps(self.figures, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def seal(self) -> str:
        """Of head and figures together, so that a changed byte of the head is found, too."""
        return hashlib.sha256(f"{head_text(self.head)} {self.sha256}".encode()).hexdigest()[:16]


def as_json(document: Document) -> str:
    """One value a line."""
    head = {"schema": SCHEMA, **document.head._asdict()}
    whole = {"report": head, "sha256": document.sha256, "seal": document.seal, "figures": document.figures}
    return json.dumps(whole, indent=1, ensure_ascii=True) + "\n"


def as_csv(document: Document) -> str:
    """One figure a row: section, device, tag, figure, value. The first row says of what day it is, and its SHA-256."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(["edge-report", head_text(document.head), document.sha256, document.seal, ""])
    write(["section", "device", "tag", "figure", "value"])
    for row in (*_rates(document), *_devices(document.figures["devices"]), *_lists(document.figures)):
        write([_cell(cell) for cell in row])
    return out.getvalue()


def _rates(document: Document) -> Iterator[_Line]:
    figures, said = document.figures, TEXT[document.head.lang]
    for key in ("day", "time_zone", "begin", "until", "complete"):
        yield "report", "", "", key, figures[key]
    for key in ("networked", "collected", "good"):
        yield key, "", "", "name", said[key]
        for name, value in figures[key].items():
            yield key, "", "", name, value
        yield key, "", "", "definition", definition(document, key)


def _devices(devices: list[dict[str, Any]]) -> Iterator[_Line]:
    for device in devices:
        name = device["device"]
        yield from (("device", name, "", key, value) for key, value in device.items() if key not in ("tags", "untold"))
        for tag in device["tags"]:
            yield from (("tag", name, tag["tag"], key, value) for key, value in tag.items() if key != "tag")


def _lists(figures: dict[str, Any]) -> Iterator[_Line]:
    untold = [{"device": one["device"], **part} for one in figures["devices"] for part in one["untold"]]
    for section, rows in (("untold", untold), *((name, figures[name]) for name in _LISTS)):
        for number, row in enumerate(rows, 1):
            where = f"{section} {number}", row.get("device", ""), ""
            yield from ((*where, key, value) for key, value in row.items() if key != "device")


def definition(document: Document, key: str) -> str:
    """What numerator and denominator of a rate are, in words."""
    said = TEXT[document.head.lang]
    rate = document.figures["networked"]
    means = said[f"{key}_means"].format(of=said["by_plant" if rate["by_plant"] else "by_data"])
    return means + said["by_more"] if key == "networked" and rate["numerator"] > rate["denominator"] else means


def agreed(figures: dict[str, Any]) -> str:
    """Name of the sentence, where nothing differs."""
    return "agree" if any(one["agent_readings"] is not None for one in figures["devices"]) else "uncounted"


def head_text(head: Head) -> str:
    """The head in one line."""
    return ";".join(f"{key}={value}" for key, value in head._asdict().items())


_HEAD = re.compile(
    r"historian=(?P<historian>[^;\"<>]*);version=(?P<version>[^;\"<>]*);day=(?P<day>\d{4}-\d\d-\d\d);until=(?P<until>\d{1,15});"
    r"made=(?P<made>\d{1,15});lang=(?P<lang>en|zh)"
)


def head_of(text: str, form: Form) -> Head | None:
    """The head of a file; None where it has none."""
    if form == "json":
        try:
            head = json.loads(text)["report"]
            if head.pop("schema") != SCHEMA:
                return None
            line = head_text(Head(**head))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        found = _HEAD.fullmatch(line)
    else:
        found = _HEAD.search(text[:4000])
    if found is None or not _is_day(found["day"]):
        return None
    lang: Language = "zh" if found["lang"] == "zh" else "en"
    return Head(found["historian"], found["version"], found["day"], int(found["until"]), int(found["made"]), lang)


def _is_day(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text) < dt.date.max
    except ValueError:
        return False


def _cell(value: object) -> object:
    """A spreadsheet takes a text that begins like a formula for one."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        value = harmless(value)
        return "'" + value if value[:1] in ("=", "+", "-", "@") else value
    return "" if value is None else value
