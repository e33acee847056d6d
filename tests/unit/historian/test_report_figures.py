"""Figures of a day: a simulated plant whose truth is known, and each rule by itself."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable
from operator import attrgetter

import pytest

from agent.cli.report import _summary
from agent.core.errors import ConfigError
from agent.core.ids import time_of, ulid
from agent.historian.report.calendar import read_calendar
from agent.historian.report.document import Document, Head, as_csv, head_of
from agent.historian.report.facts import (
    Agent,
    DeclaredLoss,
    Facts,
    MissingNumbers,
    Read,
    State,
    Stop,
    Stream,
    Tag,
    day_of,
)
from agent.historian.report.figures import figures
from agent.historian.report.html import as_html
from agent.historian.report.spans import account
from agent.historian.report.text import TEXT
from agent.historian.report.totals import Totals
from agent.historian.report.verify import differences, rendered

ZONE = "Asia/Shanghai"
DATE = dt.date(2026, 11, 28)
DAY = day_of(DATE, ZONE, 1 << 50)
HOUR, SECOND = 3_600_000, 1_000
PATH, EPOCH = "edge/plant/press-01", "01KB2XJ5W3Q8Z6T0M4N7V9YACD"


def reads(ts: Iterable[int], quality: str = "good", tag: int = 1, snapshot: bool = False) -> list[Read]:
    return [Read(tag, at, quality, snapshot, 1, at) for at in ts]


def hour(number: float) -> int:
    """Of the day at the plant."""
    return DAY.begin + round(number * HOUR)


def facts(readings: Iterable[Read], **more: object) -> Facts:
    given = {
        "day": DAY, "equipment": None, "tags": [Tag(1, PATH, "press-01", "t", "Cel", SECOND)], "readings": readings,
        "states": [], "losses": [], "streams": [Stream(1, "gw", EPOCH, "press-01", PATH, 1, 0, None)], "ages": [],
        "holes": [], "agents": [], "stops": [],
    }  # fmt: skip
    return Facts(**{**given, **more})  # type: ignore[arg-type]


def loss(kind: str, first: int, last: int, **more: object) -> DeclaredLoss:
    given = {"from_seq": None, "to_seq": None, "records": None, "readings": None, "tags": None, "reason": "a test"}
    return DeclaredLoss("gw", "press-01", EPOCH, kind, first, last, **{**given, **more})  # type: ignore[arg-type]


def test_what_an_agent_publishes_of_itself_is_no_device_of_the_plant():
    """It is listed, and stands in no rate: neither numerator nor denominator."""
    itself = PATH.replace("press-01", "_agent")
    readings = reads(range(DAY.begin, DAY.end, 60 * SECOND))
    press = Tag(1, PATH, "press-01", "t", "Cel", 60 * SECOND)
    alone = figures(facts(readings, tags=[press]))
    beside = figures(
        facts(
            [*readings, *reads(range(DAY.begin, DAY.end, 120 * SECOND), tag=2)],
            tags=[press, Tag(2, itself, "_agent", "cpu_percent", "%", 120_000)],
            streams=[
                Stream(number, "gw", EPOCH, path.rpartition("/")[2], path, 1, 0, None)
                for number, path in enumerate((PATH, itself), 1)
            ],
            states=[State(itself, hour(one), "online", None, None, 360 * one, 360 * one, 0, None) for one in (0, 24)],
        )
    )  # fmt: skip
    assert [one["device"] for one in beside["devices"]] == ["_agent", "press-01"]
    for rate in ("networked", "good", "collected"):
        assert beside[rate] == alone[rate]
    assert beside["networked"]["denominator"] == 1


def test_what_is_no_longer_configured_is_not_expected():
    """A renamed tag, a removed device, one whose topics have moved: their rows stay, and lowered each later day."""
    old, gone = PATH + "-old", PATH + "-gone"
    tags = [
        Tag(1, PATH, "press-01", "t", "Cel", HOUR, 7), Tag(2, PATH, "press-01", "renamed", "Cel", HOUR, 6),
        Tag(3, PATH, "press-01", "silent", "Cel", HOUR, 7), Tag(4, old, "press-01", "t", "Cel", HOUR, 5),
        Tag(5, gone, "press-02", "t", "Cel", HOUR, 1), Tag(6, PATH, "press-01", "today", "Cel", HOUR, 6),
    ]  # fmt: skip
    streams = [
        Stream(number, "gw", EPOCH, f"press-0{number}", path, 1, 0, None) for number, path in ((1, PATH), (2, gone))
    ]
    removed = State(gone, hour(-9), "removed", hour(-9), "no longer configured", None, None, None, None)
    readings = [*reads(range(DAY.begin, DAY.end, HOUR)), *reads([hour(1)], tag=6)]
    made = figures(facts(readings, tags=tags, streams=streams, states=[removed]))
    assert [(one["device"], [tag["tag"] for tag in one["tags"]]) for one in made["devices"]] == [
        ("press-01", ["silent", "t", "today"])
    ]
    assert made["networked"] == {"numerator": 1, "denominator": 1, "rate": 1, "by_plant": False}
    until_noon = removed._replace(at=hour(12), since=hour(12))
    gone_at_noon = reads(range(DAY.begin, hour(12), HOUR), tag=5)
    made = figures(facts(gone_at_noon, tags=tags[4:5], streams=streams[1:], states=[until_noon]))
    assert made["good"] == {"numerator": 12 * 3600, "denominator": 12 * 3600, "rate": 1}


def test_of_two_agents_of_one_name_each_device_has_its_own_losses():
    """A copied gateway: same agent, same device, another place. And more devices than the plant counts are named."""
    other = ulid(hour(1), of="a copy")
    streams = [Stream(1, "gw", EPOCH, "press-01", PATH, 1, 0, None)]
    streams.append(Stream(2, "gw", other, "press-01", PATH + "-copy", 1, 0, None))
    tags = [Tag(number, one.path, "press-01", "t", "Cel", SECOND) for number, one in enumerate(streams, 1)]
    losses = [loss("dropped", hour(2), hour(3), from_seq=1, to_seq=9, records=9)]
    readings = [*reads([hour(1)]), *reads([hour(1)], tag=2)]
    made = figures(facts(readings, tags=tags, streams=streams, losses=losses, equipment=1))
    assert [one["lost"] for one in made["devices"]] == [9, 0]
    assert made["networked"]["rate"] == 2
    head = Head("hist", "1.0", DAY.date, DAY.until, DAY.end, "en")
    assert "one that is not the plant" in as_html(Document(head, made))


def test_a_simulated_day_to_a_ten_thousandth():
    """An outage, a loss, a planned stop, and a clock of 1 s that runs into the next day: every ratio is the truth."""
    offline, back, lost, found, stop, go = (hour(one) for one in (3, 4.5, 10, 10.25, 12, 13))
    times = [at for at in range(hour(-1), hour(25), SECOND) if not (offline <= at < back or lost <= at < found)]
    bad = Read(1, offline, "bad", False, 1, offline)
    day = [one for one in sorted([*reads(times), bad], key=lambda one: one.ts) if one.ts < DAY.end]

    def state(at: int, kind: str, since: int) -> State:
        due = (at - hour(-1)) // SECOND
        missed = max(0, min(at, back) - offline) // SECOND
        return State(PATH, at, kind, since, None, due, due - missed, 0, None)

    states = [
        state(hour(-0.5), "online", hour(-1)), state(offline, "offline", offline), state(back, "online", back),
        *(state(hour(one), "online", back) for one in range(5, 26)),
    ]  # fmt: skip
    found_figures = figures(
        facts(
            day, states=states, equipment=2, stops=[Stop(stop, go, "press-*", "lunch")],
            losses=[loss("dropped", lost, found, from_seq=1, to_seq=900, records=900)],
        )
    )  # fmt: skip
    planned = 23 * 3600
    good = planned - 1.5 * 3600 - 900
    assert found_figures["good"]["rate"] == pytest.approx(good / planned, abs=1e-4)
    assert found_figures["collected"]["denominator"] == pytest.approx(planned, rel=1e-4)
    assert found_figures["collected"]["rate"] == pytest.approx(good / planned, abs=1e-4)
    assert found_figures["networked"] == {"numerator": 1, "denominator": 2, "rate": 0.5, "by_plant": True}
    (device,) = found_figures["devices"]
    assert device["tags"][0]["arrived"] == pytest.approx(good, rel=1e-4)
    assert device["tags"][0]["expected"] == device["expected"]
    assert device["offline_s"] == 5400


def test_a_day_is_one_of_the_plant():
    """In a zone with summer time it has 23 or 25 hours; one that is not over ends now."""
    assert DAY.end - DAY.begin == 24 * HOUR
    assert DAY.begin == round(dt.datetime(2026, 11, 27, 16, tzinfo=dt.UTC).timestamp() * 1000)
    spring = day_of(dt.date(2026, 3, 29), "Europe/Berlin", 1 << 50)
    assert spring.end - spring.begin == 23 * HOUR
    assert day_of(DATE, ZONE, DAY.begin + HOUR + 5).until == hour(1)


def test_good_until_three_intervals_where_every_reading_is_reported():
    """Ten readings, then silence: ten and two more seconds are good."""
    (tag,) = figures(facts(reads(range(hour(1), hour(1) + 10 * SECOND, SECOND))))["devices"][0]["tags"]
    assert tag["good_s"] == 12


def test_a_change_holds_until_the_next_one():
    """A polled tag that reports changes only is good while nothing changes."""
    (tag,) = figures(facts(reads([hour(1), hour(2), hour(7)])))["devices"][0]["tags"]
    assert tag["good_s"] == 23 * 3600


@pytest.mark.parametrize(
    ("cuts", "good"),
    [([], 8), ([(hour(4), hour(5))], 4), ([(hour(1), hour(3))], 2), ([(hour(9), hour(10))], 7)],
)
def test_what_ends_a_good_time(cuts, good):
    """The next reading, a gap that begins before it; a reading within a gap is not good."""
    readings = [*reads([hour(2), hour(8)]), *reads([hour(10)], "bad")]
    assert account(readings, (DAY.begin, DAY.end), None, cuts, []).good_ms == good * HOUR


def test_a_reading_of_the_day_before_is_good_at_midnight():
    """It counts from 00:00; snapshots are no scans."""
    done = account(reads([hour(-5)]) + reads([hour(2)], snapshot=True), (DAY.begin, DAY.end), None, [], [])
    assert (done.good_ms, done.arrived, done.readings) == (24 * HOUR, 0, 1)


def test_each_tag_has_its_own_age():
    """Of the records with a reading of it; what was stored before ages were kept has none."""
    tags = [Tag(number, PATH, "press-01", f"t{number}", "Cel", None) for number in (1, 2)]
    late = [Read(1, hour(at), "good", False, 1, at, True, age) for at, age in ((1, 20), (2, 20), (3, 80))]
    made = figures(facts([*late, *reads([hour(1)], tag=2)], tags=tags))["devices"][0]["tags"]
    assert [one["age_ms"] for one in made] == [{"p50": 10, "p95": 10_000, "p99": 10_000}, None]


def test_totals_in_a_straight_line_and_over_epochs():
    """Between statuses in proportion; a total that falls is another epoch's."""
    totals = Totals([(0, 100), (10, 200), (20, 50)])
    assert [totals.at(at) for at in (-1, 0, 5, 10, 20, 99)] == [0, 0, 50, 100, 150, 150]
    assert totals.within((0, 20), [(5, 10)]) == 100


