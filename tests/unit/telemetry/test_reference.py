from __future__ import annotations

from pathlib import Path

import pytest

from agent.telemetry.events import EVENTS
from agent.telemetry.reference import PAGES, events_page, main

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_in_step(name):
    """docs/events.md and docs/metrics.md say what the tables say."""
    text = (DOCS / name).read_text(encoding="utf-8")
    assert text == PAGES[name](), "run: python -m agent.telemetry.reference docs"


def test_every_event_is_told():
    """No event is missing from the page."""
    page = events_page()
    assert all(f"`{name}`" in page for name in EVENTS)


def test_every_error_says_what_to_do():
    """Whoever is called at night finds it in one table."""
    table = events_page().partition("## What to do")[2].partition("## agent")[0]
    assert [name for name, event in EVENTS.items() if event.level == "error" and f"| `{name}` | " not in table] == []
    assert [name for name, event in EVENTS.items() if event.level == "error" and not event.remedy] == []


def test_main_writes_them(tmp_path):
    """The command writes both pages into the folder it is given."""
    main(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)
