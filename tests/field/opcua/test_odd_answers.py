"""Servers that leave fields empty, forget endpoints, refuse for a moment or list nonsense: connected all the same."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from asyncua import ua as library
from asyncua.common.connection import SecureConnection
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.subscription_service import SubscriptionService
from structlog.testing import capture_logs

from agent.core.errors import ConnectionLost, PermanentError, TransientError
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Plant, said
from tests.integration.opcua.support import BRISK, Notebook, collecting, config

ua: Any = library
A = {"a": f"nsu={URN};s=a"}


@pytest.mark.parametrize("elsewhere", ["told", "none", "refused"])
async def test_a_session_answer_without_endpoints(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    """Those of GetEndpoints count: some servers tell them only to who used the server's own name for itself.

    Where there are none either, and nothing but the open one is wanted, the session that was made is tried.
    """
    create, listed = InternalSession.create_session, InternalServer.get_endpoints
    creating = False

    async def forgetful(session: Any, parameters: Any, **keys: Any) -> Any:
        nonlocal creating
        creating = True
        result = await create(session, parameters, **keys)
        creating = False
        result.ServerEndpoints = []
        return result

    async def listing(server: Any, *args: Any, **keys: Any) -> Any:
        if creating or elsewhere == "told":
            return await listed(server, *args, **keys)
        if elsewhere == "none":
            return []
        raise ua.uaerrors.BadServiceUnsupported

    monkeypatch.setattr(InternalSession, "create_session", forgetful)
    monkeypatch.setattr(InternalServer, "get_endpoints", listing)
    async with collecting(plant.url, A) as notebook:
        await notebook.heard()
        assert notebook.newest("a") == 1.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("UserIdentityTokens", []),
        ("SecurityMode", ua.MessageSecurityMode.Invalid),
        ("EndpointUrl", ""),
        ("EndpointUrl", "OPC.TCP://HOST:4840"),
        ("EndpointUrl", "host:4840"),
        ("EndpointUrl", " opc.tcp:host"),
    ],
)
async def test_endpoints_that_say_little(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, field: str, value: object
) -> None:
    """Without a list of users anonymous is tried; an address that names no other transport is that of this server."""
    listed = InternalServer.get_endpoints

    async def sparse(server: Any, *args: Any, **keys: Any) -> Any:
        endpoints = copy.deepcopy(await listed(server, *args, **keys))
        for endpoint in endpoints:
            setattr(endpoint, field, value)
        return endpoints

    monkeypatch.setattr(InternalServer, "get_endpoints", sparse)
    async with collecting(plant.url, A) as notebook:
        await notebook.heard()
        assert notebook.newest("a") == 1.5


@pytest.mark.parametrize("nothing", [0.0, -1.0, float("nan")])
async def test_what_a_server_revises_to_nothing_is_what_was_asked_for(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, nothing: float
) -> None:
    """Session, channel, publishing, keep-alive, lifetime, queue: no hot loop, no connection that is given up."""
    session, subscription = InternalSession.create_session, SubscriptionService.create_subscription
    items, channel = InternalSession.create_monitored_items, SecureConnection.open
    whole = 0

    async def create_session(one: Any, parameters: Any, **keys: Any) -> Any:
        result = await session(one, parameters, **keys)
        result.RevisedSessionTimeout = nothing
        return result

    async def create_subscription(one: Any, *args: Any, **keys: Any) -> Any:
        result = copy.copy(await subscription(one, *args, **keys))
        result.RevisedPublishingInterval = nothing
        result.RevisedMaxKeepAliveCount = result.RevisedLifetimeCount = whole
        return result

    async def create_items(one: Any, parameters: Any) -> Any:
        results = await items(one, parameters)
        for result in results if one.external else ():
            result.RevisedSamplingInterval, result.RevisedQueueSize = nothing, whole
        return results

    def open_channel(one: Any, parameters: Any, server: Any) -> Any:
        opened.append(parameters.RequestType)
        result = copy.deepcopy(channel(one, parameters, server))
        result.SecurityToken.RevisedLifetime = whole
        return result

    opened: list[Any] = []
    monkeypatch.setattr(InternalSession, "create_session", create_session)
    monkeypatch.setattr(SubscriptionService, "create_subscription", create_subscription)
    monkeypatch.setattr(InternalSession, "create_monitored_items", create_items)
    monkeypatch.setattr(SecureConnection, "open", open_channel)
    async with collecting(plant.url, A, pace=BRISK._replace(pulse=10.0)) as notebook:
        await notebook.heard()
        (facts,) = notebook.note["subscriptions"]
        assert (facts["interval_ms"], facts["keep_alive"]) == (50.0, 10)
        assert notebook.note["revised"] in {0, 1}
        quiet = len(notebook.samples)
        await notebook.until(lambda: len(notebook.samples) >= quiet + 3)  # its keep-alives
        assert plant.largest_read
        assert len(opened) == 1


async def test_a_server_that_takes_one_node_at_a_time(plant: Plant) -> None:
    """Its limits, its state and its clock are learned all the same, one by one."""
    plant.most_reads = 1
    await plant.do(plant.tell(reads=1, items=1))
    async with collecting(plant.url, {**A, "state": "i=2259"}, mode="poll") as notebook:
        await notebook.heard()
        await notebook.until(lambda: "server_state" in notebook.note)
        note = notebook.note
        assert (note["server_state"], note["max_nodes_per_read"], note["chunk_read"]) == ("running", 1, 1)
        assert notebook.newest("a") == 1.5


async def test_a_server_that_breaks_off_a_read_of_a_few_nodes(plant: Plant) -> None:
    """What it says of itself is asked for in pieces, too, and how large they may be is known at the next connection."""
    context = SimpleContext()
    collector = config(plant.url, A, mode="poll").build("dev", context, BRISK)
    plant.fatal_reads = 2
    connections: list[int] = []  # the largest Read in each
    read = 0
    try:
        while read < 2:
            plant.largest_read = 0
            with contextlib.suppress(ConnectionLost):
                async with collector.open() as samples:
                    notebook = Notebook(list(A), samples, context)
                    await notebook.until(lambda: "server_state" in str(context.notes.get(("dev", "opcua"))))
                    await notebook.heard()
                    assert notebook.newest("a") == 1.5
                    read += 1
            connections.append(plant.largest_read)
    finally:
        plant.fatal_reads = None
    assert connections == [8, 4, 2, 2]


async def test_a_server_that_answers_for_some_of_the_items_only(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which items it made nobody knows: the next connection asks for fewer at once, and every tag has its values."""
    create = InternalSession.create_monitored_items
    asked: list[int] = []

    async def stingy(session: Any, parameters: Any) -> Any:
        results = await create(session, parameters)
        if session.external:
            asked.append(len(results))
        return results[:1] if session.external else results

    monkeypatch.setattr(InternalSession, "create_monitored_items", stingy)
    tags = {**A, "b": A["a"], "c": A["a"]}
    context = SimpleContext()
    collector = config(plant.url, tags).build("dev", context, BRISK)
    with pytest.raises(TransientError, match="1 answers for 3 monitored items"):
        async with collector.open() as samples:
            await anext(samples)
    async with collector.open() as samples:
        notebook = Notebook(list(tags), samples, context)
        await notebook.heard()
        assert all(notebook.newest(name) == 1.5 for name in tags)
    assert asked == [3, 1, 1, 1]


