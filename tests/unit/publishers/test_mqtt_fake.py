"""Against a scripted broker: what a real one cannot be made to say."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.core.errors import ConnectionLost, PermanentError, Refused, Rejected, TransientError
from agent.core.flow import Message
from agent.core.ports import Publisher, Session
from agent.publishers.mqtt import reasons
from agent.publishers.mqtt.config import MqttConfig
from agent.testing.context import SimpleContext
from tests.support.mqtt_broker import FakeBroker, Publish, Script
from tests.support.mqtt_packets import packet, properties
from tests.support.waiting import eventually, never

WILL = Message(topic="w/status", payload=b"offline", retain=True)


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    async with FakeBroker().serve() as running:
        yield running
    gc.collect()  # futures whose exception nobody looked at complain when they go
    assert not complaints


def publisher(broker: FakeBroker, **keys: object) -> Publisher:
    config = {"type": "mqtt", "url": broker.url, "connect_timeout": "5s", **keys}
    return MqttConfig.model_validate(config).build("plant", SimpleContext(agent="gw-01"))


def message(topic: str = "t/1", payload: bytes = b"x", **keys: object) -> Message:
    return Message(topic=topic, payload=payload, **keys)  # type: ignore[arg-type]


async def opening(broker: FakeBroker, **keys: object) -> BaseException:
    """What opening raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what the caller looks at
        async with publisher(broker, **keys).open(WILL, []):
            pass
    return caught.value


# --- CONNECT ----------------------------------------------------------------------------------------------------------


async def test_connect_says_what_is_configured(broker: FakeBroker, tmp_path) -> None:
    """Client id, clean start, credentials read from the file, keep-alive and will are in CONNECT."""
    (tmp_path / "secret").write_text("s3cret\n")
    made = publisher(broker, username="gw", password_file=str(tmp_path / "secret"), keep_alive="20s")
    async with made.open(WILL, []):
        said = broker.connects[-1]
        assert (said.client_id, said.clean, said.keep_alive, said.version) == ("gw-01-plant", True, 20, "5")
        assert (said.username, said.password) == ("gw", "s3cret")
        assert (said.will_topic, said.will_payload, said.will_qos, said.will_retain) == (
            "w/status",
            b"offline",
            1,
            True,
        )
    (tmp_path / "secret").write_text("rotated")
    async with made.open(None, []):
        assert broker.connects[-1].password == "rotated"
        assert broker.connects[-1].will_topic is None


async def test_the_user_name_may_come_from_a_file(broker: FakeBroker, tmp_path) -> None:
    """Both are read at every connection: they are rotated together."""
    files = {"username_file": tmp_path / "user", "password_file": tmp_path / "secret"}
    made = publisher(broker, **{key: str(path) for key, path in files.items()})
    for user in ("one", "two"):
        files["username_file"].write_text(f"{user}\n")
        files["password_file"].write_text(f"of {user}\n")
        async with made.open(None, []):
            assert (broker.connects[-1].username, broker.connects[-1].password) == (user, f"of {user}")
    files["username_file"].unlink()
    with pytest.raises(TransientError, match=r"username_file .*user: "):
        async with made.open(None, []):
            pass


async def test_a_missing_password_file_is_named(broker: FakeBroker, tmp_path) -> None:
    """A password file that cannot be read is a transient error that names it."""
    error = await opening(broker, username="gw", password_file=str(tmp_path / "absent"))
    assert isinstance(error, TransientError)
    assert "absent" in str(error)
    assert not broker.connects


@pytest.mark.parametrize("code", [code for code in reasons.CONNACK if code])
async def test_every_connack_code_has_its_reaction(broker: FakeBroker, code: int) -> None:
    """Each row of the CONNACK table raises what it says, with the retry it names."""
    broker.script = Script(connack=code, connack_properties=properties(reason="because"))
    error = await opening(broker, version="5")
    row = reasons.CONNACK[code]
    assert row.text in str(error)
    assert "because" in str(error) or code == 0x99  # paho cannot read that one
    if row.kind == "permanent":
        assert isinstance(error, PermanentError)
    else:
        assert isinstance(error, TransientError)
        assert isinstance(error, ConnectionLost) is (row.kind == "lost")
        assert error.retry_after == row.retry_after


