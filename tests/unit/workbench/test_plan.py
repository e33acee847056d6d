"""What a configuration asks of devices, buses and disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.plan import plan as shown
from agent.config.loader import load
from agent.workbench.plan import Plan, plan


def planned(folder: Path, devices: str, round_trip: float = 0.02) -> Plan:
    """The plan of these devices, and one publisher for all."""
    publishers = "{plant: {type: mqtt, url: 'mqtt://h'}, none: {type: mqtt, url: 'mqtt://i', devices: [x*]}}"
    text = f"agent: {{id: gw}}\npublishers: {publishers}\n"
    (folder / "agent.yaml").write_text(f"{text}devices:\n  x1: {{type: modbus, url: 'tcp://x', tags: {{}}}}\n{devices}")
    return plan(load(folder / "agent.yaml", {}).config, round_trip)


def test_requests_and_waste(tmp_path: Path) -> None:
    """Each interval has its requests; a gap that may be bridged is read for nothing."""
    tags = "{a: {address: 'holding:0'}, b: {address: 'holding:4'}, c: {address: 'holding:9', interval: 1m}}"
    found = planned(tmp_path, f"  p: {{type: modbus, url: 'tcp://p', max_gap: 3, tags: {tags}}}\n").devices[1]
    assert [(one.interval, one.requests, one.wanted, one.wasted) for one in found.cycles] == [
        (1.0, 1, 2, 3), (60.0, 1, 1, 0)
    ]  # fmt: skip
    assert found.blocks == ["holding:0+5", "holding:9+1"]
    assert found.readings_per_day == 2 * 86_400 + 1_440
    assert found.late is None


def test_an_interval_that_cannot_be_met_is_named(tmp_path: Path) -> None:
    """Ten requests of 20 ms every 100 ms."""
    tags = ", ".join(f"t{n}: {{address: 'holding:{n * 200}'}}" for n in range(10))
    found = planned(tmp_path, f"  p: {{type: modbus, url: 'tcp://p', interval: 100ms, tags: {{{tags}}}}}\n")
    assert not found.met
    assert found.devices[1].late == (
        "10 requests take 0.2 s every 0.1 s: choose a longer interval, fewer tags, or a larger max_gap"
    )
    assert planned(tmp_path, f"  p: {{type: modbus, url: 'tcp://p', tags: {{{tags}}}}}\n").met


def test_devices_on_one_connection_share_its_time(tmp_path: Path) -> None:
    """Each alone would do; together they are more than there is."""
    device = "{{type: modbus, url: 'tcp://gate', unit_id: {n}, interval: 100ms, tags: {{a: {{address: 'holding:1'}}}}}}"
    found = planned(tmp_path, "".join(f"  m{n}: {device.format(n=n)}\n" for n in range(1, 7)))
    [gate] = [bus for bus in found.buses if len(bus.devices) == 6]
    assert (round(gate.share, 2), gate.late, found.met) == (1.2, True, False)


def test_tags_that_are_found_later_are_not_counted_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `browse:` of a device will find is known at the connection only: the plan says so, by name."""
    device = "{type: opcua, url: 'opc.tcp://c', mode: poll, browse: {include: ['**']}}"
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw}}\ndevices:\n  cnc: {device}\n")
    assert shown(tmp_path / "agent.yaml", None, "20ms") == 0
    said = capsys.readouterr().out
    assert "not counted: the tags that cnc will find" in said
    assert "subscribed" not in said


