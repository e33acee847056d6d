"""Of any two configurations: the difference is complete, and holds nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agent.collectors.modbus.config import ModbusConfig
from agent.config.diff import Change, DeviceChange, Difference, difference
from agent.config.fingerprint import fingerprint
from agent.config.model import AgentSettings, Config, LogSettings
from agent.publishers.mqtt.config import MqttConfig

TAG = st.fixed_dictionaries(
    {"address": st.sampled_from(["holding:0", "holding:1"])},
    optional={
        "scale": st.sampled_from([1, 1.0, 2]),
        "unit": st.just("bar"),
        "enum": st.sampled_from([{1: "a"}, {2: "b"}]),
        "deadband": st.sampled_from([1.0, {"percent": 5}, {"percent": 6}]),
    },
)
DEVICE = st.fixed_dictionaries(
    {"type": st.just("modbus"), "url": st.sampled_from(["tcp://192.0.2.1", "tcp://192.0.2.2"])},
    optional={
        "interval": st.sampled_from(["1s", "2s"]),
        "location": st.sampled_from([["gw"], ["x"]]),
        "tags": st.dictionaries(st.sampled_from("abc"), TAG, max_size=3),
        "batch": st.fixed_dictionaries({"max_delay": st.sampled_from(["0ms", "1s"])}),
    },
)
PUBLISHER = st.fixed_dictionaries(
    {"type": st.just("mqtt"), "url": st.just("mqtt://192.0.2.1")},
    optional={
        "window": st.sampled_from([20, 5]),
        "outbox": st.fixed_dictionaries({}, optional={"max_bytes": st.just("1MiB"), "disk": st.just("on_outage")}),
    },
)
CONFIG = st.builds(
    lambda agent, level, devices, publishers: Config(
        agent=AgentSettings.model_validate({"id": "gw", **agent}),
        log=LogSettings.model_validate(level),
        devices={name: ModbusConfig.model_validate(one) for name, one in devices.items()},
        publishers={name: MqttConfig.model_validate(one) for name, one in publishers.items()},
    ),
    st.fixed_dictionaries({}, optional={"location": st.sampled_from([["gw"], ["plant"]])}),
    st.fixed_dictionaries({}, optional={"level": st.sampled_from(["info", "debug"])}),
    st.dictionaries(st.sampled_from(["d1", "d2", "d3"]), DEVICE, max_size=3),
    st.dictionaries(st.sampled_from(["p1", "p2"]), PUBLISHER, max_size=2),
)


def raw(value: Any) -> Any:
    """Models as data, values as they are: 1 MiB is a number."""
    if isinstance(value, BaseModel):
        return {name: raw(one) for name, one in value}
    if isinstance(value, dict):
        return {name: raw(one) for name, one in value.items()}
    return value


def plain(config: Config) -> dict[str, Any]:
    """A configuration as data, with what is in force for each part."""
    data: dict[str, Any] = raw(config)
    for name in config.devices:
        data["devices"][name]["location"] = config.location_of(name)
    for name, publisher in config.publishers.items():
        data["publishers"][name]["outbox"] = raw(publisher.outbox or config.outbox)
    return data


def put(data: Any, changes: Iterable[Change]) -> None:
    """Set what changed to its new value."""
    for change in changes:
        found = data
        for step in change.key[:-1]:
            found = found[step]
        found[change.key[-1]] = raw(change.new)


def change_device(data: Any, change: DeviceChange, new: Any) -> None:
    """The same for one device."""
    put(data, change.changes)
    for tag in change.tags_removed:
        del data["tags"][tag]
    for tag in change.tags_added:
        data["tags"][tag] = new["tags"][tag]
    for tag, changes in change.tags_changed.items():
        put(data["tags"][tag], changes)


def applied(old: Config, new: Config, found: Difference) -> dict[str, Any]:
    """What comes of `old` when all that is in the difference is changed."""
    data, wanted = plain(old), plain(new)
    put(data, (*found.settings, *found.restart))
    for section in ("devices", "publishers"):
        for name in getattr(found, f"{section}_removed"):
            del data[section][name]
        for name in getattr(found, f"{section}_added"):
            data[section][name] = wanted[section][name]
    for name, device in found.devices_changed.items():
        change_device(data["devices"][name], device, wanted["devices"][name])
    for name, publisher in found.publishers_changed.items():
        put(data["publishers"][name], publisher.changes)
    return data


def text(data: Any) -> str:
    """To compare: 1 is not 1.0 here."""
    return json.dumps(data, sort_keys=True, default=str)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(CONFIG, CONFIG)
def test_a_difference_is_complete_and_nothing_else(old: Config, new: Config) -> None:
    """Applied to the old one it gives the new one, what is equal is not in it, and the way back is the reverse."""
    found, back = difference(old, new), difference(new, old)
    assert text(applied(old, new, found)) == text(plain(new))
    assert set(found.devices_added) == set(back.devices_removed)
    assert set(found.publishers_removed) == set(back.publishers_added)
    assert {change.key for change in found.settings} == {change.key for change in back.settings}
    assert bool(found) is (text(plain(old)) != text(plain(new)))
    assert found.restart == () or fingerprint(old) != fingerprint(new)
    assert not difference(new, new.model_copy(deep=True))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(CONFIG, CONFIG)
def test_equal_hashes_mean_no_difference(old: Config, new: Config) -> None:
    """Where nothing differs for the hash nothing is done."""
    if fingerprint(old) == fingerprint(new):
        assert not difference(old, new)
