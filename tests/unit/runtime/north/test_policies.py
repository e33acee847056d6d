"""Pure policies: lanes, mailbox, catalogue versions."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.flow import Message
from agent.core.image import AgentInfo, Image, TagInfo
from agent.runtime.catalogue import RESERVED, Catalogues
from agent.runtime.north.mailbox import Mailbox
from agent.runtime.north.replay import LanePlan, TokenBucket
from agent.runtime.southbound import _newest
from agent.settings.publishers import Replay


@pytest.mark.parametrize(
    ("window", "share", "expected"), [(20, 0.5, 10), (1, 0.5, 1), (2, 1.0, 1), (20, 1.0, 19), (3, 0.1, 1)]
)
def test_backlog_leaves_room_for_live(window: int, share: float, expected: int) -> None:
    """With live_first the backlog never fills the window, but where the window is a single message."""
    assert LanePlan(Replay(share=share), window).backlog_window == expected


def test_in_order_has_the_whole_window_and_no_rate() -> None:
    """Where live waits behind the backlog, nothing slows it down unless the configuration says so."""
    plan = LanePlan(Replay(order="in_order"), 20)
    assert (plan.backlog_window, plan.rate) == (20, None)


@given(st.floats(1, 500), st.lists(st.floats(0, 2), min_size=1, max_size=50))
def test_the_bucket_never_lets_more_than_its_rate_through(rate: float, pauses: list[float]) -> None:
    """Whatever the pauses: after the burst, no more tokens than rate x time."""
    now = begin = 0.0
    bucket = TokenBucket(rate, now)
    for taken, pause in enumerate(pauses, start=1):
        now += pause
        now += bucket.take(now)
        assert taken <= max(1.0, rate) + (now - begin) * rate + 1e-6


def test_what_has_to_wait_goes_together() -> None:
    """Fifty a second are five every tenth of a second, after the burst: each waking costs more than a record."""
    now, wakings, bucket = 0.0, 0, TokenBucket(50.0, 0.0)
    for _ in range(200):
        wait = bucket.take(now)
        wakings += wait > 0
        now += wait
    assert wakings <= 31
    assert 2.9 < now < 3.2


def test_the_newest_message_of_a_topic_wins() -> None:
    """What one event says on one topic stays in order; a later event replaces it."""
    mailbox = Mailbox()
    mailbox.post([Message(topic="a", payload=b"1"), Message(topic="b", payload=b"2")])
    mailbox.post([Message(topic="a", payload=b"removed"), Message(topic="a", payload=b"")])
    assert [(m.topic, m.payload) for m in mailbox.take()] == [("b", b"2"), ("a", b"removed"), ("a", b"")]


def _image(*tags: TagInfo, cat: int = 1) -> Image:
    image = Image(AgentInfo("gw", "0", "h"))
    image.add("press", location=["x"], tags=tags, cat=cat, now=0)
    return image


def test_a_catalogue_keeps_its_version_over_restarts(tmp_path: Path) -> None:
    """The same catalogue has the same version; a changed one gets a new one."""
    tags = [TagInfo("a", type="int16"), TagInfo("b")]
    first = Catalogues(tmp_path / "c.json")
    assert first.versions({"press": tags}, 0) == {"press": (1, tuple(tags))}
    second = Catalogues(tmp_path / "c.json")
    assert second.versions({"press": tags}, 0)["press"][0] == 1
    above = RESERVED + 1  # what the first one may have published and not written
    assert second.versions({"press": tags[:1]}, 0)["press"][0] == 1 + above
    assert second.versions({"press": tags}, 0)["press"][0] == 2 + above


def test_learned_types_survive_a_restart(tmp_path: Path) -> None:
    """A type the device told us belongs to the version it made: the next start knows it already."""
    image = _image(TagInfo("a"))
    assert image.describe("press", {0: "float64"})
    Catalogues(tmp_path / "c.json").keep(image.devices["press"], 0)
    catalogues = Catalogues(tmp_path / "c.json")
    cat, tags = catalogues.versions({"press": [TagInfo("a")]}, 0)["press"]
    assert (cat, tags[0].type) == (2, "float64")
    cat, tags = catalogues.versions({"press": [TagInfo("b"), TagInfo("a")]}, 0)["press"]
    assert (cat, [info.type for info in tags]) == (2 + RESERVED + 1, [None, "float64"])


def test_what_a_device_tells_is_written_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk holds up nobody, many devices are one write, and no number comes to mean two things after a kill."""
    writes: list[int] = []
    may_write = threading.Event()
    fsync = os.fsync

    def slow(file: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            may_write.wait()
        writes.append(file)
        fsync(file)

    path = tmp_path / "c.json"
    names = [f"d{number}" for number in range(20)]
    catalogues = Catalogues(path)
    catalogues.versions({name: [TagInfo("a")] for name in names}, 0)
    monkeypatch.setattr(os, "fsync", slow)
    image = Image(AgentInfo("gw", "0", "h"))
    for name in names:
        image.add(name, location=["x"], tags=[TagInfo("a"), TagInfo("b")], cat=1, now=0)
        assert image.describe(name, {0: "int16"})
        catalogues.keep(image.devices[name], 0)
    assert image.devices["d0"].cat == 2
    killed = tmp_path / "killed.json"
    killed.write_bytes(path.read_bytes())
    after = Catalogues(killed)
    device = _image(TagInfo("a", type="int32"), cat=2).devices["press"]
    device.name = "d0"
    after.keep(device, 0)
    assert device.cat > 2, "2 was published with another type"
    may_write.set()
    catalogues.flush()
    assert json.loads(path.read_bytes())["d19"]["cat"] == 2
    assert len(writes) <= 5  # of them one of the second process, and the last
    again = Catalogues(path)
    assert again.versions({"d3": [TagInfo("a"), TagInfo("b")]}, 0)["d3"] == (2, image.devices["d3"].tags)


def test_a_damaged_file_never_brings_a_version_back(tmp_path: Path) -> None:
    """Version numbers go on far above what was ever said."""
    (tmp_path / "c.json").write_bytes(b"{garbage")
    assert Catalogues(tmp_path / "c.json").versions({"press": [TagInfo("a")]}, 0)["press"][0] > 1_000_000


def test_a_version_that_cannot_be_kept_is_never_counted(tmp_path: Path) -> None:
    """A disk that refuses would let the next start give the same version another meaning: the time makes it unique."""
    (tmp_path / "c.json").mkdir()
    catalogues = Catalogues(tmp_path / "c.json")
    device = _image(TagInfo("a")).devices["press"]
    catalogues.keep(device, 1_763_760_000_000)
    assert device.cat == 1_763_760_000
    catalogues.keep(device, 1_763_760_009_000)
    assert device.cat == 1_763_760_000
    assert catalogues.versions({"press": [TagInfo("b")]}, 1_763_760_000_000)["press"][0] == 1_763_760_001


def test_a_catalogue_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    """Text that no file can carry is a reason like a full disk."""
    catalogues = Catalogues(tmp_path / "c.json")
    device = _image(TagInfo("a\udc80")).devices["press"]
    catalogues.keep(device, 1_763_760_000_000)
    assert device.cat == 1_763_760_000


def test_a_version_that_was_drafted_gives_way_to_what_the_device_told_since() -> None:
    """No number comes to mean two things, and a type that was learned meanwhile stays."""
    now = _image(TagInfo("a", type="float64"), cat=4).devices["press"]
    drafted = (4, (TagInfo("a"), TagInfo("b")))
    assert _newest(drafted, now) == (5, (TagInfo("a", type="float64"), TagInfo("b")))
    assert _newest((3, (TagInfo("a"),)), now) == (4, now.tags)
