from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.common.limits import MOST, UNTOLD, ChunkLimit, chunk_limit
from agent.collectors.opcua.address.namespaces import Namespaces
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.plan import ConnectionPace, TagPoint, allowed_silence, names_of, rhythm
from agent.collectors.opcua.profiles import profile_of
from agent.collectors.opcua.tag import OpcUaTag
from agent.collectors.opcua.tags.nodes import MissingTags, resolve
from agent.core.quality import BAD_NODE_ID_UNKNOWN


def tag(**keys: object) -> OpcUaTag:
    return OpcUaTag.model_validate({"node": "i=1", **keys})


@pytest.mark.parametrize(("told", "size"), [(None, UNTOLD), (0, MOST), (5, 5), (500, 500), (10_000, MOST), (-1, MOST)])
def test_a_chunk_is_what_the_server_takes_and_no_more_than_is_good(told: int | None, size: int) -> None:
    """Told limits are kept; no limit, or a huge one, still means pieces that do not stall the loop."""
    assert chunk_limit(told) == size


def test_a_refused_size_is_halved_and_remembered() -> None:
    """Down to one; a single node cannot become smaller, and a limit never grows."""
    limit = ChunkLimit(0)
    assert limit.refused(300)
    assert limit.size == 150
    assert limit.refused(400)
    assert limit.size == 150
    assert not limit.refused(1)
    assert limit.refused(3)
    assert limit.size == 1


@given(st.floats(0.01, 3600), st.floats(0.1, 60))
def test_a_subscription_outlives_its_keep_alives(interval: float, silence: float) -> None:
    """Lifetime is at least three keep-alives; a quiet one is heard of within max(silence, 3 intervals)."""
    wanted = rhythm(interval, ConnectionPace(silence=silence))
    interval = min(interval, 10.0)
    assert wanted.interval_ms == interval * 1000
    assert wanted.lifetime >= 3 * wanted.keep_alive >= 3
    span = wanted.keep_alive * interval
    assert max(silence, 3 * interval) - 1e-6 <= span <= max(silence, 3 * interval) + interval + 1e-6
    assert allowed_silence(wanted.interval_ms, wanted.keep_alive, 5.0) >= span * 1.5


@pytest.mark.parametrize(
    ("keys", "interval", "expected"),
    [
        ({}, 1.0, (1000.0, 2)),
        ({"sampling_interval": "100ms"}, 0.5, (100.0, 10)),
        ({"sampling_interval": "300ms"}, 1.0, (300.0, 8)),
        ({"sampling_interval": "2s"}, 1.0, (2000.0, 2)),
        ({"sampling_interval": "0ms"}, 1.0, (0.0, 200)),
        ({"sampling_interval": "1ms"}, 3600.0, (1.0, 1000)),
        ({"sampling_interval": "100ms", "queue_size": 3}, 1.0, (100.0, 3)),
    ],
)
def test_a_queue_holds_twice_what_sampling_brings(
    keys: dict[str, object], interval: float, expected: tuple[float, int]
) -> None:
    """Unless its size is given; never without bounds."""
    made = tag(**keys).point(0, "a", interval)
    assert (made.sampling_ms, made.queue_size) == expected


def test_points_are_the_enabled_tags() -> None:
    """Positions count over all tags; `once` and the default take the device's interval for sampling."""
    tags = {"a": tag(), "b": tag(enabled=False), "c": tag(interval="once")}
    made = OpcUaConfig.model_validate({"type": "opcua", "url": "opc.tcp://h", "interval": "2s", "tags": tags})
    points = made.points
    assert list(points) == [0, 2]
    assert points[2].sampling_ms == 2000.0


def point(position: int, namespace: int | str = 0) -> TagPoint:
    return TagPoint(position, f"tag{position}", NodeAddress(namespace, position), 100.0, 2)


def test_unknown_namespaces_are_told_apart() -> None:
    """What can be asked for, with its index, and what cannot, with the reason."""
    known, _, unknown = resolve([point(0), point(1, "urn:a"), point(2, "urn:b")], Namespaces(["urn:0", "urn:b"]))
    assert known == [(point(0), 0), (point(2, "urn:b"), 1)]
    assert [(missing.position, code) for missing, code, _ in unknown] == [(1, BAD_NODE_ID_UNKNOWN)]
    assert "urn:a" in unknown[0][2]


def test_a_missing_tag_is_said_once_and_again_when_it_is_bad_otherwise() -> None:
    """Bad once per cause; found, it is forgotten, so that it can go missing again."""
    missing = MissingTags()
    answer = missing.add([(point(3), 0x80340000, "x"), (point(1), 0x80340000, "y")], 7)
    assert answer is not None
    assert (answer.tags, answer.values, answer.status, answer.ts) == ((1, 3), [None, None], [0x80340000] * 2, 7)
    assert answer.reason == {0: "y", 1: "x"}
    assert missing.add([(point(3), 0x80340000, "x")], 8) is None
    again = missing.add([(point(3), 0x803B0000, "x")], 9)
    assert again is not None
    assert again.tags == (3,)
    assert [each.position for each in missing.points] == [1, 3]
    assert missing.found([point(3), point(5)]) == [point(3)]
    assert len(missing) == 1
    assert missing.add([(point(3), 0x803B0000, "x")], 9) is not None


def test_long_lists_of_names_are_cut() -> None:
    """Logs stay short."""
    assert names_of([point(0)]) == ["tag0"]
    assert names_of([point(number) for number in range(13)])[-2:] == ["tag9", "and 3 more"]


def test_what_is_known_of_a_server_stands_beside_what_it_tells() -> None:
    """The smaller counts; where nothing is told, what is known of its kind."""
    assert [chunk_limit(told, 100) for told in (None, 0, 1000, 50)] == [100, 100, 100, 50]
    assert chunk_limit(None, 2000) == MOST


def test_a_size_that_costs_connections_is_halved() -> None:
    """At once where it was never answered, after two in a row where it was; one outage proves nothing."""
    limit = ChunkLimit(400)
    limit.lost(400)
    limit.told(400)
    assert limit.size == 200
    limit.answered(200)
    for _ in range(3):
        limit.lost(200)
        limit.told(400)
        assert limit.size == 200
        limit.answered(200)
    limit.lost(200)
    limit.lost(200)
    limit.told(400)
    assert limit.size == 100
    limit.lost(1)
    limit.told(400)
    assert limit.size == 100


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["urn:SIMATIC.S7-1500.OPC-UA.Application:PLC_1", "Siemens AG"], "S7-1500"),
        (["SIMATIC S7-1200", "Siemens AG"], "S7-1200"),
        (["KEPServerEX v6.11", "PTC"], "Kepware"),
        (["Ignition OPC-UA Server", "Inductive Automation"], "Ignition"),
        (["urn:host:NodeOPCUA-Server", "NodeOPCUA"], "node-opcua"),
        (["open62541 OPC UA Server"], None),
        ([], None),
    ],
)
def test_servers_are_known_by_what_they_say_of_themselves(words: list[str], name: str | None) -> None:
    """Product, manufacturer, application URI, in any spelling."""
    profile = profile_of(words)
    assert (None if profile is None else profile.name) == name