@pytest.mark.parametrize(("old", "new"), [(1, 0x84), (2, 0x85), (3, 0x88), (4, 0x86), (5, 0x87)])
async def test_return_codes_of_3_1_1_mean_the_same(broker: FakeBroker, old: int, new: int) -> None:
    """A 3.1.1 CONNACK is judged by the row of the MQTT 5 code of the same meaning."""
    broker.script = Script(connack=old)
    error = await opening(broker, version="3.1.1")
    assert reasons.CONNACK[new].text in str(error)
    assert isinstance(error, TransientError)
    assert error.retry_after == reasons.CONNACK[new].retry_after


@pytest.mark.parametrize(("code", "qos", "retain"), [(0x9A, 1, False), (0x9B, 0, True)])
async def test_what_the_broker_cannot_is_left_out_next_time(
    broker: FakeBroker, code: int, qos: int, retain: bool
) -> None:
    """After 0x9A and 0x9B the next CONNECT comes without retain, or with QoS 0."""
    made = publisher(broker)
    broker.script = Script(connack=code)
    with pytest.raises(ConnectionLost):
        async with made.open(WILL, []):
            pass
    broker.script = Script()
    async with made.open(WILL, []) as session:
        assert (broker.connects[-1].will_qos, broker.connects[-1].will_retain) == (qos, retain)
        await asyncio.wait_for(await session.send([message(retain=True)]), 30)
    assert (broker.published[-1].qos, broker.published[-1].retain) == (qos, retain)


# --- version ----------------------------------------------------------------------------------------------------------


async def test_a_broker_without_mqtt_5_gets_3_1_1(broker: FakeBroker) -> None:
    """CONNACK 0x84 leads to 3.1.1 at once, and the next connection tries 5 again."""
    broker.script = Script(speaks=("3.1.1",))
    made = publisher(broker)
    for _ in range(2):
        async with made.open(WILL, []) as session:
            assert session.limits.protocol == "3.1.1"
            await asyncio.wait_for(await session.send([message(content_type="a/b", properties=[("a", "b")])]), 30)
    assert [one.version for one in broker.connects] == ["5", "3.1.1"] * 2
    assert broker.published[-1].payload == b"x"


async def test_three_silent_closes_lead_to_3_1_1(broker: FakeBroker) -> None:
    """Two closes without CONNACK are a lost connection; the third tries 3.1.1, where that is accepted."""
    broker.script = Script(hang_up=("5",))
    made = publisher(broker)
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="without an answer"):
            async with made.open(WILL, []):
                pass
    assert {one.version for one in broker.connects} == {"5"}
    async with made.open(WILL, []) as session:
        assert session.limits.protocol == "3.1.1"
    broker.script = Script()
    async with made.open(WILL, []) as session:
        assert session.limits.protocol == "5"


async def test_a_broker_that_always_hangs_up_is_no_fallback(broker: FakeBroker) -> None:
    """Where 3.1.1 is not accepted either, the connection is lost, and no fallback is claimed."""
    broker.script = Script(hang_up=("5", "3.1.1"))
    made = publisher(broker)
    for _ in range(4):
        with pytest.raises(ConnectionLost, match="without an answer"):
            async with made.open(WILL, []):
                pass
    tried = [(one.version, one.will_retain) for one in broker.connects]
    both = [("5", True), ("3.1.1", True), ("5", False), ("3.1.1", False)]  # … and without retaining the will
    assert tried == [("5", True), ("5", True), *both, *both]


async def test_a_given_version_is_not_changed(broker: FakeBroker) -> None:
    """`version: "5"` never falls back."""
    broker.script = Script(speaks=("3.1.1",))
    error = await opening(broker, version="5")
    assert "version" in str(error)
    assert [one.version for one in broker.connects] == ["5"]


# --- the window -------------------------------------------------------------------------------------------------------


