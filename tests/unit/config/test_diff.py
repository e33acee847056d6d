"""What a changed configuration changes, and what that costs: devices, tags, publishers, what needs a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.diff import Change, DeviceChange, Difference, difference
from tests.unit.config.test_loader import device, loaded, publisher

GW = "agent: {id: gw}\n"
TAGS = '    tags: {a: {address: "holding:0"}, b: {address: "holding:1", scale: 2}}\n'


def compare(
    folder: Path, old: str, new: str, old_files: dict[str, str] | None = None, new_files: dict[str, str] | None = None
) -> Difference:
    """The difference between two configurations, each with its other files."""
    before = loaded(folder / "old", {"agent.yaml": old, **(old_files or {})}, {"HOST": "192.0.2.1"}).config
    after = loaded(folder / "new", {"agent.yaml": new, **(new_files or {})}, {"HOST": "192.0.2.1"}).config
    return difference(before, after)


def words(changes: tuple[Change, ...]) -> list[str]:
    """Changes as `key: old -> new`."""
    return [f"{change}: {change.old} -> {change.new}" for change in changes]


# --- no difference ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (GW + "devices:\n" + device("a") + device("b"), "devices:\n" + device("b") + device("a") + GW),
        (GW + "devices:\n" + device(extra="    interval: 1s\n"),
         GW + "devices:\n" + device(extra="    interval: 1000ms\n")),
        (GW + "devices:\n" + device(), GW + "devices:\n" + device(extra="    unit_id: 1\n    interval: 1s\n")),
        (GW + "devices:\n" + device(), GW + 'devices:\n  press: {type: modbus, url: "tcp://${HOST}"}\n'),
        (GW + "outbox: {max_bytes: 1MiB}\npublishers:\n" + publisher(),
         GW + "publishers:\n" + publisher(extra="    outbox: {max_bytes: 1024KiB}\n")),
        (GW + "outbox: {max_bytes: 1MiB, durability: fsync}\n", GW),
        (GW, "agent: {id: gw, location: [gw]}\n"),
    ],
)  # fmt: skip
def test_the_same_meaning_is_no_difference(tmp_path, old, new):
    """Order, notation, defaults written out, an unused default: nothing happens."""
    assert not compare(tmp_path, old, new)
    assert compare(tmp_path / "other", old, new) == Difference()


def test_where_something_stands_is_no_difference(tmp_path):
    """An included file and a table of tags mean what the main file would."""
    old = GW + "devices:\n" + device(extra='    tags: {a: {address: "holding:0", unit: bar}}\n')
    files = {
        "devices/x.yaml": "devices:\n" + device(extra="    tags_file: t.csv\n"),
        "devices/t.csv": "tag,address,unit\na,holding:0,bar\n",
    }
    assert not compare(tmp_path, old, GW + "include: [devices/*.yaml]\n", {}, files)


def test_one_is_not_one_point_zero(tmp_path):
    """A scale of 1 keeps integers, 1.0 makes a double of them: not the same."""
    found = compare(
        tmp_path,
        GW + "devices:\n" + device(extra='    tags: {a: {address: "holding:0", scale: 1}}\n'),
        GW + "devices:\n" + device(extra='    tags: {a: {address: "holding:0", scale: 1.0}}\n'),
    )
    assert words(found.devices_changed["press"].tags_changed["a"]) == ["scale: 1 -> 1.0"]


# --- devices ----------------------------------------------------------------------------------------------------------


def test_devices_come_and_go(tmp_path):
    """Devices are told by their name."""
    found = compare(
        tmp_path, GW + "devices:\n" + device("a") + device("b"), GW + "devices:\n" + device("b") + device("c")
    )
    assert (found.devices_added, found.devices_removed, found.devices_changed) == (("c",), ("a",), {})


def test_tags_alone(tmp_path):
    """A change of tags alone is told tag by tag and key by key, and keeps the connection."""
    after = '    tags: {b: {address: "holding:1", scale: 3, unit: bar}, c: {address: "holding:2"}}\n'
    found = compare(tmp_path, GW + "devices:\n" + device(extra=TAGS), GW + "devices:\n" + device(extra=after))
    change = found.devices_changed["press"]
    assert change.tags_only
    assert (change.tags_added, change.tags_removed) == (("c",), ("a",))
    assert words(change.tags_changed["b"]) == ["unit: None -> bar", "scale: 2 -> 3"]


def test_events_of_opc_ua_are_tags(tmp_path):
    """An event is a tag of its device."""
    opcua = "devices:\n  cnc:\n    type: opcua\n    url: opc.tcp://192.0.2.1\n"
    found = compare(tmp_path, GW + opcua, GW + opcua + "    events: {alarms: {node: i=2253}}\n")
    assert found.devices_changed == {"cnc": DeviceChange(tags_added=("alarms",))}
    assert found.devices_changed["cnc"].tags_only


def test_a_key_of_the_device(tmp_path):
    """Any other key replaces the device; nested keys are named one by one."""
    after = device(extra=TAGS + "    interval: 2s\n    workarounds: {echo: false, pause_after_connect: 1s}\n")
    found = compare(tmp_path, GW + "devices:\n" + device(extra=TAGS), GW + "devices:\n" + after)
    change = found.devices_changed["press"]
    assert not change.tags_only
    assert words(change.changes) == ["interval: 1.0 -> 2.0", "workarounds.pause_after_connect: 0.0 -> 1.0"]
    assert change.tags_changed == {}


def test_another_protocol(tmp_path):
    """A device of another type is a changed device."""
    found = compare(
        tmp_path,
        GW + "devices:\n" + device(),
        GW + "devices:\n  press: {type: opcua, url: opc.tcp://192.0.2.1}\n",
    )
    change = found.devices_changed["press"]
    assert "type: modbus -> opcua" in words(change.changes)
    assert not change.tags_only


def test_location_of_the_agent(tmp_path):
    """`agent.location` changes every device without one of its own."""
    devices = "devices:\n" + device("a") + device("b", "    location: [x]\n")
    found = compare(tmp_path, GW + devices, "agent: {id: gw, location: [plant, hall]}\n" + devices)
    assert words(found.settings) == ["agent.location: ['gw'] -> ['plant', 'hall']"]
    assert {name: words(change.changes) for name, change in found.devices_changed.items()} == {
        "a": ["location: ['gw'] -> ['plant', 'hall']"]
    }


def test_a_location_written_out(tmp_path):
    """A device that now writes what it had from the agent is not a changed device."""
    found = compare(tmp_path, GW + "devices:\n" + device(), GW + "devices:\n" + device(extra="    location: [gw]\n"))
    assert not found


# --- publishers and settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "key", "in_place"),
    [
        ("    window: 5\n", "window", True),
        ('    devices: ["pre*"]\n', "devices", True),
        ("    replay: {share: 0.2}\n", "replay.share", True),
        ("    outbox: {max_bytes: 1MiB}\n", "outbox.max_bytes", True),
        ("    outbox: {max_age: 1d}\n", "outbox.max_age", True),
        ("    outbox: {min_free_disk: 1MiB}\n", "outbox.min_free_disk", True),
        ("    outbox: {when_full: drop_newest}\n", "outbox.when_full", True),
        ("    outbox: {keep_acked: {age: 1h}}\n", "outbox.keep_acked", True),
        ("    outbox: {compress: true}\n", "outbox.compress", True),
        ("    qos: 0\n", "qos", False),
        ("    root: x\n", "root", False),
        ("    max_message_bytes: 64KiB\n", "max_message_bytes", False),
        ("    encoder: {type: value}\n", "encoder", False),
        ("    encoder: {type: json, int64: string}\n", "encoder.int64", False),
        ("    keep_alive: 5s\n", "keep_alive", False),
    ],
)
def test_what_a_publisher_takes_in_place(tmp_path, extra, key, in_place):
    """What is applied in place is the design's table; anything else ends the session."""
    devices = "devices:\n" + device()
    found = compare(
        tmp_path, GW + devices + "publishers:\n" + publisher(), GW + devices + "publishers:\n" + publisher(extra=extra)
    )
    change = found.publishers_changed["plant"]
    assert [str(one) for one in change.changes] == [key]
    assert change.in_place is in_place
    assert not found.restart


