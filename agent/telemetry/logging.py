"""Structured logs: one event per fact, JSON lines on standard output, or a console format for people.

    log = get_logger("publisher")
    log.info("publisher.online", publisher="plant", mqtt="5")

Call the method of the level that the catalogue gives the event (a test holds them together). Library loggers: bridged.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import IO, Any, Literal

import msgspec

# What structlog imports where it finds it and we never ask for, tracebacks in colour: 5 and 1 MB of a gateway's memory.
_found = {name: sys.modules.get(name) for name in ("rich", "greenlet")}
sys.modules.update(dict.fromkeys(_found))  # type: ignore[arg-type]  # None: "not installed", while this import takes
try:
    import structlog
finally:
    for _name, _module in _found.items():
        if _module is None:
            del sys.modules[_name]
        else:
            sys.modules[_name] = _module
from structlog.typing import FilteringBoundLogger  # noqa: E402 - after the import above

from agent.core.text import harmless, harmless_json, without_credentials  # noqa: E402
from agent.telemetry.recent import RECENT  # noqa: E402
from agent.telemetry.repeats import Repeats  # noqa: E402

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
#: Libraries that talk per message at INFO; below these levels they cost microseconds per value.
_LIBRARY_LEVELS = {
    "asyncua": logging.WARNING,
    "pymodbus": logging.ERROR,
    "uvicorn": logging.WARNING,
    "asyncio": logging.WARNING,
}
_SECRET_KEYS = ("password", "secret", "token", "private_key")

#: How long one line may wait for the reader of the log, seconds.
PATIENCE = 0.1

_encode = msgspec.json.Encoder(enc_hook=str).encode

#: How long a line of a library is remembered, and how many of different places in it are.
_CHATTER = Repeats()


def get_logger(component: str) -> FilteringBoundLogger:
    """A logger whose lines carry `component`. Events come from `telemetry.events.EVENTS`."""
    logger: FilteringBoundLogger = structlog.get_logger(component=component)
    return logger


def _stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["ts"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _is_secret(key: object) -> bool:
    name = str(key).lower()
    return any(word in name for word in _SECRET_KEYS) and not name.endswith("_file")


def _without_secrets(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: "***" if _is_secret(key) else _without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = "***" if _is_secret(key) else _without_secrets(value)
    return event


def _remember(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Among the newest events. Nothing in one of them may keep its line out of the log."""
    with contextlib.suppress(Exception):
        RECENT(logger, method, event)
    return event


def _harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a stranger wrote is not for the terminal to obey. Tracebacks are ours, and have their lines."""
    for key, value in event.items():
        if key not in ("exc_info", "exception", "stack_info") and not isinstance(value, (int, float, type(None))):
            event[key] = harmless(value if isinstance(value, str) else str(value))
    return event


def _render(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    told = {key: value for key, value in event.items() if value is not None}  # a null tells nobody anything
    ordered = {"ts": event.pop("ts"), "level": event.pop("level"), "event": event.pop("event"), **told}
    try:
        return harmless_json(_encode(ordered).decode())
    except (TypeError, ValueError, OverflowError):  # a device's half character, a key that is no text: still one line
        return json.dumps(ordered, default=str, skipkeys=True)


class _Lines:
    """Writes finished lines. A log that cannot be written (a closed pipe, a full disk) hurts nobody who logs.

    Nor does one that nobody reads: a full pipe would stop the event loop, and with it all devices and all publishers.
    A line waits `PATIENCE` seconds for its reader, those after it not at all; what is left out is counted and said.
    """

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._lock = threading.RLock()
        self._lost = 0
        self._broken = False  # the last line was cut
        self._poll: select.poll | None = None
        with contextlib.suppress(OSError, ValueError):
            self._fd = out.fileno()
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLOUT)

    def msg(self, line: str) -> None:
        """One line, whole, credentials in URLs taken out."""
        text = without_credentials(line) + "\n"
        # A closed pipe or a full disk: there is nobody left to tell.
        with contextlib.suppress(OSError, ValueError), self._lock:
            if self._poll is None:
                self._write(text)
            elif self._put(text, self._poll):
                self._say_lost()
            else:
                self._lost += 1

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
        except UnicodeEncodeError:
            self._out.write(text.encode("ascii", "backslashreplace").decode())
        self._out.flush()

    def _put(self, text: str, poll: select.poll) -> bool:
        """Past the stream's own buffer, whose overflow would wait for ever. False where nobody reads."""
        self._out.flush()
        try:
            data = text.encode(getattr(self._out, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            data = text.encode("ascii", "backslashreplace")
        if self._broken:
            data = b"\n" + data
        left = memoryview(data)
        while left:
            if not poll.poll(0 if self._lost else PATIENCE * 1000):
                self._broken = self._broken or len(left) < len(data)
                return False
            left = left[os.write(self._fd, left[: select.PIPE_BUF]) :]  # so much fits where any fits
        self._broken = False
        return True

    def _say_lost(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            get_logger("log").warning("log.lines_lost", lines=lost)
            if self._lost:  # not even that found room
                self._lost = lost

    debug = info = warning = error = critical = exception = msg


class _Bridge(logging.Handler):
    """Lines of library loggers as `library.message` events; a line break in them would break ours."""

    def emit(self, record: logging.LogRecord) -> None:
        repeats = _CHATTER.due((record.name, record.levelno, record.pathname, record.lineno), time.monotonic())
        if repeats is None:
            return  # a peer decides how often; its texts differ, so the place counts
        log = structlog.get_logger(component="library")
        level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's wrong format string must not raise where it logs
            message = str(record.msg)
        fields: dict[str, Any] = {"logger": record.name, "message": message.replace("\n", " | ")[:500]}
        if repeats:
            fields["repeats"] = repeats
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = repr(record.exc_info[1])[:300]
        getattr(log, level)("library.message", **fields)


def configure(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["json", "console"] = "json",
    stream: IO[str] | None = None,
) -> None:
    """Set up logging for the whole process. `stream` defaults to standard output."""
    out = stream if stream is not None else sys.stdout
    lines = _Lines(out)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _stamp,
        _redact,
        _remember,
    ]
    if style == "json":
        # show_locals stays off: local variables of a traceback hold passwords.
        tracebacks = structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        )
        final: list[Any] = [tracebacks, _render]
    else:
        plain = structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="ts"
        )
        final = [_harmless, plain]
    structlog.configure(
        processors=shared + final,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(_LEVELS[level])
    for name, floor in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(floor, _LEVELS[level]))