async def test_receive_maximum_is_never_exceeded(broker: FakeBroker) -> None:
    """With Receive Maximum 5 and a window of 20, never more than five are unacknowledged."""
    broker.script = Script(connack_properties=properties(receive_maximum=5), hold=True)
    async with publisher(broker).open(None, []) as session, asyncio.TaskGroup() as group:
        assert session.limits.window == 5
        task = group.create_task(session.send([message(payload=str(n).encode()) for n in range(12)]))
        await eventually(lambda: len(broker.waiting) == 5)
        await never(lambda: len(broker.waiting) > 5, 0.1)
        while len(broker.published) < 12:
            count = len(broker.published)
            broker.ack(broker.waiting[0])
            await eventually(partial(lambda count: len(broker.published) > count, count))
        future = await task
        for one in reversed(broker.waiting):
            broker.ack(one)
        await asyncio.wait_for(future, 30)
        assert broker.most_outstanding == 5
        assert [one.payload for one in broker.published] == [str(n).encode() for n in range(12)]


async def test_acknowledgements_come_in_any_order(broker: FakeBroker) -> None:
    """Each future completes with its own PUBACK."""
    broker.script = Script(hold=True)
    async with publisher(broker).open(None, []) as session:
        futures = [await session.send([message(f"t/{n}")]) for n in range(4)]
        await eventually(lambda: len(broker.waiting) == 4)
        for n in (2, 0, 3, 1):
            assert not futures[n].done()
            broker.ack(next(one for one in broker.waiting if one.topic == f"t/{n}"))
            await asyncio.wait_for(futures[n], 30)


async def test_qos_0_is_done_when_written(broker: FakeBroker) -> None:
    """QoS 0 has no PUBACK: the future completes when the message is on its way, and the window holds."""
    async with publisher(broker, window=2).open(None, []) as session:
        futures = [await session.send([message(f"t/{n}", qos=0)]) for n in range(10)]
        await asyncio.wait_for(asyncio.gather(*futures), 30)
        await eventually(lambda: len(broker.published) == 10)


async def test_maximum_qos_0_is_honoured(broker: FakeBroker) -> None:
    """A broker with Maximum QoS 0 and no retained messages gets neither."""
    broker.script = Script(connack_properties=properties(max_qos=0, retain_available=0))
    async with publisher(broker).open(None, []) as session:
        await asyncio.wait_for(await session.send([message(retain=True)]), 30)
        await eventually(lambda: len(broker.published) == 1)
    assert (broker.published[0].qos, broker.published[0].retain) == (0, False)


async def test_nothing_is_sent_above_maximum_packet_size(broker: FakeBroker) -> None:
    """A packet of the limit goes; one byte more is rejected before it is sent."""
    broker.script = Script(connack_properties=properties(max_packet=200))
    async with publisher(broker).open(None, []) as session:
        assert session.limits.max_packet_bytes == 200
        await asyncio.wait_for(await session.send([message(payload=b"x" * 80, properties=[("k", "v" * 100)])]), 30)
        exact = 80 + 200 - broker.published[0].size
        fits = message(payload=b"x" * exact, properties=[("k", "v" * 100)])
        await asyncio.wait_for(await session.send([fits]), 30)
        assert broker.published[1].size == 200
        future = await session.send([message(payload=b"x" * (exact + 1), properties=[("k", "v" * 100)])])
        with pytest.raises(Rejected, match="201 bytes"):
            await future
        assert len(broker.published) == 2


@pytest.mark.parametrize("topic", ["", "a/+/b", "a/#", "a\0b"])
async def test_an_impossible_topic_is_rejected(broker: FakeBroker, topic: str) -> None:
    """A topic no broker takes is rejected, and the session lives on."""
    async with publisher(broker).open(None, []) as session:
        with pytest.raises(Rejected):
            await (await session.send([message(topic)]))
        await asyncio.wait_for(await session.send([message()]), 30)


# --- PUBACK and DISCONNECT --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", reasons.PUBACK)
async def test_every_puback_code_has_its_reaction(broker: FakeBroker, code: int) -> None:
    """Each row of the PUBACK table completes or fails the future as it says; only 0x91 ends the session."""
    row = reasons.PUBACK[code]
    broker.script = Script(puback=lambda one: code if one.topic == "t/bad" else 0)
    async with publisher(broker).open(None, []) as session:
        future = await session.send([message("t/bad")])
        if row.kind == "accepted":
            await asyncio.wait_for(future, 30)
        else:
            with pytest.raises((Rejected, TransientError)) as caught:
                await asyncio.wait_for(future, 30)
            assert isinstance(caught.value, Rejected) is (row.kind == "rejected")
            assert getattr(caught.value, "attempts", None) == row.attempts
            assert isinstance(caught.value, Refused) is (row.kind == "refused")
            assert isinstance(caught.value, ConnectionLost) is (row.kind == "lost")
            assert getattr(caught.value, "retry_after", None) == row.retry_after
        if row.kind == "lost":
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(session.closed(), 30)
        else:
            await asyncio.wait_for(await session.send([message("t/good")]), 30)