@pytest.mark.parametrize(
    ("last", "kept", "untold", "expected"),
    [
        (None, [], [(6, 12)], 18 * 3600),  # nobody knows what it counted from 06:00 to its end at 12:00 …
        ({"due": 13 * 3600, "done": 12 * 3600}, [], [], 24 * 3600),  # … or it told when it was started anew, …
        (None, [7.5, 13], [], 24 * 3600),  # … or the broker kept what it said until then
        ({"due": 13 * 3600, "done": 12 * 3600}, [7.5, 12.9], [], 24 * 3600),
    ],
)
def test_the_historian_was_away_and_the_agent_was_started_anew_meanwhile(last, kept, untold, expected):
    """Hours that no count covers are named, and left out; the totals of an epoch that is over cover them."""
    first, second = ulid(hour(-1), of="a test"), ulid(hour(12), of="a test")
    streams = [
        Stream(1, "gw", first, "press-01", PATH, 1, 0, hour(-1), **(last or {})),
        Stream(2, "gw", second, "press-01", PATH, 1, 0, hour(12)),
    ]
    told = [(-0.5, 1800), (6, 7 * 3600), (20, 8 * 3600), (24.5, 12.5 * 3600)]
    states = [State(PATH, hour(at), "online", None, None, round(due), round(due), 0, None) for at, due in told]
    states = [one._replace(session=first if one.at < hour(12) else second) for one in states]
    late = [State(PATH, hour(20), "online", None, None, round(3600 * due), 0, 0, None, first) for due in kept]
    made = figures(facts([], streams=streams, states=[*states[:2], *late, *states[2:]]))
    (device,) = made["devices"]
    assert [((one["from_ts"], one["to_ts"])) for one in device["untold"]] == [
        (hour(begin), hour(end)) for begin, end in untold
    ]
    assert device["expected"] == expected
    assert kept or device["scanned"] == expected - 3600 * (last is not None)
    head = Head("hist", "1.0", DAY.date, DAY.until, DAY.end, "en")
    assert (TEXT["en"]["untold_means"] in as_html(Document(head, made))) == bool(untold)
    assert ("untold 1,press-01" in as_csv(Document(head, made))) == bool(untold)


