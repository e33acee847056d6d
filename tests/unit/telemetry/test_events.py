"""The catalogue of events and the code that logs them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from agent.telemetry.events import EVENTS, Level

AGENT = Path(__file__).resolve().parents[3] / "agent"
LEVELS = get_args(Level)


def logged() -> Iterator[tuple[str, str, str | None]]:
    """Place, level and event (None where it is not a literal) of every call of a logger."""
    for path in sorted(AGENT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            receiver = ast.unparse(node.func.value)
            if not re.fullmatch(r"(self\.)?_?log(ger)?|get_logger\(.*\)", receiver) or not node.args:
                continue
            if node.func.attr not in (*LEVELS, "exception", "critical", "fatal", "warn", "log", "msg"):
                continue
            first = node.args[0]
            event = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
            yield f"{path.relative_to(AGENT.parent)}:{node.lineno}", node.func.attr, event


LOGGED = sorted(logged())


def test_there_is_something_to_check():
    """The search finds the calls of the code (it would not, were loggers named otherwise)."""
    assert len(LOGGED) > 20


@pytest.mark.parametrize(("where", "level", "event"), LOGGED, ids=[where for where, *_ in LOGGED])
def test_logged_events_are_in_the_catalogue(where, level, event):
    """Every event logged is a literal name of the catalogue, said by the method of its level."""
    assert event is not None, f"{where}: the event is not a literal"
    assert event in EVENTS, f"{where}: {event} is not in the catalogue"
    assert level == EVENTS[event].level, f"{where}: {event} is {EVENTS[event].level} in the catalogue"


@pytest.mark.parametrize("name", EVENTS)
def test_names(name):
    """A name is one fact of one room: dotted, lower case, no values in it; its meaning is a sentence."""
    assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", name)
    assert EVENTS[name].meaning[0].isupper()
    assert EVENTS[name].meaning.endswith(".")
    assert EVENTS[name].level in LEVELS
