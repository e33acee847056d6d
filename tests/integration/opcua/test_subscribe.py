from __future__ import annotations

import datetime as dt

import pytest
from asyncua import ua

from agent.collectors.opcua import plan
from agent.collectors.opcua.plan import ConnectionPace
from agent.core.errors import ConnectionLost
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant, said
from tests.integration.opcua.support import BRISK, Notebook, collecting, config


def stamped(value: int, second: int) -> ua.DataValue:
    return said(value, at=dt.datetime(2026, 1, 1, 0, 0, second, tzinfo=dt.UTC))


async def test_all_changes_between_two_notifications_arrive_in_order(shared: Plant) -> None:
    """Fifty changes within one publishing interval all come, oldest first, each with its own source time."""
    await shared.do(shared.add("burst", 0))
    tag = {"node": f"nsu={URN};s=burst", "queue_size": 100}
    async with collecting(shared.url, {"burst": tag}, interval="200ms") as notebook:
        await notebook.heard()
        await shared.do(shared.put("burst", *[stamped(number, number) for number in range(1, 51)]))
        await notebook.until(lambda: notebook.newest("burst") == 50)
    rows = notebook.said["burst"][1:]
    assert [row[0] for row in rows] == list(range(1, 51))
    first = 1767225600000
    assert [row[2] for row in rows] == [first + number * 1000 for number in range(1, 51)]


async def test_many_notifications_keep_their_order(shared: Plant) -> None:
    """With several Publish requests in flight nothing is swapped, lost or repeated."""
    await shared.do(shared.add("steps", 0))
    tags = {"steps": {"node": f"nsu={URN};s=steps", "queue_size": 1000, "interval": "10ms"}}
    async with collecting(shared.url, tags) as notebook:
        await notebook.heard()
        for number in range(1, 201):
            await shared.do(shared.put("steps", stamped(number, 1)))
        await notebook.until(lambda: notebook.newest("steps") == 200)
    assert [row[0] for row in notebook.said["steps"]] == list(range(201))


async def test_silence_is_confirmed(shared: Plant) -> None:
    """A quiet subscription yields empty samples: nothing has changed, and the server says so."""
    await shared.do(shared.add("quiet", 1))
    async with collecting(shared.url, {"quiet": f"nsu={URN};s=quiet"}) as notebook:
        await notebook.heard()
        await notebook.until(lambda: len([s for s in notebook.samples if not s.answers and s.outage is None]) >= 2)
        assert len(notebook.said["quiet"]) == 1


async def test_one_subscription_per_interval(shared: Plant) -> None:
    """Tags that share an interval share a subscription; `once` needs none, and leaving deletes them all."""
    before = shared.subscriptions()
    for name in ("fast", "slow", "plate"):
        await shared.do(shared.add(name, name))
    tags = {
        "fast": {"node": f"nsu={URN};s=fast", "interval": "20ms"},
        "fast_too": {"node": f"nsu={URN};s=quick", "interval": "20ms"},
        "slow": {"node": f"nsu={URN};s=slow", "interval": "100ms"},
        "plate": {"node": f"nsu={URN};s=plate", "interval": "once"},
    }
    async with collecting(shared.url, tags) as notebook:
        await notebook.heard()
        assert shared.subscriptions() == before + 2
        assert [notebook.newest(name) for name in ("fast", "slow", "plate")] == ["fast", "slow", "plate"]
        await shared.do(shared.put("plate", said("new")))
        await shared.do(shared.put("slow", said("new")))
        await notebook.until(lambda: notebook.newest("slow") == "new")
        assert len(notebook.said["plate"]) == 1
    assert (shared.subscriptions(), shared.sessions()) == (before, 0)


async def test_a_server_that_revises_the_rhythm_is_believed(shared: Plant, monkeypatch) -> None:
    """Keep-alive and interval as the server revised them decide when silence is a failure: no reconnect loop."""
    service = shared.server.iserver.subscription_service
    create = service.create_subscription

    async def revising(params, *rest, **more):
        params.RequestedPublishingInterval = 300
        params.RequestedMaxKeepAliveCount = 4
        return await create(params, *rest, **more)

    monkeypatch.setattr(service, "create_subscription", revising)
    await shared.do(shared.add("patient", 1))
    impatient = ConnectionPace(silence=0.05, pulse=5.0, again=5.0)
    async with collecting(
        shared.url, {"patient": f"nsu={URN};s=patient"}, pace=impatient, timeout="500ms", interval="50ms"
    ) as notebook:
        await notebook.until(lambda: len([sample for sample in notebook.samples if not sample.answers]) >= 2)
    assert notebook.said["patient"][0][0] == 1