def test_an_agent_that_is_started_anew_says_at_first_what_it_counted_before():
    """Before the first record of the epoch its status has the totals of the epoch before: nothing counts twice."""
    first, second = ulid(hour(-1), of="a test"), ulid(hour(12), of="a test")
    streams = [
        Stream(1, "gw", first, "press-01", PATH, 1, 0, hour(-1), due=13 * 3600, done=12 * 3600),
        Stream(2, "gw", second, "press-01", PATH, 1, 0, hour(12)),
    ]
    told = [(-0.5, 1800, first), (12.01, 13 * 3600, second), (12.02, 2, second), (24.5, 12.5 * 3600, second)]
    states = [State(PATH, hour(at), "online", None, None, round(due), round(due), 0, None, by) for at, due, by in told]
    (device,) = figures(facts([], streams=streams, states=states))["devices"]
    assert device["expected"] == pytest.approx(24 * 3600, abs=75)
    assert device["untold"] == []


def test_of_a_device_joined_in_the_middle_the_hours_before_are_not_told():
    """Its agent counted them, and the database has none of their records."""
    streams = [Stream(1, "gw", ulid(hour(-5), of="a test"), "press-01", PATH, 900, 0, hour(10))]
    states = [State(PATH, hour(at), "online", None, None, 3600 * (at + 5), 3600 * (at + 5), 0, None) for at in (10, 25)]
    (device,) = figures(facts([], streams=streams, states=states))["devices"]
    assert [(one["from_ts"], one["to_ts"]) for one in device["untold"]] == [(hour(0), hour(10))]
    assert (device["expected"], device["scanned"]) == (14 * 3600, 14 * 3600)


