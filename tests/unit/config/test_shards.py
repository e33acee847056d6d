"""Shards: which of several agents with one configuration reads what, under which name."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.config.diff import difference
from agent.config.loader import Loaded, load
from agent.config.shards import owner, owners
from agent.core.errors import ConfigError

#: A plant as it may be: gateways in two networks, serial lines, OPC UA servers.
PLANT = [
    *(f"tcp://192.168.10.{host}:502" for host in range(10, 130)),
    *(f"tcp://10.4.{hall}.{host}:502" for hall in range(1, 5) for host in range(20, 40)),
    *(f"serial:///dev/ttyS{port}" for port in range(8)),
    *(f"opc.tcp://cnc-{number:02}.plant.local:4840" for number in range(60)),
]
TAGS = {"t": {"address": "holding:0"}}


def modbus(url: str, unit: int = 1) -> dict[str, Any]:
    return {"type": "modbus", "url": url, "unit_id": unit, "tags": TAGS}


def opcua(**where: Any) -> dict[str, Any]:
    return {"type": "opcua", **where, "tags": {"t": {"node": "ns=2;s=T"}}}


def written(folder: Path, devices: dict[str, Any], shard: object = None, **rest: Any) -> Path:
    agent = {"id": "gw", "data_dir": str(folder), **({} if shard is None else {"shard": shard})}
    plant = {"type": "mqtt", "url": "mqtt://127.0.0.1:1", **rest.pop("publisher", {})}
    path = folder / "agent.yaml"
    path.write_text(json.dumps({"agent": {**agent, **rest}, "publishers": {"plant": plant}, "devices": devices}))
    return path


def loaded(folder: Path, devices: dict[str, Any], shard: object = None, *, pod: str = "0", **rest: Any) -> Loaded:
    return load(written(folder, devices, shard, **rest), {"POD_INDEX": pod})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_one_more_shard_takes_its_part_and_nothing_else_moves(count: int) -> None:
    """A bus either stays or goes to the new shard; at most 1.15 x the new one's fair part of them moves."""
    moved = [bus for bus in PLANT if owner(bus, count) != owner(bus, count + 1)]
    assert {owner(bus, count + 1) for bus in moved} == {count}
    assert 0 < len(moved) <= 1.15 * len(PLANT) / (count + 1)


def test_every_shard_gets_its_part() -> None:
    """No shard of four has less than half or more than one and a half times its fair part."""
    shares = [sum(owner(bus, 4) == shard for bus in PLANT) for shard in range(4)]
    assert all(len(PLANT) / 8 < share < len(PLANT) * 3 / 8 for share in shares)


def test_it_depends_on_the_bus_alone(tmp_path: Path) -> None:
    """Neither order nor the interpreter's hash seed counts: every agent comes to the same result."""
    devices = {f"d{number}": modbus(url) for number, url in enumerate(PLANT) if "opc" not in url}
    first = owners(loaded(tmp_path, devices, {"count": 3}).whole)
    shuffled = list(devices.items())
    random.Random(7).shuffle(shuffled)
    assert owners(loaded(tmp_path, dict(shuffled), {"count": 3}).whole) == first
    code = f"from agent.config.shards import owner; print([owner(bus, 3) for bus in {PLANT!r}])"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert seen == {f"{[owner(bus, 3) for bus in PLANT]}\n"}


@pytest.mark.parametrize(
    "devices",
    [
        [modbus("tcp://10.0.0.{n}", 1), modbus("tcp://10.0.0.{n}:502", 2)],
        [modbus("tcp://GW-{n}.local", 1), modbus("tcp://gw-{n}.local", 2)],
        [modbus("serial:///dev/ttyUSB{n}?baudrate=9600", 1), modbus("serial:///dev/ttyUSB{n}?baudrate=9600", 2)],
        [
            {**modbus("tcp-listen://0.0.0.0:50{n}"), "dtu": {"registration": "a"}},
            {**modbus("tcp-listen://0.0.0.0:50{n}"), "dtu": {"registration": "b"}},
        ],
        [opcua(url="opc.tcp://cnc-{n}"), opcua(url="opc.tcp://CNC-{n}:4840/UA/Server")],
        [opcua(urls=["opc.tcp://a{n}:4840", "opc.tcp://b{n}:4840"]), opcua(urls=["opc.tcp://b{n}", "opc.tcp://a{n}"])],
        [
            opcua(reverse={"listen": "127.0.0.1:48{n}", "server_uri": "urn:a"}),
            opcua(reverse={"listen": "127.0.0.1:48{n}", "server_uri": "urn:b"}),
        ],
    ],
    ids=["gateway", "host", "serial", "dtu", "server", "redundant", "reverse"],
)
def test_one_bus_one_shard(tmp_path: Path, devices: list[dict[str, Any]]) -> None:
    """However their addresses are written, devices behind one gateway, line, port or server are in one shard."""
    text = json.dumps(devices)
    many = {f"d{n}-{at}": one for n in range(10, 30) for at, one in enumerate(json.loads(text.replace("{n}", str(n))))}
    found = owners(loaded(tmp_path, many, {"count": 5}).whole)
    assert all(found[f"d{n}-0"] == found[f"d{n}-1"] for n in range(10, 30))
    assert len(set(found.values())) > 1


