"""`edge-agent logs`: the JSON lines of an agent for people, with the remedy under what somebody can mend."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from agent.cli.words import harmless
from agent.settings.values import parse_duration
from agent.telemetry.events import EVENTS

LEVELS = ("debug", "info", "warning", "error")
#: Between two looks at a file that is followed, seconds.
LOOK = 0.25
#: Fields that stand in front, or say nothing to people.
_FRONT = ("ts", "level", "event", "component")


@dataclass(frozen=True)
class Filter:
    """Which lines are shown."""

    device: str | None = None  #: a glob
    level: str = "debug"  #: of at least this level
    since: datetime | None = None

    def __call__(self, line: Mapping[str, Any]) -> bool:
        """Whether this line is shown."""
        level = str(line.get("level", "info"))
        if level in LEVELS and LEVELS.index(level) < LEVELS.index(self.level):
            return False
        if self.device is not None and not fnmatchcase(str(line.get("device", "")), self.device):
            return False
        when = _when(line)
        return self.since is None or when is None or when >= self.since


def logs(file: str, device: str | None, level: str, since: str | None, *, follow: bool) -> int:
    """0: shown, 1: the file cannot be read, 2: what was asked for is wrong."""
    try:
        begin = None if since is None else _since(since)
    except ValueError as error:
        sys.stderr.write(f"--since: {error}; write 10m, 2h or 2026-11-29T03:00\n")
        return 2
    wanted = Filter(device, level, begin)
    try:
        source: IO[bytes] = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        sys.stderr.write(f"{file}: cannot be read: {error.strerror}\n")
        return 1
    try:
        with source:
            for raw in _lines(source, follow=follow and file != "-"):
                text = shown(raw, wanted)
                if text:
                    sys.stdout.write(text)
                    sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    return 0


def shown(raw: bytes, wanted: Filter) -> str:
    """One line of a log for people; empty where it is not wanted. What is no line of an agent passes as it is."""
    text = raw.decode("utf-8", errors="replace").rstrip("\n")
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict) or "event" not in line:
        return f"{harmless(text)}\n" if text and wanted == Filter() else ""
    if not wanted(line):
        return ""
    when = _when(line)
    clock = "--:--:--" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    fields = " ".join(f"{key}={_value(value)}" for key, value in line.items() if key not in (*_FRONT, "traceback"))
    told = [f"{clock} {line.get('level', ''):<7} {line['event']} {fields}".rstrip()]
    event = EVENTS.get(str(line["event"]))
    if event is not None and event.remedy and line.get("level") in ("warning", "error"):
        told.append(f"{'':20}-> {event.remedy}")
    told += [f"{'':20}{one}" for one in str(line.get("traceback", "")).splitlines()]
    return "".join(f"{harmless(one)}\n" for one in told)


def _value(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value, ensure_ascii=False)


def _when(line: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(line.get("ts")))
    except ValueError:
        return None


def _since(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(time.time() - parse_duration(text), UTC)
    except ValueError:
        return datetime.fromisoformat(text).astimezone()


def _lines(source: IO[bytes], *, follow: bool) -> Iterator[bytes]:
    """Whole lines; with `follow` also those that come later, from the beginning of a file that was replaced or cut."""
    kept = b""
    while True:
        for part in source:
            kept += part
            if kept.endswith(b"\n"):
                yield kept
                kept = b""
        if not follow:
            if kept:
                yield kept
            return
        _wait()
        here = os.fstat(source.fileno())
        if here.st_size < source.tell():
            source.seek(0)
        with suppress(OSError):  # between the two names of a rotation there may be none
            if not os.path.samestat(here, Path(source.name).stat()):
                fresh = Path(source.name).open("rb")  # noqa: SIM115 - the caller ends with it
                yield from source  # what was written before it was moved away
                source.close()
                source, kept = fresh, b""


def _wait() -> None:
    """Until the next look. Raises BrokenPipeError where nobody reads any more: the next line may be hours away."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)  # 0: errors only
    if reader.poll(LOOK * 1000):
        raise BrokenPipeError