def test_an_agent_that_never_came_back():
    """What it read last is not good for ever."""
    agents = [Agent("gw", hour(1), "online", "1", "c"), Agent("gw", hour(6), "offline", "", None)]
    tags = [Tag(1, PATH, "press-01", "t", None, None)]
    (device,) = figures(facts(reads([hour(2)]), agents=agents, tags=tags))["devices"]
    assert device["good_s"] == 4 * 3600


def test_agent_and_database_differ():
    """What the agent counted, was not declared lost and did not arrive is named, with the device."""
    states = [State(PATH, hour(2), "online", None, None, 10, 10, 0, 100)]
    streams = [Stream(1, "gw", EPOCH, "press-01", PATH, 1, 90, time_of(EPOCH))]
    losses = [loss("dropped", hour(-9), hour(-9), from_seq=1, to_seq=2, records=2, readings=4)]  # the day before
    (one,) = figures(facts([], states=states, streams=streams, losses=losses))["differences"]
    assert (one["device"], one["agent_readings"], one["database_readings"], one["short"]) == ("press-01", 100, 90, 6)
    losses.append(loss("lost", hour(1), hour(1), from_seq=7, to_seq=7, records=1))  # nobody knows how many readings
    made = figures(facts([], states=states, streams=streams, losses=losses))
    assert made["differences"] == []
    assert made["devices"][0]["agent_readings"] is None


