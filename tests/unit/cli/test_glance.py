"""The status on one screen, and the words on it."""

from __future__ import annotations

import json
import re
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from agent.cli.glance import DEVICES, WIDTH, screen
from agent.cli.words import counted, harmless, instant, lasting, listed
from agent.core.flow import Batch, Reading
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import Lost, OutboxStats
from agent.runtime.status.status import AgentFigures, DeviceFigures, RouteFigures, describe

PAGE = Path(__file__).parents[3] / "docs" / "status.md"
ZONE = timezone(timedelta(hours=1))
NOW = 1_795_921_935_000  # 2026-11-29 04:12:15 +01:00
MINUTE = 60_000
GIB, KIB = 1 << 30, 1 << 10


def image_of(*devices: str) -> Image:
    image = Image(AgentInfo("gw-01", "1.0.0", "6f1d2c3b4a59"))
    tags = [TagInfo(f"t{number}", interval=1000) for number in range(12)]
    for name in devices:
        image.add(name, location=["acme"], tags=tags, cat=1, now=NOW - 400 * MINUTE)
        image.set_state(name, "online", now=NOW - 300 * MINUTE)
        image.devices[name].last_good = NOW - 400
    return image


def publisher(name: str = "plant", **figures: Any) -> RouteFigures:
    stats = OutboxStats(**({"limit": GIB} | figures.pop("stats", {})))
    known: dict[str, Any] = {
        "name": name, "state": "online", "reason": None, "since": NOW - 300 * MINUTE, "next_attempt": None,
        "protocol": "5", "conflict": None, "stats": stats, "streams": (),
    }  # fmt: skip
    return RouteFigures(**(known | figures))


def shown(image: Image, *routes: RouteFigures, attempts: dict[str, int] | None = None) -> str:
    about = AgentFigures(NOW, NOW - 400 * MINUTE, synced=True, free_disk=12 * GIB, disk_floor=200 << 20)
    devices = {name: DeviceFigures(at) for name, at in (attempts or {}).items()}
    return screen(json.loads(json.dumps(describe(image, about, routes, devices))), ZONE)


def test_what_does_not_answer_is_not_shown_as_online() -> None:
    """It is silent, since it was asked in vain, and only to be looked at."""
    about = AgentFigures(NOW, NOW - 400 * MINUTE, synced=True)
    figures = {name: DeviceFigures(unanswered=NOW - 3000) for name in ("press-01", "press-02")}
    text = screen(describe(image_of("press-01", "press-02"), about, [], figures), ZONE)
    assert "2 devices do not answer: press-01 and press-02 since" in text
    assert "press-01 silent   since 04:12:12" in text
    assert "Devices     2 silent" in text


def night() -> str:
    """What docs/status.md shows: a unit that died, a broker that is away and an outbox that has overflowed."""
    image = image_of("press-01", "meter-07", "cnc-07")
    image.devices["meter-07"].last_good = NOW - 118 * MINUTE
    image.set_state(
        "meter-07", "offline", now=NOW - 118 * MINUTE, reason="no answer from unit 7 within 1 s", causes=("silent",)
    )
    bad = [
        Reading(f"t{n}", None, NOW, "bad", code="BadConfigurationError", reason="illegal data address") for n in (3, 4)
    ]
    image.update(Batch("press-01", NOW - 300, bad, bad=2))
    image.set_state("press-01", "degraded", now=NOW - 300 * MINUTE, reason="2 of 12 tags are bad", causes=("tags",))
    lost = Lost(1320, 15840, NOW - 58 * MINUTE, NOW - 36 * MINUTE)
    full = {
        "records": 812,
        "oldest_ts": NOW - 36 * MINUTE,
        "bytes": 65_400,
        "limit": 64 * KIB,
        "full": True,
        "lost": lost,
    }
    away = publisher(
        state="offline", reason="connection to broker.plant.local:8883 refused", since=NOW - 58 * MINUTE,
        next_attempt=NOW + 24_000, lost_at=NOW - 200, stats=full,
    )  # fmt: skip
    cloud = publisher("cloud", room_seconds=17 * 3600, stats={"records": 2, "bytes": 700})
    return shown(image, away, cloud, attempts={"meter-07": NOW + 9000})