def test_one_key_too_many_ends_the_session(tmp_path):
    """Beside a key that needs another session the others do not matter."""
    found = compare(
        tmp_path,
        GW + "publishers:\n" + publisher(),
        GW + "publishers:\n" + publisher(extra="    window: 5\n    qos: 0\n"),
    )
    assert not found.publishers_changed["plant"].in_place


def test_publishers_come_and_go(tmp_path):
    """Publishers are told by their name."""
    found = compare(tmp_path, GW + "publishers:\n" + publisher("a"), GW + "publishers:\n" + publisher("b"))
    assert (found.publishers_added, found.publishers_removed) == (("b",), ("a",))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (GW, "agent: {id: other, location: [gw]}\n", "agent.id"),
        (GW, "agent: {id: gw, data_dir: /elsewhere}\n", "agent.data_dir"),
        (GW + "publishers:\n" + publisher(), GW + "outbox: {durability: fsync}\npublishers:\n" + publisher(),
         "publishers.plant.outbox.durability"),
        (GW + "publishers:\n" + publisher(),
         GW + "publishers:\n" + publisher(extra="    outbox: {disk: on_outage}\n"), "publishers.plant.outbox.disk"),
        (GW + "publishers:\n" + publisher(),
         GW + "publishers:\n" + publisher("main", extra="    was: plant\n"), "publishers.main.was"),
    ],
)  # fmt: skip
def test_what_needs_a_restart(tmp_path, old, new, key):
    """What cannot change in a running process is told apart, and only there."""
    found = compare(tmp_path, old, new)
    assert [str(change) for change in found.restart] == [key]
    assert (found.publishers_changed, found.settings) == ({}, ())


def test_settings_in_place(tmp_path):
    """`log`, `http`, `history` are applied in place, key by key; what is turned off as a whole, and history with it."""
    found = compare(tmp_path, GW, GW + "log: {level: debug}\nhttp: {port: 9}\n")
    assert words(found.settings) == ["log.level: info -> debug", "http.port: 8080 -> 9"]
    assert [str(change) for change in compare(tmp_path, GW, GW + "http: null\n").settings] == ["http", "history"]
    found = compare(tmp_path, GW, GW + "history: {keep: 1h}\n")
    assert [str(change) for change in found.settings] == ["history.keep"]