async def test_an_unknown_puback_code_is_a_refusal(broker: FakeBroker) -> None:
    """A failure code no standard lists refuses the message and keeps the session."""
    broker.script = Script(puback=0xB7)
    async with publisher(broker).open(None, []) as session:
        with pytest.raises(TransientError):
            await asyncio.wait_for(await session.send([message()]), 30)
        broker.script = Script()
        await asyncio.wait_for(await session.send([message()]), 30)


async def test_one_refused_part_fails_the_bundle(broker: FakeBroker) -> None:
    """A bundle fails with its first refusal, and room is given back for all its parts."""
    broker.script = Script(puback=lambda one: 0x99 if one.topic == "t/2" else 0)
    async with publisher(broker, window=2).open(None, []) as session:
        with pytest.raises(Rejected):
            await asyncio.wait_for(await session.send([message(f"t/{n}") for n in range(4)]), 30)
        for _ in range(5):
            await asyncio.wait_for(await session.send([message("t/9")]), 30)


@pytest.mark.parametrize("code", reasons.DISCONNECT)
async def test_every_disconnect_code_has_its_reaction(broker: FakeBroker, code: int) -> None:
    """Each row of the DISCONNECT table is what `closed` raises; what is in flight fails as ConnectionLost."""
    broker.script = Script(hold=True)
    async with publisher(broker).open(WILL, []) as session:
        future = await session.send([message()])
        broker.disconnect(code)
        with pytest.raises(TransientError) as caught:
            await asyncio.wait_for(session.closed(), 30)
        row = reasons.DISCONNECT[code]
        assert row.text in str(caught.value)
        assert caught.value.retry_after == row.retry_after
        with pytest.raises(ConnectionLost):
            await future
        with pytest.raises(TransientError):
            await session.send([message()])


async def test_receive_maximum_exceeded_halves_the_window(broker: FakeBroker) -> None:
    """After DISCONNECT 0x93 the next session uses half the window."""
    made = publisher(broker, window=20)
    async with made.open(None, []) as session:
        broker.disconnect(0x93)
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(session.closed(), 30)
    async with made.open(None, []) as session:
        assert session.limits.window == 10


async def test_packet_too_large_teaches_a_limit(broker: FakeBroker) -> None:
    """After DISCONNECT 0x95 the next session has a packet limit below what was in flight, so records are split."""
    made = publisher(broker)
    broker.script = Script(hold=True)
    async with made.open(None, []) as session:
        await session.send([message(payload=b"x" * 9000)])
        await eventually(lambda: broker.waiting)
        broker.disconnect(0x95)
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(session.closed(), 30)
    async with made.open(None, []) as session:
        assert 4000 < (session.limits.max_packet_bytes or 0) < 9000


@pytest.mark.parametrize(("size", "limit"), [(9000, 4505), (5000, 3011)])
async def test_a_refusal_for_size_is_heard_from_a_broker_that_closes_behind_it(
    broker: FakeBroker, size: int, limit: int
) -> None:
    """PUBACK 0x95, then a reset that we meet when we write: the refused size limits the next session.

    Half of it, or what the broker has taken.
    """
    made = publisher(broker)
    async with made.open(None, ["t/#"]) as session:

        def refuse(one: Publish) -> int | None:
            if len(one.payload) < size:
                return 0
            broker.ack(one, 0x95)
            broker.reset()
            with pytest.raises(StopIteration):  # it need not wait: written before what came is read
                session.send([message()]).send(None)
            return None

        broker.script = Script(puback=refuse)
        await asyncio.wait_for(await session.send([message(payload=bytes(3000))]), 30)
        refused = await session.send([message(payload=bytes(size))])
        with pytest.raises(ConnectionLost, match="too large"):
            await asyncio.wait_for(refused, 30)
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(session.closed(), 30)
    async with made.open(None, []) as session:
        assert abs((session.limits.cut_bytes or 0) - limit) < 10
        assert session.limits.max_packet_bytes is None


