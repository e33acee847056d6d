"""A configuration and a day → a report."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from agent import __version__
from agent.historian.config import HistorianConfig
from agent.historian.report.calendar import read_calendar
from agent.historian.report.document import Document, Head
from agent.historian.report.facts import day_of
from agent.historian.report.figures import figures
from agent.historian.report.queries import ask_facts
from agent.historian.report.text import Language
from agent.historian.stores.asking import asking


def make(config: HistorianConfig, day: dt.date, lang: Language, now_ms: int) -> Document:
    """Read-only. Raises StoreAway, PermanentError, and ConfigError where the calendar has mistakes."""
    bounds = day_of(day, config.plant.time_zone, now_ms)
    head = Head(config.historian.id, __version__, bounds.date, bounds.until, now_ms, lang)
    return _document(config, head, day)


def make_again(config: HistorianConfig, head: Head) -> Document:
    """What the file with this head says, by the database as it is now."""
    return _document(config, head._replace(historian=config.historian.id), dt.date.fromisoformat(head.day))


def yesterday(config: HistorianConfig, now_ms: int) -> dt.date:
    """At the plant."""
    return dt.datetime.fromtimestamp(now_ms / 1000, ZoneInfo(config.plant.time_zone)).date() - dt.timedelta(1)


def _document(config: HistorianConfig, head: Head, day: dt.date) -> Document:
    plant = config.plant
    stops = read_calendar(plant.calendar, plant.time_zone) if plant.calendar is not None else []
    with asking(config.historian) as ask:
        facts = ask_facts(
            ask, day_of(day, plant.time_zone, head.made)._replace(until=head.until), plant.equipment, stops
        )
        return Document(head, figures(facts))
