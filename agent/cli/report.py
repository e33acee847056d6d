"""`edge-agent report`: what was collected in a day, and whether a report still says what the database says."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import NamedTuple

from agent import __version__
from agent.cli import mistakes
from agent.core.clock import SystemClock
from agent.core.errors import ConfigError, PermanentError, TransientError
from agent.core.private import write_private
from agent.core.regular import read_regular
from agent.core.text import harmless
from agent.historian.config import HistorianConfig
from agent.historian.loading import load_historian
from agent.historian.report.document import Document, Form, agreed, head_of
from agent.historian.report.making import make, make_again, yesterday
from agent.historian.report.text import TEXT, Language
from agent.historian.report.verify import differences, rendered

_FORMS: dict[str, Form] = {".html": "html", ".csv": "csv", ".json": "json"}
_ENDINGS = "a report is a .html, .csv or .json file"
#: No report is larger, by far.
_LARGEST = 64 << 20


class Wanted(NamedTuple):
    """What to do."""

    day: str | None
    lang: Language
    output: Path | None
    verify: Path | None


def report(config: Path, wanted: Wanted) -> int:
    """0: made, or equal; 1: no database, or the file differs; 2: mistakes."""
    if wanted.verify is not None and (wanted.day is not None or wanted.output is not None):
        return _wrong("--verify takes the day from the file; leave --day and -o out", 2)
    file = wanted.verify or wanted.output
    form = _FORMS.get(file.suffix.lower()) if file is not None else "json"
    if form is None:
        return _wrong(f"{file}: {_ENDINGS}", 2)
    try:
        loaded = load_historian(config, secrets=False).config
        if wanted.verify is not None:
            return _verify(loaded, wanted.verify, form)
        now = SystemClock().now_ms()
        document = make(loaded, _day(loaded, wanted.day, now), wanted.lang, now)
        if wanted.output is not None:
            write_private(wanted.output, rendered(document, form))
    except ConfigError as error:
        mistakes.report(error, sys.stderr)
        return 2
    except (TransientError, PermanentError) as error:
        return _wrong(str(error), 1)
    except OSError as error:
        return _wrong(f"{file}: {error.strerror or error}", 1)
    sys.stdout.write(_summary(document))
    return 0


def _day(config: HistorianConfig, text: str | None, now_ms: int) -> dt.date:
    before = yesterday(config, now_ms)
    try:
        day = dt.date.fromisoformat(text) if text is not None else before
    except ValueError as error:
        raise ConfigError("--day", None, f"{text!r} is no date", "write 2026-11-28") from error
    if day > before + dt.timedelta(1):
        raise ConfigError("--day", None, f"{day} has not begun in {config.plant.time_zone}", "name a day that has")
    return day


def _verify(config: HistorianConfig, file: Path, form: Form) -> int:
    found = read_regular(file, _LARGEST)
    head = head_of(found.decode("utf-8", "backslashreplace"), form)
    if head is None:
        return _wrong(f"{file}: it does not say which report it is: its first lines were changed", 1)
    document = make_again(config, head)
    wrong = differences(found, document, form)
    if not wrong:
        sys.stdout.write(f"{harmless(str(file))}: every byte as the database gives it, SHA-256 {document.sha256}\n")
        return 0
    _wrong(f"{file}: differs from the database", 1)
    if head.version != __version__:
        sys.stderr.write(
            f"  it was made by edge-agent {harmless(head.version)}, this is {__version__}: that one compares\n"
        )
    for line in wrong:
        sys.stderr.write(f"  {line}\n")
    return 1


def _summary(document: Document) -> str:
    said, figures = TEXT[document.head.lang], document.figures
    lines = [f"{said['title']} {figures['day']} ({figures['time_zone']})"]
    for key in ("networked", "collected", "good"):
        rate = figures[key]
        share = "—" if rate["rate"] is None else f"{rate['rate'] * 100:.2f} %"
        lines.append(f"  {said[key]}: {share} ({rate['numerator']:,} / {rate['denominator']:,})")
        if key == "networked" and rate["numerator"] > rate["denominator"]:
            lines.append(f"   {said['by_more']}")
    for one in figures["differences"]:
        parts = [f"{said[key]} {one[key]:,}" for key in ("short", "missing") if one[key]]
        lines.append(f"  {said['differ']}: {one['device']}: {', '.join(parts)}")
    untold = [sum(part["seconds"] for part in one["untold"]) for one in figures["devices"] if one["untold"]]
    if untold:
        lines.append(f"  {said['untold']}: {max(untold) / 3600:.1f} ({said['devices']}: {len(untold)})")
    if not figures["differences"]:
        lines.append(f"  {said[agreed(figures)]}")
    lines.append(f"  {said['digest']}: {document.sha256}")
    return "".join(f"{harmless(line)}\n" for line in lines)


def _wrong(text: str, code: int) -> int:
    sys.stderr.write(harmless(text) + "\n")
    return code
