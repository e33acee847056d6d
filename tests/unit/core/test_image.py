from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.core.flow import MAX_BATCH_READINGS, Batch, Reading
from agent.core.image import AgentInfo, Image, TagInfo

T0 = 1_763_760_000_000


@pytest.fixture
def image() -> Image:
    image = Image(AgentInfo(id="gw", version="1", config="abc"))
    image.add("press", location=["acme"], tags=[TagInfo("a", unit="bar"), TagInfo("b")], cat=1, now=T0)
    return image


def good(tag: str, ts: int = T0) -> Reading:
    return Reading(tag=tag, value=1, ts=ts, quality="good")


def bad(tag: str, ts: int = T0) -> Reading:
    return Reading(tag=tag, value=None, ts=ts, quality="bad", code="BadTimeout")


def batch(*readings: Reading, ts: int = T0) -> Batch:
    count = [reading.quality for reading in readings].count
    return Batch(device="press", ts=ts, readings=list(readings), bad=count("bad"), uncertain=count("uncertain"))


def test_a_new_device_is_offline(image):
    """Until it answers a device is offline, and says why."""
    device = image.devices["press"]
    assert (device.state, device.reason, device.since, device.last_good) == ("offline", "not connected yet", T0, None)


def test_devices_share_nothing(image):
    """What one device has read is not another's."""
    image.add("other", location=[], tags=[], cat=1, now=T0)
    image.update(batch(good("a")))
    image.note("press", "x", 1)
    assert image.devices["other"].newest == {}
    assert image.devices["other"].notes == {}


def test_newest_reading_wins(image):
    """Of several readings of one tag in a batch the last is the newest."""
    image.update(batch(good("a", T0), good("a", T0 + 5)))
    assert image.devices["press"].newest["a"].ts == T0 + 5


def test_bad_tags_are_counted(image):
    """Bad tags are counted as of now, disabled ones left out."""
    image.update(batch(bad("a"), bad("b")))
    assert image.devices["press"].bad == 2
    image.update(batch(good("a")))
    assert image.devices["press"].bad == 1
    image.update(batch(Reading(tag="b", value=None, ts=T0, quality="bad", why="disabled")))
    assert image.devices["press"].bad == 0


def test_last_good(image):
    """Only a good reading moves last_good: neither a bad nor an uncertain one is good."""
    image.update(batch(good("a"), bad("b"), ts=T0 + 1))
    image.update(batch(bad("a"), ts=T0 + 2))
    image.update(batch(Reading(tag="a", value=1, ts=T0, quality="uncertain"), ts=T0 + 3))
    assert image.devices["press"].last_good == T0 + 1


def test_listeners_hear_changes_only(image):
    """Listeners hear of states, catalogues and existence, not of readings; a second time the same is no change."""
    heard: list[str] = []
    stop = image.listen(heard.append)
    image.update(batch(good("a")))
    assert heard == []
    assert image.set_state("press", "online", now=T0 + 1)
    assert not image.set_state("press", "online", now=T0 + 2)
    assert image.describe("press", {0: "float64"})
    assert not image.describe("press", {0: "float64"})
    image.add("other", location=[], tags=[], cat=1, now=T0)
    image.remove("other")
    image.remove("other")
    assert heard == ["press", "press", "other", "other"]
    stop()
    image.remove("press")
    assert len(heard) == 4


def test_a_listener_may_leave_while_it_is_called(image):
    """A listener that ends itself disturbs no other."""
    heard: list[str] = []
    stops: list[Callable[[], None]] = []
    stops.append(image.listen(lambda _name: stops.pop()()))
    image.listen(heard.append)
    image.set_state("press", "online", now=T0)
    image.set_state("press", "offline", now=T0)
    assert heard == ["press", "press"]


def test_since_moves_with_the_state_only(image):
    """A new reason is a change but not a new beginning."""
    image.set_state("press", "degraded", now=T0 + 1, reason="slow")
    image.set_state("press", "degraded", now=T0 + 2, reason="slower", achieved_ms=1500)
    device = image.devices["press"]
    assert (device.since, device.reason, device.achieved_ms) == (T0 + 1, "slower", 1500)


def test_learned_types_make_a_new_catalogue(image):
    """Types learned from the device are kept by position and raise the catalogue's version once."""
    image.describe("press", {1: "string"})
    device = image.devices["press"]
    assert ([tag.type for tag in device.tags], device.cat) == ([None, "string"], 2)


def test_notes(image):
    """A note is kept until it is taken back."""
    image.note("press", "limits", {"read": 100})
    assert image.devices["press"].notes == {"limits": {"read": 100}}
    image.note("press", "limits", None)
    image.note("press", "limits", None)
    assert image.devices["press"].notes == {}


def test_snapshot(image):
    """A snapshot has every tag: the newest reading, or one that waits for initial data."""
    image.update(batch(good("b", T0 - 70)))
    (snapshot,) = image.snapshot("press", T0 + 9, clock="unsynced")
    first, second = snapshot.readings
    assert (snapshot.snapshot, snapshot.ts, snapshot.clock, snapshot.bad, snapshot.cat) == (
        True,
        T0 + 9,
        "unsynced",
        1,
        1,
    )
    assert (first.tag, first.value, first.ts, first.quality, first.unit) == ("a", None, T0 + 9, "bad", "bar")
    assert (first.code, first.status, first.why) == ("BadWaitingForInitialData", 0x80320000, "initial")
    assert second is image.devices["press"].newest["b"]


def test_snapshot_in_parts(image):
    """A large device's snapshot takes several batches, each of bounded size, together each tag once."""
    tags = [TagInfo(f"t{n}") for n in range(2 * MAX_BATCH_READINGS + 1)]
    image.add("large", location=[], tags=tags, cat=1, now=T0)
    batches = image.snapshot("large", T0)
    assert [len(part.readings) for part in batches] == [MAX_BATCH_READINGS, MAX_BATCH_READINGS, 1]
    assert [reading.tag for part in batches for reading in part.readings] == [tag.tag for tag in tags]
    assert image.snapshot("press", T0)[0].bad == 2


def test_settle(image):
    """Before a cut every device hands on what it holds back, until it ends."""
    handed: list[str] = []
    undo = image.settles(lambda: handed.append("press"))
    image.settle()
    undo()
    undo()
    image.settle()
    assert handed == ["press"]


def test_who_listens_never_hurts_who_changes(image):
    """A listener that raises is reported as a bug; the change is made and the other listeners are told."""
    heard: list[str] = []
    bugs: list[Exception] = []
    image = Image(image.agent, bug=bugs.append)
    image.listen(lambda _name: 1 / 0)
    image.settles(lambda: 1 / 0)
    image.listen(heard.append)
    image.add("press", location=[], tags=[], cat=1, now=T0)
    image.settle()
    assert heard == ["press"]
    assert [type(bug) for bug in bugs] == [ZeroDivisionError, ZeroDivisionError]