@pytest.mark.parametrize(
    ("first", "second", "seen", "lost"),
    [
        (("dropped", 1, 60), ("lost", 1, 60), (), 60),
        (("dropped", 1, 60), ("lost", 50, 80), (), 80),
        (("dropped", 1, 60), ("lost", 50, 80), ((55, 56), (81, 99)), 79),
        (("lost", 1, 500), ("expired", 7, 7), ((1, 490),), 11),
    ],
)
def test_each_number_counts_once(first, second, seen, lost):
    """Declared again: once. Received after all, or declared because a file is damaged: not at all."""
    losses = [
        loss(kind, hour(2), hour(3), from_seq=low, to_seq=high, records=high - low + 1)
        for kind, low, high in (first, second)
    ]
    streams = [Stream(1, "gw", EPOCH, "press-01", PATH, 1, 0, None, seen)]
    states = [State(PATH, hour(one), "online", None, None, 1000 * one, 1000 * one, 0, None) for one in (0, 24)]
    (device,) = figures(facts([], losses=losses, streams=streams, states=states))["devices"]
    assert (device["lost"], device["collected"]) == (lost, 24_000 - lost)


def test_a_loss_over_midnight_is_shared_by_both_days():
    """In a straight line, as scans are; declared again, it counts no more. What fell into a planned stop is no loss."""
    one = loss("dropped", hour(-6), hour(3), from_seq=1, to_seq=9001, records=9001)
    again = loss("lost", hour(1), hour(1), from_seq=1, to_seq=9001, records=9001)
    (device,) = figures(facts([], losses=[one, again]))["devices"]
    assert device["lost"] == 3001
    stops = [Stop(hour(1), hour(2), "*", "maintenance"), Stop(hour(5), hour(6), "*", "lunch")]
    (device,) = figures(facts([], losses=[one], stops=stops))["devices"]
    assert device["lost"] == 2001
    yesterday = day_of(DATE - dt.timedelta(1), ZONE, 1 << 50)
    (device,) = figures(facts([], losses=[one], day=yesterday))["devices"]
    assert device["lost"] == 6000


def test_numbers_that_never_came_count_on_their_day():
    """The day of the record before them; on others they are not named."""
    readings = [Read(1, hour(1), "good", False, 1, 5), Read(1, hour(2), "good", False, 1, 9)]
    holes = [MissingNumbers(1, 2, 3, "open"), MissingNumbers(1, 6, 8, "waiting"), MissingNumbers(1, 12, 12, "open")]
    (device,) = figures(facts(readings, holes=holes))["devices"]
    assert (device["missing"], device["repair"]) == (3, ["waiting"])