def test_each_device_is_read_by_one_shard(tmp_path: Path) -> None:
    """The shards have an id each, one location, one hash, and together all devices, each once."""
    devices = {f"d{number}": modbus(f"tcp://10.0.0.{number}") for number in range(20)}
    shard = {"index": "${POD_INDEX}", "count": 3}
    found = [loaded(tmp_path, devices, shard, pod=str(pod)) for pod in range(3)]
    assert [one.config.agent.id for one in found] == ["gw-0", "gw-1", "gw-2"]
    assert {tuple(one.config.agent.location) for one in found} == {("gw",)}
    assert len({one.hash for one in found}) == 1
    assert sorted(name for one in found for name in one.config.devices) == sorted(devices)
    for one in found:
        assert one.config.devices
        assert one.elsewhere.keys() == devices.keys() - one.config.devices.keys()
    other = next(iter(found[0].config.devices))
    assert (found[1].elsewhere[other].agent, found[1].elsewhere[other].location) == ("gw-0", ("gw",))


def test_one_shard_is_none(tmp_path: Path) -> None:
    """`count: 1` means the same as nothing: id, devices and hash are the same."""
    devices = {"a": modbus("tcp://10.0.0.1"), "b": modbus("tcp://10.0.0.2")}
    without, one = loaded(tmp_path, devices), loaded(tmp_path, devices, {"index": 0, "count": 1})
    assert (one.config, one.hash, one.elsewhere) == (without.config, without.hash, {})
    assert one.config.agent.id == "gw"


@pytest.mark.parametrize(
    ("shard", "rest", "words"),
    [
        ({"index": 3, "count": 3}, {}, "shards count from 0"),
        ({"index": "${POD_INDEX}", "count": 2}, {"id": "g" * 63}, "at most 62 characters"),
        ({"index": "${POD}", "count": 3}, {}, "POD"),
        ({"index": "${POD_INDEX}", "count": 3}, {"publisher": {"client_id": "gw"}}, "connects as 'gw'"),
        (
            {"index": "${POD_INDEX}", "count": 3},
            {"publisher": {"encoder": {"type": "sparkplug_b", "group": "g", "edge_node": "n"}}},
            "the edge node g/n",
        ),
    ],
)
def test_what_cannot_be(tmp_path: Path, shard: object, rest: dict[str, Any], words: str) -> None:
    """An index out of range, an id without room for it, and a name that all shards would have are mistakes."""
    with pytest.raises(ConfigError, match=words):
        loaded(tmp_path, {"a": modbus("tcp://10.0.0.1")}, shard, **rest)


def test_a_name_with_the_index_in_it_is_each_ones_own(tmp_path: Path) -> None:
    """Out of the environment a client id may differ from shard to shard."""
    shard = {"index": "${POD_INDEX}", "count": 3}
    publisher = {"client_id": "gw-${POD_INDEX}", "encoder": {"type": "sparkplug_b", "group": "g"}}
    found = loaded(tmp_path, {"a": modbus("tcp://10.0.0.1")}, shard, publisher=publisher, pod="2")
    assert found.config.agent.id == "gw-2"


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ({"index": 0, "count": 3}, {"index": 0, "count": 4}, ["agent.shard.count"]),
        ({"index": 0, "count": 3}, {"index": 1, "count": 3}, ["agent.id", "agent.shard.index"]),
        (None, {"index": 0, "count": 2}, ["agent.id", "agent.shard.count"]),
    ],
)
def test_another_shard_needs_a_restart(tmp_path: Path, before: object, after: object, keys: list[str]) -> None:
    """A running agent refuses another `count` or `index`, by name."""
    devices = {"a": modbus("tcp://10.0.0.1")}
    found = difference(loaded(tmp_path, devices, before).config, loaded(tmp_path, devices, after).config)
    assert [str(change) for change in found.restart] == keys


def test_a_device_of_another_shard_changes_nothing_here(tmp_path: Path) -> None:
    """Only the hash tells that the files are others now; a device whose bus changes may come or go."""
    devices = {f"d{number}": modbus(f"tcp://10.0.0.{number}") for number in range(8)}
    here = loaded(tmp_path, devices, {"index": 0, "count": 2})
    theirs, ours = next(iter(here.elsewhere)), next(iter(here.config.devices))
    again = loaded(tmp_path, {**devices, theirs: {**devices[theirs], "interval": "5s"}}, {"index": 0, "count": 2})
    assert not difference(here.config, again.config)
    assert again.hash != here.hash
    other = devices[theirs]["url"]
    moved = loaded(tmp_path, {**devices, ours: {**modbus(other), "unit_id": 9}}, {"index": 0, "count": 2})
    assert list(difference(here.config, moved.config).devices_removed) == [ours]
    assert ours in moved.elsewhere