async def test_a_refusal_for_size_teaches_nothing_where_larger_packets_are_taken(broker: FakeBroker) -> None:
    """It costs what was refused, and nobody else."""
    broker.script = Script(puback=lambda one: 0x95 if len(one.payload) == 5000 else 0)
    async with publisher(broker).open(None, []) as session:
        await (await session.send([message(payload=bytes(60_000))]))
        refused = await session.send([message(payload=bytes(5000))])
        with pytest.raises(Rejected, match="too large"):
            await refused
        await (await session.send([message(payload=bytes(60_000))]))
        assert len(broker.connects) == 1


async def test_nothing_follows_a_large_packet_where_the_broker_closed_at_one(broker: FakeBroker) -> None:
    """Once, with MQTT 5: its answer is waited for. Taken, all is as before."""
    made = publisher(broker, window=3)
    broker.script = Script(hold=True)
    async with made.open(None, []) as session:
        await session.send([message(payload=bytes(5000))])
        await eventually(lambda: broker.waiting)
        broker.drop()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(session.closed(), 30)
    async with made.open(None, []) as session:
        await session.send([message(payload=bytes(size)) for size in (10, 5000)])
        async with asyncio.TaskGroup() as group:
            behind = group.create_task(session.send([message(payload=b"behind")]))
            await eventually(lambda: len(broker.waiting) == 2)
            small, large = broker.waiting
            broker.ack(small)
            await never(behind.done)
            broker.ack(large)
        for _ in range(2):
            await asyncio.wait_for(session.send([message(payload=bytes(9000))]), 30)


# --- links that break -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x00",  # no such packet
        b"\x40\x01\x00",  # PUBACK without an identifier
        b"\x30\xff\xff\xff\xff\xff",  # a length of five bytes
        b"\x30\x04\x00\x09ab",  # PUBLISH whose topic is longer than the packet
        packet(3, b"\x00\x02\xff\xfe\x00"),  # PUBLISH on a topic that is no UTF-8
        packet(14, b"\x7f"),  # DISCONNECT with an unknown reason
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        packet(2, b"\x00\x00\x05\x99\x00\x00\x00\x00"),  # CONNACK with an unknown property
    ],
)
async def test_undecodable_packets_end_the_connection_only(broker: FakeBroker, junk: bytes) -> None:
    """Whatever a broker sends, the session ends as lost and the next one works."""
    made = publisher(broker)
    async with made.open(WILL, ["c/#"]) as session:
        broker.send(junk)
        broker.drop_soon()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(session.closed(), 30)
    async with made.open(WILL, []) as session:
        await asyncio.wait_for(await session.send([message()]), 30)


async def test_an_acknowledgement_nobody_waits_for_is_ignored(broker: FakeBroker) -> None:
    """A PUBACK for an unknown packet identifier changes nothing."""
    async with publisher(broker).open(None, []) as session:
        broker.send(packet(4, b"\x7f\x00"))
        await asyncio.wait_for(await session.send([message()]), 30)


async def test_a_half_open_link_is_noticed(broker: FakeBroker) -> None:
    """A broker that answers nothing any more is given up within one and a half times the keep-alive."""
    broker.script = Script(pong=False, hold=True)
    async with publisher(broker, keep_alive="1s").open(WILL, []) as session:
        future = await session.send([message()])
        with pytest.raises(ConnectionLost, match="dead"):
            await asyncio.wait_for(session.closed(), 30)
        assert broker.pings == 1
        with pytest.raises(ConnectionLost):
            await future


async def test_a_server_keep_alive_is_followed(broker: FakeBroker) -> None:
    """The broker's own keep-alive replaces the configured one."""
    broker.script = Script(connack_properties=properties(keep_alive=1))
    async with publisher(broker, keep_alive="30s").open(None, []) as session:
        assert session.limits.keep_alive == 1
        await eventually(lambda: broker.pings)


async def test_no_connack_is_bounded(broker: FakeBroker) -> None:
    """A broker that accepts and stays silent costs connect_timeout, and leaves no connection."""
    broker.script = Script(connack=None)
    error = await opening(broker, connect_timeout="100ms")
    assert isinstance(error, ConnectionLost)
    assert "did not answer" in str(error)
    await eventually(lambda: not broker.open_links)