def document(lang: str = "en", **more: object) -> Document:
    head = Head("hist", "1.0", DAY.date, DAY.until, DAY.end, lang)  # type: ignore[arg-type]
    return Document(head, figures(facts(reads(range(hour(1), hour(2), SECOND)), **more)))


def test_both_languages_have_the_same_words():
    """Keys and placeholders."""
    assert TEXT["en"].keys() == TEXT["zh"].keys()
    for key, text in TEXT["en"].items():
        assert text.count("{") == TEXT["zh"][key].count("{")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_one_file_without_scripts_or_requests(lang):
    """Names are escaped, whatever is in them."""
    tags = [Tag(1, PATH, "press-01", "<script>alert(1)</script>", '"><img src=http://x>', SECOND)]
    page = as_html(document(lang, tags=tags))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert" in page
    assert "url(" not in page
    assert TEXT[lang]["collected"] in page
    assert TEXT[lang]["is_down"] in as_html(document(lang, losses=[loss("down", hour(1), hour(2))]))
    assert "@page{size:A4" in page


def test_the_summary_says_why_more_than_all_is_networked():
    """166 % without a word would be a mistake of the report's."""
    one = document()
    one.figures["networked"] |= {"numerator": 5, "denominator": 3, "rate": 5 / 3, "by_plant": True}
    one.figures["differences"].append({"device": "press-01", "short": 0, "missing": 3})
    summary = _summary(one)
    assert "166.67 % (5 / 3)\n    More devices have data than plant.equipment says" in summary
    assert "press-01: Records missing 3\n" in summary


def test_no_formula_in_a_spreadsheet():
    """A name that begins like one gets a quote in front."""
    assert "'=cmd()" in as_csv(document(tags=[Tag(1, PATH, "press-01", "=cmd()", None, SECOND)]))


@pytest.mark.parametrize("form", ["html", "csv", "json"])
def test_every_changed_byte_is_found(form):
    """In each of the forms; the file says which report it is."""
    one = document()
    data = rendered(one, form)
    assert head_of(data.decode(), form) == one.head
    assert differences(data, one, form) == []
    for place in (*range(0, 240, 5), *range(240, len(data), 101)):
        changed = bytes([*data[:place], data[place] ^ 1, *data[place + 1 :]])
        head = head_of(changed.decode("utf-8", "backslashreplace"), form)
        again = one if head is None else Document(head._replace(historian="hist", version="1.0"), one.figures)
        assert head is None or head.day != DAY.date or head.until != DAY.until or differences(changed, again, form)


def test_planned_stops(tmp_path):
    """Times of the plant; every line that is wrong is named."""
    file = tmp_path / "stops.csv"
    file.write_text("from,to,reason,device\n2026-11-28 12:00,2026-11-28 13:00,lunch,press-*\n")
    assert read_calendar(file, ZONE) == [Stop(hour(12), hour(13), "press-*", "lunch")]
    file.write_text("from,to,reason\n2026-11-28T04:00Z,2026-11-28 13:00,lunch\n")
    assert read_calendar(file, ZONE) == [Stop(hour(12), hour(13), "*", "lunch")]
    wrong = "2026-11-28 13:00,2026-11-28 12:00,x", "noon,2026-11-28 12:00,x", "2026-11-28 12:00"
    file.write_text("\n".join(("from,to,reason", *wrong)))
    with pytest.raises(ConfigError) as caught:
        read_calendar(file, ZONE)
    assert [mistake.line for mistake in caught.value.mistakes] == [2, 3, 4]


def test_a_stop_in_the_hour_that_spring_skips(tmp_path):
    """At 02:00 it is 03:00: what is planned until 03:30 lasts half an hour, and what is over before is none."""
    file = tmp_path / "stops.csv"
    rows = "2026-03-29 02:30,2026-03-29 03:30,service", "2026-03-29 02:10,2026-03-29 02:40,lunch"
    file.write_text("\n".join(("from,to,reason", *rows)))
    forward = round(dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC).timestamp() * 1000)
    assert read_calendar(file, "Europe/Berlin") == [Stop(forward, forward + 1_800_000, "*", "service")]