def test_the_page_shows_what_the_command_shows() -> None:
    """The sample in docs/status.md is what comes out for the night it tells of."""
    assert f"```text\n{night()}```" in PAGE.read_text(encoding="utf-8")


def test_what_is_wrong_comes_first_and_fits_a_terminal() -> None:
    """Losses, then the broker, then the device, each with why, cost and what to do, in 80 columns."""
    text = night()
    heads = [line for line in text.splitlines() if line.startswith(("! ", "- "))]
    assert [re.sub(r" since.*", "", head) for head in heads] == [
        "! publisher plant has a FULL outbox", "! publisher plant is offline", "! device meter-07 is offline",
        "- device press-01 is degraded",
    ]  # fmt: skip
    assert text.startswith("gw-01: 3 things are wrong, 2026-11-29 04:12:15")
    assert "1,320 records, 15,840 readings of 03:14:15 to 03:36:15 are lost" in text
    assert "next attempt in 24 s" in text
    assert "t3, t4: illegal data address" in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert len(text.splitlines()) < 50


def test_a_found_tag_in_trouble_is_shown_with_its_node_id() -> None:
    """Nobody configured it: its name alone does not say where to look."""
    image = image_of("cnc-07")
    bad = [Reading(name, None, NOW, "bad", code="BadNodeIdUnknown", reason="gone") for name in ("t1", "t2")]
    image.update(Batch("cnc-07", NOW - 300, bad, bad=2))
    image.note("cnc-07", "opcua", {"found": 1, "found_nodes": {"t2": "nsu=urn:acme;s=X"}})
    image.set_state("cnc-07", "degraded", now=NOW, reason="2 of 12 tags are bad", causes=("tags",))
    assert "t1, t2 (nsu=urn:acme;s=X): gone" in shown(image, publisher())


def test_all_well_is_said_in_the_first_line() -> None:
    """With the devices, the publishers, disk and clock below it."""
    lines = shown(image_of("press-01"), publisher(room_seconds=7200)).splitlines()
    assert lines[0].startswith("gw-01: all well, ")
    assert "Devices     1 online" in lines
    assert "    0 records waiting, 0 B of 1 GiB, an outage may last 2 h" in lines
    assert lines[-3:] == [
        "Disk        12 GiB free, floor 200 MiB", "Clock       set", "Agent       version 1.0.0, up for 6 h 40 min",
    ]  # fmt: skip


def test_of_thousands_of_devices_only_what_is_wrong_is_shown() -> None:
    """The same trouble of many is told once, different ones up to a screenful, of each kind; the rest is counted."""
    image = image_of(*(f"meter-{number:04}" for number in range(3000)))
    for number in range(1000):
        name = f"meter-{number:04}"
        reason = f"no answer from unit {number}" if number < 990 else f"it is {'x' * (number - 989)}"
        image.set_state(name, "offline", now=NOW - MINUTE, reason=reason, causes=("silent",))
    image.agent = structs.replace(image.agent, error="agent.yaml:3: no (and 2 more) -> yes")
    text = shown(image, publisher())
    assert (
        "! the configuration in the files is not the one in force\n  why  agent.yaml:3: no (and 2 more)\n  do   yes\n"
        in text
    )
    assert "! 990 devices are offline: meter-0000, meter-0001, meter-0002 and 987 more" in text
    assert "  why  no answer from unit 0, and the like\n" in text
    assert "6 x device is offline" in text
    assert "Devices     2,000 online, 1,000 offline" in text
    assert len(text.splitlines()) < 50


