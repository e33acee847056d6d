"""Servers with few places: more subscriptions while there are any, the rest is polled; and no service at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.server.internal_session import InternalSession
from structlog.testing import capture_logs

from agent.core.errors import ConnectionLost
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import BRISK, Notebook, collecting, config

ua: Any = library
TAGS = {f"t{number}": f"nsu={URN};s=a" for number in range(10)}


def crowd(monkeypatch: pytest.MonkeyPatch, *, items: int, subscriptions: int, whole: bool) -> Callable[[], int]:
    """At most so many items in a subscription, and so many of these; `whole`: what is too much is refused as such."""
    held: dict[int, int] = {}
    room = {"subscriptions": subscriptions}
    create, subscribe, end = (
        getattr(InternalSession, name)
        for name in ("create_monitored_items", "create_subscription", "delete_subscriptions")
    )

    async def creating(session: Any, parameters: Any) -> Any:
        if not session.external:
            return await create(session, parameters)
        wanted = list(parameters.ItemsToCreate)
        free = items - held.get(parameters.SubscriptionId, 0)
        if whole and len(wanted) > free:
            raise ua.uaerrors.BadTooManyMonitoredItems
        parameters.ItemsToCreate = wanted[:free]
        results = await create(session, parameters) if free else []
        held[parameters.SubscriptionId] = held.get(parameters.SubscriptionId, 0) + len(results)
        full = ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(ua.StatusCodes.BadTooManyMonitoredItems))
        return [*results, *[full] * (len(wanted) - len(results))]

    async def subscribing(session: Any, *args: Any, **keys: Any) -> Any:
        if session.external:
            if not room["subscriptions"]:
                raise ua.uaerrors.BadTooManySubscriptions
            room["subscriptions"] -= 1
        return await subscribe(session, *args, **keys)

    async def ending(session: Any, ids: Any) -> Any:
        room["subscriptions"] += len(ids) if session.external else 0
        return await end(session, ids)

    monkeypatch.setattr(InternalSession, "create_monitored_items", creating)
    monkeypatch.setattr(InternalSession, "create_subscription", subscribing)
    monkeypatch.setattr(InternalSession, "delete_subscriptions", ending)
    return lambda: sum(held.values())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("subscriptions", "polled"), [(9, 0), (2, 2), (0, 10)])
async def test_tags_find_a_place_all_the_same(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, subscriptions: int, polled: int, whole: bool
) -> None:
    """Four items a subscription: as many subscriptions as it takes, then polling; every tag is good and follows."""
    monitored = crowd(monkeypatch, items=4, subscriptions=subscriptions, whole=whole)
    with capture_logs() as logs:
        async with collecting(plant.url, TAGS) as notebook:
            await notebook.heard()
            await notebook.until(lambda: "polled" in notebook.note)
            assert notebook.note["polled"] == polled
            assert len(notebook.note["subscriptions"]) == min(subscriptions, 3)
            await plant.do(plant.put("a", said(8.5)))
            await notebook.until(lambda: all(notebook.newest(name) == 8.5 for name in TAGS))
            assert {notebook.status(name) for name in TAGS} == {0}
    assert monitored() == len(TAGS) - polled
    assert [line["event"] for line in logs if line["event"] == "opcua.polled"] == ["opcua.polled"] * bool(polled)


@pytest.mark.parametrize("refusal", ["BadServiceUnsupported", "BadNotImplemented"])
async def test_a_server_without_subscriptions_is_polled(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    """It is said once; events cannot be had, and are bad."""

    async def refusing(session: Any, *_args: Any, **_keys: Any) -> Any:
        raise getattr(ua.uaerrors, refusal)

    monkeypatch.setattr(InternalSession, "create_subscription", refusing)
    with capture_logs() as logs:
        async with collecting(plant.url, {"a": TAGS["t0"]}, events={"alarms": {}}) as notebook:
            await notebook.heard()
            await plant.do(plant.put("a", said(8.5)))
            await notebook.until(lambda: notebook.newest("a") == 8.5)
            assert notebook.status("alarms") >= 0x80000000
    assert [line["reason"] for line in logs if line["event"] == "opcua.polled"] == [
        f"creating a subscription: the server says {refusal}"
    ]


async def test_a_server_that_publishes_nothing_is_polled(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes subscriptions and items, and knows no Publish: one connection shows it, the next one polls."""

    def refusing(session: Any, *_args: Any) -> Any:
        raise ua.uaerrors.BadServiceUnsupported

    monkeypatch.setattr(InternalSession, "publish", refusing)
    context = SimpleContext()
    collector = config(plant.url, {"a": TAGS["t0"]}).build("dev", context, BRISK)
    async with collector.open() as samples:
        with pytest.raises(ConnectionLost, match="polled from now on"):
            await Notebook(["a"], samples, context).until(lambda: False)
    async with collector.open() as samples:
        notebook = Notebook(["a"], samples, context)
        await notebook.heard()
        await plant.do(plant.put("a", said(8.5)))
        await notebook.until(lambda: notebook.newest("a") == 8.5)


@pytest.mark.parametrize(("mode", "refusal"), [("poll", "BadOutOfMemory"), ("subscribe", "BadInvalidArgument")])
async def test_what_is_too_much_at_once_is_refused_with_any_word(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, mode: str, refusal: str
) -> None:
    """Limits that are not told, and a status that blames nothing: every tag has its value, in parts that are taken."""
    sizes: list[int] = []
    for name, field in (("read", "NodesToRead"), ("create_monitored_items", "ItemsToCreate")):
        serve = getattr(InternalSession, name)

        async def few(session: Any, parameters: Any, serve: Any = serve, field: str = field) -> Any:
            if session.external:
                sizes.append(len(getattr(parameters, field)))
                if sizes[-1] > 3:
                    raise getattr(ua.uaerrors, refusal)
            return await serve(session, parameters)

        monkeypatch.setattr(InternalSession, name, few)
    async with collecting(plant.url, TAGS, mode=mode) as notebook:
        await notebook.heard()
        assert all([row[0] for row in notebook.said[name]][:1] == [1.5] for name in TAGS)
        sizes.clear()
        await plant.do(plant.put("a", said(2.5)))
        await notebook.until(lambda: all(notebook.newest(name) == 2.5 for name in TAGS))
        assert all(size <= 3 for size in sizes)


@pytest.mark.parametrize("refusal", ["BadOutOfMemory", "BadInternalError"])
async def test_what_is_not_monitored_for_whatever_reason_is_polled(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    """A server that is full says so with other words, too, or monitors no such node: its value can be read."""
    create, made = InternalSession.create_monitored_items, 0

    async def creating(session: Any, parameters: Any) -> Any:
        nonlocal made
        results = await create(session, parameters)
        for at in range(len(results)) if session.external else ():
            made += 1
            if made > 4:
                results[at] = ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(getattr(ua.StatusCodes, refusal)))
        return results

    monkeypatch.setattr(InternalSession, "create_monitored_items", creating)
    with capture_logs() as logs:
        async with collecting(plant.url, TAGS) as notebook:
            await notebook.heard()
            assert {row[0] for name in TAGS for row in notebook.said[name]} == {1.5}
            await plant.do(plant.put("a", said(2.5)))
            await notebook.until(lambda: all(notebook.newest(name) == 2.5 for name in TAGS))
    assert [line["count"] for line in logs if line["event"] == "opcua.polled"] == [6]