async def test_a_node_for_which_the_whole_read_is_refused(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that one is not known: limits, state and clock beside it are learned all the same."""
    read = InternalSession.read

    async def refusing(session: Any, parameters: Any) -> Any:
        if session.external and any(wanted.NodeId in {product, level} for wanted in parameters.NodesToRead):
            raise ua.uaerrors.BadInternalError
        return await read(session, parameters)

    product, level = ua.NodeId(2261), ua.NodeId(2267)
    monkeypatch.setattr(InternalSession, "read", refusing)
    await plant.do(plant.tell(reads=7, items=5))
    async with collecting(plant.url, A) as notebook:
        await notebook.heard()
        await notebook.until(lambda: "server_state" in notebook.note)
        note = notebook.note
        assert (note["server_state"], note["max_nodes_per_read"], note["max_items_per_call"]) == ("running", 7, 5)
        assert "product" not in note
        assert "service_level" not in note


@pytest.mark.parametrize("refusal", ["BadUserAccessDenied", "BadIdentityTokenRejected", "BadTcpEndpointUrlInvalid"])
async def test_a_moments_refusal_is_no_reason_to_stay_away(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    """A controller that is still loading its users is asked again within half a minute, and then it is fine."""
    booting = True
    activate = InternalSession.activate_session

    def activation(session: Any, *args: Any, **keys: Any) -> Any:
        if booting and session.external:
            raise getattr(ua.uaerrors, refusal)
        return activate(session, *args, **keys)

    monkeypatch.setattr(InternalSession, "activate_session", activation)
    collector = config(plant.url, A).build("dev", SimpleContext(), BRISK)
    with pytest.raises(TransientError, match=refusal) as caught:
        async with collector.open():
            pass
    assert not isinstance(caught.value, PermanentError)
    assert (caught.value.retry_after or 0) <= 30
    booting = False
    async with collector.open() as samples:
        await anext(samples)


@pytest.mark.parametrize("refusal", ["BadOutOfMemory", "BadInternalError", "BadTcpServerTooBusy"])
async def test_a_publish_that_is_refused_is_asked_again(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    """A server short of memory for a moment: the session stands, and the values go on."""
    publish = InternalSession.publish
    left = 3

    def short(session: Any, *args: Any) -> Any:
        nonlocal left
        if session.external and left:
            left -= 1
            raise getattr(ua.uaerrors, refusal)
        return publish(session, *args)

    monkeypatch.setattr(InternalSession, "publish", short)
    with capture_logs() as logs:
        async with collecting(plant.url, A) as notebook:
            await notebook.heard()
            await plant.do(plant.put("a", said(2.5)))
            await notebook.until(lambda: notebook.newest("a") == 2.5)
            assert not left
    refused = [line for line in logs if line["event"] == "opcua.publish_refused"]
    assert [refusal in line["reason"] for line in refused] == [True]
    assert plant.connections() <= 1


async def test_a_list_of_items_with_its_columns_exchanged(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """GetMonitoredItems tells handles first: nothing is lost, nothing created twice, nothing deleted."""
    asked: list[int] = []
    created: dict[int, int] = {}
    deleted: list[int] = []
    create, call, delete = (
        getattr(InternalSession, name) for name in ("create_monitored_items", "call", "delete_monitored_items")
    )

    async def creating(session: Any, parameters: Any) -> Any:
        results = await create(session, parameters)
        if session.external:
            handles = [item.RequestedParameters.ClientHandle for item in parameters.ItemsToCreate]
            created.update(zip([result.MonitoredItemId for result in results], handles, strict=True))
        return results

    async def calling(session: Any, methods: Any) -> Any:
        if methods[0].MethodId != ua.NodeId(11492):
            return await call(session, methods)
        asked.append(len(created))
        result = ua.CallMethodResult()
        result.OutputArguments = [
            ua.Variant(list(column), ua.VariantType.UInt32, is_array=True)
            for column in (created.values(), created.keys())
        ]
        return [result]

    async def deleting(session: Any, parameters: Any) -> Any:
        deleted.extend(parameters.MonitoredItemIds)
        return await delete(session, parameters)

    monkeypatch.setattr(InternalSession, "create_monitored_items", creating)
    monkeypatch.setattr(InternalSession, "call", calling)
    monkeypatch.setattr(InternalSession, "delete_monitored_items", deleting)
    tags = {**A, "b": A["a"], "c": A["a"]}
    async with collecting(plant.url, tags, pace=BRISK._replace(audit=0.05)) as notebook:
        await notebook.heard()
        await notebook.until(lambda: len(asked) >= 4)
        await plant.do(plant.put("a", said(7.5)))
        await notebook.until(lambda: all(notebook.newest(name) == 7.5 for name in tags))
        assert all([row[0] for row in notebook.said[name]] == [1.5, 7.5] for name in tags)
    assert asked[-1] == 3
    assert not deleted
    assert not notebook.losses