def test_equal_advice_is_given_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fifty meters of one kind are one line; whose interval cannot be met is named, each of them."""
    tags = "{a: {address: 'holding:0'}, b: {address: 'holding:9'}}"
    meters = "".join(
        f"  m{n}: {{type: modbus, url: 'tcp://g{n}', interval: 20ms, tags: {tags}}}\n" for n in range(1, 6)
    )
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw}}\ndevices:\n{meters}")
    assert shown(tmp_path / "agent.yaml", None, "20ms") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines if "max_gap: " in line] == ["m1, m2, m3 and 2 more"]
    assert [line.partition(" cannot")[0] for line in lines if "cannot be met" in line] == [
        "the interval of m1, m2, m3, m4 and m5"
    ]


def test_a_larger_gap_is_proposed_where_it_saves_requests(tmp_path: Path) -> None:
    """With what it costs."""
    tags = ", ".join(f"t{n}: {{address: 'holding:{n * 3}'}}" for n in range(20))
    found = planned(tmp_path, f"  p: {{type: modbus, url: 'tcp://p', tags: {{{tags}}}}}\n").devices[1]
    assert found.gain == "max_gap: 2 would need 1 request instead of 20, and read 38 places more"


def test_bytes_and_outage_of_each_publisher(tmp_path: Path) -> None:
    """A publisher that carries no device holds any outage; one that does, as long as its bytes last."""
    tags = ", ".join(f"t{n}: {{address: 'holding:{n}'}}" for n in range(60))
    found = planned(tmp_path, f"  p: {{type: modbus, url: 'tcp://p', tags: {{{tags}}}}}\n")
    plant, none = found.outboxes
    assert none.holds_minutes is None
    assert plant.holds_minutes is not None
    assert abs(plant.holds_minutes * 60 * plant.bytes_per_day / 86_400 - plant.max_bytes) < 1
    assert found.minimum_disk_bytes == 2 * 2 * (1 << 30) + (128 << 20) + (200 << 20)  # the page's minutes among it


def test_no_outage_is_longer_than_max_age(tmp_path: Path) -> None:
    """Records expire where the bytes would last longer: one small register a minute, 30 days by default."""
    found = planned(tmp_path, "  p: {type: modbus, url: 'tcp://p', interval: 1m, tags: {a: {address: 'holding:1'}}}\n")
    assert (found.outboxes[0].holds_minutes, found.outboxes[0].expires) == (30 * 1440, True)


def test_what_is_kept_after_its_delivery_takes_disk_too(tmp_path: Path) -> None:
    """`keep_acked` does not count against `max_bytes`, so it stands beside it."""
    (tmp_path / "agent.yaml").write_text(
        "agent: {id: gw}\npublishers: {plant: {type: mqtt, url: 'mqtt://h'}}\n"
        "outbox: {max_bytes: 100MiB, min_free_disk: 50MiB, keep_acked: {age: 1h, max_bytes: 20MiB}}\n"
    )
    found = plan(load(tmp_path / "agent.yaml", {}).config, 0.02)
    assert found.minimum_disk_bytes == 2 * (120 << 20) + (128 << 20) + (50 << 20)


def test_a_subscription_asks_for_nothing(tmp_path: Path) -> None:
    """The server publishes; polled nodes are asked for in chunks."""
    tags = ", ".join(f"t{n}: {{node: 'ns=2;i={n}'}}" for n in range(1200))
    device = "  c: {{type: opcua, url: 'opc.tcp://c', mode: {mode}, tags: {{{tags}}}}}\n"
    subscribed = planned(tmp_path, device.format(mode="subscribe", tags=tags)).devices[1]
    [cycle] = subscribed.cycles
    assert (cycle.tags, cycle.requests, cycle.seconds) == (1200, 0, 0)
    assert subscribed.gain is None  # there is nothing to save
    [cycle] = planned(tmp_path, device.format(mode="poll", tags=tags)).devices[1].cycles
    assert (cycle.requests, cycle.seconds) == (3, 0.06)


def test_each_shard_has_its_buses_and_its_outbox(tmp_path: Path) -> None:
    """All shards are planned at once: who reads what, and how long each one's own outbox lasts."""
    device = "{{type: modbus, url: 'tcp://gate-{n}', tags: {{a: {{address: 'holding:1'}}}}}}"
    devices = "".join(f"  m{n}: {device.format(n=n)}\n" for n in range(9))
    (tmp_path / "agent.yaml").write_text(
        f"agent: {{id: gw, shard: {{index: 1, count: 3}}}}\npublishers: {{plant: {{type: mqtt, url: 'mqtt://h'}}}}\n"
        f"devices:\n{devices}"
    )
    loaded = load(tmp_path / "agent.yaml", {})
    found = plan(loaded.whole, 0.02)
    assert {one.device for one in found.devices if one.shard == 1} == set(loaded.config.devices)
    assert all(bus.shard == one.shard for bus in found.buses for one in found.devices if one.device in bus.devices)
    assert [outbox.shard for outbox in found.outboxes] == [0, 1, 2]
    of_one = found.devices[0].bytes_per_day
    assert [outbox.bytes_per_day // of_one for outbox in found.outboxes] == [
        sum(one.shard == shard for one in found.devices) for shard in range(3)
    ]
    assert found.minimum_disk_bytes == plan(loaded.config, 0.02).minimum_disk_bytes
