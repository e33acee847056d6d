"""Messages that are written at once, and how their answers are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.core.errors import ConnectionLost, Refused, Rejected
from agent.core.flow import Limits, Message
from agent.core.posting import Prompt
from agent.publishers.mqtt.link import Disconnection
from agent.publishers.mqtt.pace import Pace
from agent.publishers.mqtt.session import MqttSession
from tests.unit.publishers.test_mqtt_alive import SlowBox
from tests.unit.publishers.test_mqtt_silence import message


class Post:
    """A session with room for three, and what was told of its messages."""

    def __init__(self, **limits: Any) -> None:
        self.session = MqttSession(SlowBox(), Limits(**{"protocol": "5", "window": 3, **limits}), "plant")
        self.told: list[tuple[str, BaseException | None]] = []

    def post(self, name: str, *messages: Message) -> bool:
        return self.session.send_at_once(messages or [message()], lambda error: self.told.append((name, error)))

    def answer(self, *mids: int, code: int = 0) -> None:
        self.session.acknowledged([(mid, code) for mid in mids])


@pytest.fixture
async def desk() -> AsyncIterator[Post]:
    made = Post()
    yield made
    made.session._watchdog.cancel()


async def test_answers_of_one_read_are_told_together_and_later(desk: Post) -> None:
    """As a future's callbacks would be; a bundle at its last."""
    assert desk.post("a")
    assert desk.post("b", message(), message())
    assert not desk.post("c")
    desk.answer(1, 2)
    assert not desk.told
    await asyncio.sleep(0)
    assert desk.told == [("a", None)]
    desk.answer(3)
    await asyncio.sleep(0)
    assert desk.told == [("a", None), ("b", None)]


async def test_a_bug_in_one_costs_none_of_the_others(desk: Post) -> None:
    """It is reported as of any callback of the loop; the connection stands."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    assert desk.session.send_at_once([message()], lambda _: 1 // 0)  # type: ignore[arg-type]
    assert desk.post("b")
    desk.answer(1, 2)
    for _ in range(2):
        await asyncio.sleep(0)
    assert desk.told == [("b", None)]
    assert isinstance(reported[0]["exception"], ZeroDivisionError)


async def test_a_refusal_and_the_end_are_told(desk: Post) -> None:
    """Each once, with what the future of `send` would raise."""
    assert desk.post("a")
    assert desk.post("b", message(), message())
    desk.answer(1, 2, code=0x97)
    desk.session.lost(Disconnection("gone"))
    await asyncio.sleep(0)
    assert [name for name, _ in desk.told] == ["a", "b"]
    assert all(isinstance(error, Refused) for _, error in desk.told)
    assert not desk.post("c")


async def test_what_flies_at_the_end_is_lost() -> None:
    """Every one of them."""
    desk = Post()
    assert desk.post("a")
    assert desk.post("b")
    desk.session.lost(Disconnection("gone"))
    await asyncio.sleep(0)
    assert [name for name, error in desk.told if isinstance(error, ConnectionLost)] == ["a", "b"]


async def test_nothing_overtakes_who_waits_for_room(desk: Post) -> None:
    """Where a call of `send` waits, posted messages would be before it."""
    for name in "abc":
        assert desk.post(name)
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.session.send([message()]))
        await asyncio.sleep(0)
        desk.answer(1, 2)
        assert not desk.post("d")
    assert desk.post("d")


async def test_where_messages_have_to_wait_nothing_is_posted() -> None:
    """A rate, or one that grows; a broker that proves nothing; what it can never take is said by `send`."""
    for desk in (Post(max_rate=50.0), Post(max_qos=0)):
        assert not desk.post("a")
        desk.session._watchdog.cancel()
    limits = Limits(protocol="5", window=3, max_packet_bytes=100)
    session = MqttSession(SlowBox(), limits, "plant", pace=Pace(None, ramp=True))
    assert not session.send_at_once([message()], lambda _: None)
    session.pace = Pace(None)
    large = Message(topic="t", payload=bytes(101))
    assert not session.send_at_once([message(), large], lambda _: None)
    assert not session._flying
    assert isinstance((await session.send([large])).exception(), Rejected)
    session._watchdog.cancel()


async def test_another_sessions_post_is_its_own(desk: Post) -> None:
    """A plugin that speaks HTTP has a `post` that means something else: its records would never go."""

    class HttpSession:
        limits, send, incoming, closed = Limits(protocol="http", window=1), None, None, None

        async def post(self, url: str, body: bytes) -> int:
            raise AssertionError

    assert isinstance(desk.session, Prompt)
    assert not isinstance(HttpSession(), Prompt)