def test_a_week_of_outages_stops_and_skew_to_a_ten_thousandth():
    """Seven days, each with another outage, loss and stop, scans some ms off their second: every ratio is the truth."""
    chance = random.Random(5)
    scan = 10 * SECOND
    for date in range(7):
        day = day_of(DATE + dt.timedelta(days=date), ZONE, 1 << 50)
        begins = sorted(chance.sample(range(1, 8640 - 400, 500), 3))
        spans = [(day.begin + one * scan, day.begin + (one + chance.randrange(10, 400)) * scan) for one in begins]
        chance.shuffle(spans)
        (offline, back), (lost, found), (stop, go) = spans
        skew = chance.randrange(0, 3)
        dark = [(offline, back), (lost, found)]
        times = [
            at + skew for at in range(day.begin - 360 * scan, day.end, scan) if not any(a <= at < b for a, b in dark)
        ]
        readings = sorted([*reads(times), Read(1, offline, "bad", False, 1, offline)], key=attrgetter("ts"))
        states = [
            State(PATH, at, "offline" if offline <= at < back else "online", at, None, due, due - away, 0, None)
            for at in sorted({*range(day.begin - 60 * scan, day.end + 60 * scan, 60 * scan), offline, back})
            for due in [(at - day.begin) // scan + 360]
            for away in [(max(offline, min(at, back)) - offline) // scan]
        ]
        planned = (day.end - day.begin - (go - stop)) / SECOND
        good = planned - sum(end - begin for begin, end in dark) / SECOND
        made = figures(
            facts(
                readings, day=day, states=states, stops=[Stop(stop, go, "*", "maintenance")],
                tags=[Tag(1, PATH, "press-01", "t", "Cel", scan)],
                losses=[loss("dropped", lost, found, from_seq=1, to_seq=(found - lost) // scan)],
            )
        )  # fmt: skip
        assert made["good"]["rate"] == pytest.approx(good / planned, abs=1e-4), date
        assert made["collected"]["rate"] == pytest.approx(good / planned, abs=1e-4), date
        assert made["collected"]["denominator"] == pytest.approx(planned * SECOND / scan, abs=1), date


def test_ten_thousand_tags_are_a_page_below_two_megabytes():
    """Fifty devices with two hundred tags; and no more than one tag's readings are held at a time."""
    paths = [f"edge/plant/line-{number % 5}/press-{number:02}" for number in range(50)]
    tags = [
        Tag(number, paths[number // 200], paths[number // 200][-8:], f"temperature_{number % 200:03}", "Cel", 60_000)
        for number in range(10_000)
    ]
    alive: set[int] = set()
    most = 0

    class Watched(Read):
        def __new__(cls, *values):
            made = super().__new__(cls, *values)
            nonlocal most
            alive.add(made.tag)
            most = max(most, len(alive))
            return made

        def __del__(self):
            alive.discard(self.tag)

    made = figures(
        facts(
            (
                Watched(tag.id, at, "good", False, 1, at, False, 70)
                for tag in tags
                for at in (hour(1), hour(9), hour(20))
            ),
            tags=tags,
            streams=[
                Stream(number, "gw", EPOCH, path[-8:], path, 1, 600, DAY.begin) for number, path in enumerate(paths, 1)
            ],
        )
    )
    assert len(made["devices"]) == 50
    assert sum(len(device["tags"]) for device in made["devices"]) == 10_000
    assert most <= 3
    head = Head("hist", "1.0", "2026-11-28", DAY.until, DAY.until + 1, "en")
    for one in (head, head._replace(lang="zh")):
        assert len(as_html(Document(one, made)).encode()) < 2_000_000