async def test_a_tag_that_is_seldom_sampled_has_its_value_at_once(
    shared: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sampled every hour, published sooner: its first value, and its recovery, do not take an hour."""
    monkeypatch.setattr(plan, "_SLOWEST", 0.05)
    await shared.do(shared.add("seldom", 1))
    tags = {"seldom": {"node": f"nsu={URN};s=seldom", "interval": "1h"}}
    async with collecting(shared.url, tags) as notebook:
        await notebook.heard()
        assert config(shared.url, tags).points[0].sampling_ms == 3_600_000
        assert notebook.note["subscriptions"][0]["interval_ms"] == 50


async def test_a_queue_holds_what_comes_between_two_notifications_of_the_server(
    shared: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server that publishes less often than it was asked to; not where the configuration has the last word."""
    service = shared.server.iserver.subscription_service
    create = service.create_subscription

    async def slower(params, *rest, **more):
        params.RequestedPublishingInterval = 500
        return await create(params, *rest, **more)

    monkeypatch.setattr(service, "create_subscription", slower)
    for name in ("often", "given"):
        await shared.do(shared.add(name, 0))
    tags = {"often": {"node": f"nsu={URN};s=often"}, "given": {"node": f"nsu={URN};s=given", "queue_size": 2}}
    async with collecting(shared.url, tags, interval="50ms") as notebook:
        await notebook.heard()
        for name in tags:
            await shared.do(shared.put(name, *[stamped(number, number) for number in range(1, 11)]))
        await notebook.until(lambda: all(notebook.newest(name) == 10 for name in tags))
    assert [row[0] for row in notebook.said["often"]] == list(range(11))
    assert [row[0] for row in notebook.said["given"]][-2:] == [9, 10]
    assert len(notebook.said["given"]) < 11


async def test_an_overflowed_queue_is_a_declared_gap(shared: Plant) -> None:
    """The bit the server sets where its queue lost values becomes a loss of that tag, up to the value that has it."""
    await shared.do(shared.add("flood", 0))
    async with collecting(shared.url, {"flood": f"nsu={URN};s=flood"}) as notebook:
        await notebook.heard()
        last = dt.datetime.now(dt.UTC)
        await shared.do(shared.put("flood", said(7, status=0x480, at=last)))
        await notebook.until(lambda: notebook.newest("flood") == 7)
        (loss,) = notebook.losses
        assert loss.tags == (0,)
        assert loss.to_ts == int(last.timestamp() * 1000)
        assert notebook.status("flood") == 0x480


async def test_what_changed_without_a_connection_is_a_declared_gap(hall: Hall) -> None:
    """From the last word of the old subscription to the first of the new one: declared once, for the device."""
    plant = await hall.plant()
    await plant.do(plant.add("a", 1))
    made, context = config(plant.url, {"a": f"nsu={URN};s=a"}), SimpleContext()
    collector = made.build("dev", context, BRISK)
    begun = context.clock.now_ms()
    async with collector.open() as samples:
        first = Notebook(["a"], samples, context)
        await first.heard()
        await plant.do(plant.close_listener())
        with pytest.raises(ConnectionLost):
            await first.until(lambda: False)
    assert not first.losses
    lost = context.clock.now_ms()
    await plant.do(plant.put("a", said(2)))
    with pytest.raises(ConnectionLost):
        async with collector.open():
            pass
    await plant.do(plant.open_listener())
    async with collector.open() as samples:
        second = Notebook(["a"], samples, context)
        await second.until(lambda: second.said["a"] and second.losses)
    (loss,) = second.losses
    assert begun <= loss.from_ts <= lost <= loss.to_ts <= max(sample.ts for sample in second.samples)
    assert loss.tags is None
    await hall.stop(plant)


async def test_the_server_leaves_out_small_changes_where_it_is_asked_to(shared: Plant) -> None:
    """`server_deadband` is the server's affair; a server that refuses the filter reports every change."""
    for name in ("calm", "text"):
        await shared.do(shared.add(name, 1.0 if name == "calm" else "a"))
    tags = {
        "calm": {"node": f"nsu={URN};s=calm", "server_deadband": 1.0, "queue_size": 50},
        "percent": {"node": f"nsu={URN};s=calm", "server_deadband": {"percent": 10}, "queue_size": 50},
        "text": {"node": f"nsu={URN};s=text", "trigger": "timestamp"},
    }
    quick = ConnectionPace(silence=0.5, pulse=0.5, again=0.1, session=30.0, close=1.0, audit=0.05)
    async with collecting(shared.url, tags, pace=quick) as notebook:
        await notebook.heard()
        await shared.do(shared.put("calm", said(1.5), said(3.0), said(3.1), said(5.0)))
        await notebook.until(lambda: notebook.newest("calm") == 5.0 and notebook.newest("percent") == 5.0)
        assert [row[0] for row in notebook.said["calm"]] == [1.0, 3.0, 5.0]
        assert notebook.note["unfiltered"] in {0, 1}
        await shared.do(shared.put("text", stamped(7, 1), stamped(7, 2)))
        await notebook.until(lambda: len(notebook.said["text"]) == 3)
    assert not notebook.losses, "the audit found nothing amiss"
