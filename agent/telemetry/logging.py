"""Structured logs: one event per fact, JSON lines on standard output, or a console format for people.

    log = get_logger("route")
    log.info("route.online", publisher="plant", mqtt="5")

Call the method of the level that the catalogue gives the event (a test holds them together). Library loggers: bridged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import IO, Any, Literal

import msgspec

# structlog imports rich where it finds it, for tracebacks in colour that we never ask for: 5 MB of a gateway's memory.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]  # None: "not installed", for as long as this import takes
try:
    import structlog
finally:
    if _rich is None:
        del sys.modules["rich"]
    else:
        sys.modules["rich"] = _rich
from structlog.typing import FilteringBoundLogger  # noqa: E402 - after the import above

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
#: Libraries that talk per message at INFO; below these levels they cost microseconds per value.
_LIBRARY_LEVELS = {
    "asyncua": logging.WARNING,
    "pymodbus": logging.ERROR,
    "uvicorn": logging.WARNING,
    "asyncio": logging.WARNING,
}
_SECRET_KEYS = ("password", "secret", "token", "private_key")

_encode = msgspec.json.Encoder(enc_hook=str).encode


def get_logger(room: str) -> FilteringBoundLogger:
    """A logger whose lines carry `room`. Events come from `telemetry.events.EVENTS`."""
    logger: FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key for word in _SECRET_KEYS) and not key.endswith("_file"):
            event[key] = "***"
    return event


def _render(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    ordered = {"ts": event.pop("ts"), "level": event.pop("level"), "event": event.pop("event"), **event}
    return _encode(ordered).decode()


class _Bridge(logging.Handler):
    """Lines of library loggers as `library.message` events; a line break in them would break ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(room="library")
        level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage().replace("\n", " | ")[:500]}
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
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _redact,
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
        final = [plain]
    structlog.configure(
        processors=shared + final,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),  # type: ignore[arg-type]  # any text stream will do
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(_LEVELS[level])
    for name, floor in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(floor, _LEVELS[level]))