async def test_cancelled_while_connecting_leaves_nothing(broker: FakeBroker) -> None:
    """Cancelling an opening closes its socket."""
    broker.script = Script(connack=None)

    async def never_opens() -> None:
        async with publisher(broker).open(WILL, []):
            pytest.fail("opened")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(never_opens())
        await eventually(lambda: broker.connects)
        task.cancel()
    assert task.cancelled()
    await eventually(lambda: not broker.open_links)


# --- leaving ----------------------------------------------------------------------------------------------------------


async def test_leaving_cleanly_takes_the_will_back(broker: FakeBroker) -> None:
    """DISCONNECT 0x00 after a normal end; 0x04, with the will, when an error ends the session."""
    made = publisher(broker)
    async with made.open(WILL, []):
        pass
    await eventually(lambda: broker.goodbyes == [0])
    with pytest.raises(ZeroDivisionError):
        async with made.open(WILL, []):
            raise ZeroDivisionError
    await eventually(lambda: broker.goodbyes == [0, 4])
    await eventually(lambda: not broker.open_links)


async def test_leaving_fails_what_is_in_flight(broker: FakeBroker) -> None:
    """After leaving no future stays open, and none complains that nobody looked at it."""
    broker.script = Script(hold=True)
    async with publisher(broker).open(None, []) as session:
        future = await session.send([message()])
    assert future.done()
    assert isinstance(future.exception(), ConnectionLost)


async def test_leaving_a_frozen_broker_is_bounded(broker: FakeBroker) -> None:
    """A broker that reads nothing any more cannot hold us: leaving takes about a second, and all futures end."""
    async with asyncio.timeout(30):
        async with publisher(broker).open(WILL, []) as session:
            broker.freeze()
            futures = [await session.send([message(payload=bytes(1_000_000))]) for _ in range(10)]
    assert not broker.goodbyes
    assert all(isinstance(future.exception(), ConnectionLost) for future in futures)


async def test_a_sender_waiting_for_room_is_woken_by_the_end(broker: FakeBroker) -> None:
    """Who waits for room learns that the connection is gone."""
    broker.script = Script(hold=True)
    told = asyncio.Event()

    async def wait_for_room(session: Session) -> None:
        with pytest.raises(ConnectionLost):
            await session.send([message(), message()])
        told.set()

    async with publisher(broker, window=1).open(None, []) as session, asyncio.TaskGroup() as group:
        group.create_task(wait_for_room(session))
        await eventually(lambda: broker.waiting)
        broker.drop()
        await asyncio.wait_for(told.wait(), 30)


# --- listening --------------------------------------------------------------------------------------------------------


async def test_a_refused_subscription_costs_no_data(broker: FakeBroker) -> None:
    """SUBACK 0x87 is said, and data flows."""
    broker.script = Script(suback=0x87)
    with capture_logs() as logs:
        async with publisher(broker).open(None, ["c/#"]) as session:
            await asyncio.wait_for(await session.send([message()]), 30)
    said = [(log["topics"], log["reason"]) for log in logs if log["event"] == "mqtt.subscribe_refused"]
    assert said == [(["c/#"], "refused")]


async def test_a_broker_that_hangs_up_on_subscribe_is_not_asked_for_ever(broker: FakeBroker) -> None:
    """After three such ends the session opens without listening."""
    broker.script = Script(hang_up_on_subscribe=True)
    made = publisher(broker)
    for _ in range(3):
        with pytest.raises(ConnectionLost):
            async with made.open(None, ["c/#"]):
                pass
    async with made.open(None, ["c/#"]) as session:
        await asyncio.wait_for(await session.send([message()]), 30)


async def test_what_comes_in_is_handed_on(broker: FakeBroker) -> None:
    """Messages on the topics listened to arrive with their retain flag."""
    async with publisher(broker).open(None, ["c/#"]) as session:
        broker.publish("c/1", b"one", retain=True)
        broker.publish("c/2", b"two")
        heard = []
        async with asyncio.timeout(30):
            async for incoming in session.incoming():
                heard.append((incoming.topic, incoming.payload, incoming.retain))
                if len(heard) == 2:
                    break
        assert heard == [("c/1", b"one", True), ("c/2", b"two", False)]
        assert broker.subscribed == ["c/#"]
