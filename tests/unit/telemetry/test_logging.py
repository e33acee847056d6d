"""Lines of the log: one JSON object each, without secrets, whatever is thrown at them."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from agent.telemetry.logging import _Bridge, configure, get_logger

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is the process's: put back what a test changed."""
    root = logging.getLogger()
    names = ("asyncua", "pymodbus", "uvicorn", "asyncio")
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in names}
    config = structlog.get_config()
    yield
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in names:
        logging.getLogger(name).setLevel(levels[name])


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(out) -> Lines:
    """What was logged, parsed; the log is set up for JSON at info."""
    configure(stream=out)
    return lambda: [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_line(lines):
    """A line begins with time, level and event, and has the component and the fields."""
    get_logger("publisher").info("publisher.online", publisher="plant", window=20, took=None)
    (line,) = lines()
    assert list(line)[:3] == ["ts", "level", "event"]
    assert (line["level"], line["event"], line["component"]) == ("info", "publisher.online", "publisher")
    assert (line["publisher"], line["window"]) == ("plant", 20)
    assert "took" not in line, "a field without a value is left out"


def test_time_is_utc_in_milliseconds(lines):
    """Times are ISO 8601, UTC, milliseconds."""
    get_logger("x").info("publisher.online")
    (line,) = lines()
    assert datetime.fromisoformat(line["ts"]).utcoffset().total_seconds() == 0  # type: ignore[union-attr]
    assert len(line["ts"]) == len("2026-11-22T00:00:00.000Z")


def test_level(out):
    """Below the level nothing is said."""
    configure(level="warning", stream=out)
    get_logger("x").info("publisher.online")
    get_logger("x").warning("publisher.offline")
    assert out.getvalue().count("\n") == 1


def test_loggers_made_before(out):
    """A logger of a module imported before the set-up follows it."""
    log = get_logger("early")
    configure(stream=out)
    log.info("publisher.online")
    assert '"component":"early"' in out.getvalue()


@pytest.mark.parametrize("key", ["password", "PASSWORD", "mqtt_password", "client_secret", "token", "private_key"])
@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_by_name(out, key, style):
    """Fields named like a secret are starred, inside structures too."""
    configure(style=style, stream=out)
    get_logger("x").info("config.loaded", **{key: "hunter2"}, nested={"deep": [{key: "hunter2"}]})
    assert "hunter2" not in out.getvalue()
    assert out.getvalue().count("***") == 2


def test_names_of_secret_files_are_no_secrets(lines):
    """Where a secret lies may be said: people must find it."""
    get_logger("x").info("config.loaded", password_file="/run/secrets/mqtt")
    assert lines()[0]["password_file"] == "/run/secrets/mqtt"


@pytest.mark.parametrize("style", ["json", "console"])
def test_credentials_in_addresses(out, style):
    """User and password of a URL never reach a line, wherever they stand."""
    configure(style=style, stream=out)
    get_logger("x").warning("publisher.offline", reason="cannot reach mqtts://gw:hunter2@broker.local:8883 (refused)")
    assert "hunter2" not in out.getvalue()
    assert "broker.local:8883" in out.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_tracebacks_show_no_variables(out, style):
    """A traceback names lines and the error, never what the variables held."""
    configure(style=style, stream=out)

    def connect() -> None:
        password = "".join(["hunter", "2"])  # noqa: F841, FLY002 - the secret must not stand in the source line
        raise RuntimeError("no way")

    try:
        connect()
    except RuntimeError:
        get_logger("x").error("component.bug", exc_info=True)
    assert "hunter2" not in out.getvalue()
    assert "no way" in out.getvalue()
    assert "connect" in out.getvalue()


def test_one_line_for_anything(lines):
    """Line breaks, objects, keys that are no text, numbers without end, half characters: always one line of JSON."""
    log = get_logger("x")
    log.info("a.b", text="two\nlines", thing=object(), error=OSError(2, "no"), number=10**400)
    log.info("a.b", half="\ud800", nan=float("nan"), keys={(1, 2): 3, 4: 5}, raw=b"\xff")
    assert len(lines()) == 2
    assert lines()[0]["text"] == "two\nlines"


def test_console_is_for_people(out):
    """The console format has no colour codes where nobody sees them."""
    configure(style="console", stream=out)
    get_logger("x").info("publisher.online", publisher="plant")
    assert "publisher.online" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_console_of_a_narrow_terminal():
    """A terminal that cannot show a character gets its number, not nothing."""
    raw = io.BytesIO()
    configure(style="console", stream=io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    get_logger("x").info("publisher.online", publisher="Werk-Süd")
    assert b"S\\xfcd" in raw.getvalue()


class _Broken(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError("gone")


def test_nobody_listens():
    """A closed or broken output hurts nobody who logs."""
    configure(stream=_Broken())
    get_logger("x").info("publisher.online")
    closed = io.StringIO()
    configure(stream=closed)
    closed.close()
    get_logger("x").info("publisher.online")


@pytest.mark.parametrize(
    ("said", "level"),
    [(logging.INFO, "info"), (logging.WARNING, "warning"), (logging.ERROR, "error"), (logging.CRITICAL, "error")],
)
def test_bridge(lines, said, level):
    """A library's line becomes one event, its line breaks taken out, its length bounded."""
    logging.getLogger("some.lib").log(said, "first %s\nsecond%s", 1, "x" * 1000)
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("library.message", level, "some.lib")
    assert line["message"].startswith("first 1 | second")
    assert len(line["message"]) == 500


def test_bridge_keeps_the_error(lines):
    """A library's exception is named, without its traceback."""
    try:
        raise OSError("boom")
    except OSError:
        logging.getLogger("some.lib").exception("failed")
    (line,) = lines()
    assert line["error"] == "OSError('boom')"


def test_bridge_of_a_wrong_format(lines):
    """A library that formats its own line wrongly is still heard, and does not fall over it."""
    record = logging.LogRecord("some.lib", logging.WARNING, "file.py", 1, "%d of %d", ("one",), None)
    _Bridge().handle(record)  # not through the root logger: pytest listens there too, and would fall over it
    assert lines()[0]["message"] == "%d of %d"


@pytest.mark.parametrize(("name", "heard"), [("asyncua.client", False), ("pymodbus", False), ("other", True)])
def test_talkative_libraries(lines, name, heard):
    """Libraries that talk per message are held at warning (pymodbus: error), whatever our level."""
    logging.getLogger(name).info("a value")
    assert bool(lines()) is heard


def test_configured_twice(out):
    """Setting up anew replaces: no line twice."""
    configure(stream=out)
    configure(stream=out)
    logging.getLogger("some.lib").warning("once")
    get_logger("x").info("publisher.online")
    assert out.getvalue().count("\n") == 2


def test_a_log_that_nobody_reads_stops_nobody() -> None:
    """A full pipe costs lines, never the event loop; how many is said as soon as somebody reads again."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 8192)
    with os.fdopen(reading, "rb", buffering=0) as reader, os.fdopen(writing, "w", encoding="utf-8") as stream:
        configure(stream=stream)
        log = get_logger("test")
        for number in range(100):
            log.info("agent.started", number=number, text="x" * 100)
        log.info("agent.started", number=100, text="x" * 20_000)
        first = reader.read(1 << 16).decode().splitlines()
        log.info("agent.started", number=101)
        then = [json.loads(line) for line in reader.read(1 << 16).decode().splitlines()]
    whole = [json.loads(line)["number"] for line in first]
    assert whole == list(range(len(whole)))
    assert [line["event"] for line in then] == ["agent.started", "log.lines_lost"]
    assert then[0]["number"] == 101
    assert then[1]["lines"] == 101 - len(whole)


def test_a_line_cut_by_a_stalled_reader_costs_only_itself() -> None:
    """What comes after it stands on a line of its own."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 8192)
    with os.fdopen(reading, "rb", buffering=0) as reader, os.fdopen(writing, "w", encoding="utf-8") as stream:
        configure(stream=stream)
        log = get_logger("test")
        log.info("agent.started", text="x" * 20_000)
        assert len(reader.read(1 << 16)) == 8192
        log.info("agent.started", number=1)
        _, *then = reader.read(1 << 16).decode().split("\n")
    assert [json.loads(line)["event"] for line in then if line] == ["agent.started", "log.lines_lost"]