def test_what_a_broker_refuses_is_told_with_the_devices() -> None:
    """Nothing that counts, and said all the same, above the devices."""
    text = shown(image_of("press-01"), publisher(refused={"press-01": "not authorised to publish here"}))
    assert text.startswith("gw-01: all well, but 1 thing to look at, ")
    assert "- publisher plant is refused by its broker\n  why  not authorised to publish here\n" in text
    assert "  cost records of press-01 wait, and are tried again\n" in text
    text = shown(image_of("press-01"), publisher(refused={"": "not authorised to publish here: edge/agents/gw/status"}))
    assert "  why  not authorised to publish here: edge/agents/gw/status\n" in text
    assert "records of" not in text


def test_outboxes_that_cannot_be_written_are_told_with_why_and_what_to_do() -> None:
    """Once for several, in the disk's words."""
    stats = {"records": 3, "committing": False, "refusal": "disk full -> free disk space"}
    text = shown(image_of("press-01"), publisher(stats=stats), publisher("cloud", stats=stats))
    assert "! 2 publishers cannot write their outboxes: the disk refuses: plant and cloud\n" in text
    assert "  why  disk full\n  do   free disk space\n" in text


def test_a_dead_gateway_is_told_once_for_all_behind_it() -> None:
    """With their number; the devices behind it are not listed again, nor counted."""
    image = Image(AgentInfo("gw-01", "1.0.0", "abc"))
    names = [f"meter-{number:02}" for number in range(40)]
    for name in names:
        image.add(name, location=["acme"], tags=[TagInfo("t", interval=1000)], cat=1, now=NOW - MINUTE)
        image.set_state(name, "offline", now=NOW - MINUTE, reason="no route to host", causes=("silent",))
    devices = {name: DeviceFigures(bus="tcp://192.168.10.40:502") for name in names}
    text = screen(describe(image, AgentFigures(NOW, NOW - MINUTE, synced=True), [publisher()], devices), ZONE)
    assert text.startswith("gw-01: 1 thing is wrong")
    assert "! bus tcp://192.168.10.40:502 is silent since" in text
    assert "cost 40 devices behind it; no good value yet" in text
    assert text.count("meter-") == 0


def test_few_devices_are_listed() -> None:
    """Up to a dozen have a line each; a disabled one is none of those that are missing."""
    image = image_of(*(f"d{number}" for number in range(DEVICES)))
    image.set_state("d3", "offline", now=NOW, reason="disabled", causes=("disabled",))
    text = shown(image, publisher())
    assert len(re.findall(r"^  d\d+ ", text, re.MULTILINE)) == DEVICES
    assert "Devices     11 online, 1 disabled" in text
    assert "all well" in text


@given(st.text(max_size=200))
def test_nothing_of_strangers_reaches_the_terminal(words: str) -> None:
    """Whatever a device gives as its reason: no control character, no line break, no turned line, still 80 columns."""
    image = image_of("press-01")
    image.set_state("press-01", "offline", now=NOW, reason="\x1b[2J\x9b\u202e" + words, causes=("silent",))
    text = shown(image, publisher(state="offline", reason=words + "\x07\r\n! all well", since=NOW - MINUTE))
    assert "\\x1b[2J\\x9b\\u202e" in text
    assert "\n! all well" not in text
    for line in text.splitlines():
        assert harmless(line) == line
        assert len(line) <= WIDTH


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (0.2, "less than a second"), (12, "12 s"), (90, "1 min 30 s"), (3600, "1 h"), (11_100, "3 h 5 min"),
        (187_200, "2 d 4 h"), (86_405, "1 d"),
    ],
)  # fmt: skip
def test_durations_have_two_units(seconds: float, words: str) -> None:
    """The two largest."""
    assert lasting(seconds) == words


def test_instants_of_today_have_no_date() -> None:
    """Local time; another day's date is told."""
    assert instant(NOW - MINUTE, NOW, ZONE) == "04:11:15"
    assert instant(NOW - 600 * MINUTE, NOW, ZONE) == "2026-11-28 18:12:15"


def test_counts_and_lists() -> None:
    """One record, many records; a list that ends."""
    assert (counted(1, "record"), counted(1320, "record")) == ("1 record", "1,320 records")
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed([str(n) for n in range(9)]) == "0, 1, 2 and 6 more"
