"""Requests of consumers: how many are served, and when one is not."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from agent.core.errors import TransientError
from agent.core.flow import Incoming, ResendRequest
from agent.core.image import AgentInfo, Image
from agent.core.ports import OutboxStats, Resent, RouteInfo
from agent.encoders.json import JsonConfig
from agent.runtime.north.repair import MOST_STREAMS, MOST_WAITING, PATIENCE, REMEMBERED, ResendService
from agent.telemetry import metrics
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually
from tests.unit.encoders.conftest import DictMemo

TOPIC = "edge/agents/gw-01/resend"


class Outbox:
    """Answers as it is told, and says what it was asked."""

    def __init__(self):
        self.asked: list[str] = []
        self.insisted: list[bool] = []
        self.stats = OutboxStats()
        self.answer: Resent | Exception | None = Resent(again=3)

    async def resend(self, request):
        self.asked.append(request.id)
        self.insisted.append(request.insists)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Stage:
    """A repair over such an outbox, and a dialogue that listens."""

    def __init__(self, name):
        self.clock, self.outbox = ManualClock(), Outbox()
        self.name = name
        self.repair = ResendService(name, self.outbox, self.clock)  # type: ignore[arg-type]
        route = RouteInfo(name=name, agent="gw-01", resend=lambda: True, clock=self.clock)
        self.dialogue = JsonConfig().build(route).begin(Image(AgentInfo("gw-01", "1", "a")), DictMemo())

    def hear(self, request, *, retain=False, topic=TOPIC):
        payload = request if isinstance(request, bytes) else json.dumps(request).encode()
        return self.repair.hears(self.dialogue, Incoming(topic=topic, payload=payload, retain=retain))

    def ask(self, name, **keys):
        return self.hear(wanted(name), **keys)

    def count(self, result):
        return metrics.RESEND_REQUESTS.labels(self.name, result).value

    @asynccontextmanager
    async def running(self):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.repair.run())
            yield
            task.cancel()


def wanted(name, first=1, last=5, **keys):
    return {"id": name, "device": "press-01", "epoch": "E", "from_seq": first, "to_seq": last} | keys


@pytest.fixture
def stage(request, monkeypatch):
    monkeypatch.setattr("agent.testing.clock.ManualClock.sleep", _soon)
    made = Stage(request.node.name)
    yield made
    metrics.forget("publisher", made.name)


async def _soon(_clock, _seconds):
    await asyncio.sleep(0)


async def test_one_is_served_at_a_time_and_ten_wait(stage):
    """The next one when nothing of the first is left to be sent; who comes beyond the tenth asks again."""
    async with stage.running():
        stage.ask("A")
        await eventually(lambda: stage.outbox.asked == ["A"])
        stage.outbox.stats = OutboxStats(again=3)
        for number in range(MOST_WAITING + 2):
            assert stage.ask(f"B{number}")
        assert stage.count("busy") == 2
        await asyncio.sleep(0)
        assert stage.outbox.asked == ["A"]
        stage.outbox.stats = OutboxStats()
        await eventually(lambda: len(stage.outbox.asked) == 1 + MOST_WAITING)
        assert stage.count("served") == 1 + MOST_WAITING


async def test_an_id_is_served_once_in_ten_minutes(stage):
    """While it waits as well; one that is not this outbox's, or met a refusing disk, was not served."""
    async with stage.running():
        stage.ask("A")
        stage.ask("A")
        await eventually(lambda: stage.count("served") == 1)
        stage.ask("A")
        assert stage.count("repeated") == 2
        stage.clock._monotonic += REMEMBERED
        stage.ask("A")
        await eventually(lambda: stage.count("served") == 2)
        stage.outbox.answer = None
        stage.ask("B")
        await eventually(lambda: stage.count("unknown") == 1)
        stage.outbox.answer = TransientError("no space left on device")
        stage.ask("B")
        await eventually(lambda: stage.outbox.asked == ["A", "A", "B", "B"])
        stage.outbox.answer = Resent()
        stage.ask("B")
        await eventually(lambda: stage.count("served") == 3)


async def test_who_asks_again_after_a_while_insists(stage):
    """Not who asks again at once, and not for numbers of which some are new: only what was asked for is overdue."""
    async with stage.running():
        for first, last, later in [
            (1, 5, 0.0), (2, 4, PATIENCE - 1), (1, 5, PATIENCE - 1), (1, 5, PATIENCE), (2, 6, PATIENCE),
        ]:  # fmt: skip
            stage.clock._monotonic += later
            name = f"A{len(stage.outbox.asked)}"
            stage.hear(wanted(name, first, last))
            await eventually(partial(stage.outbox.asked.__contains__, name))
    assert stage.outbox.insisted == [False, False, False, True, False]


async def test_what_is_remembered_of_requests_is_bounded(stage):
    """Whoever may publish may ask for anything."""
    async with stage.running():
        for number in range(3):
            stage.repair._remember(ResendRequest("A", "d", f"E{number}", 1, 1))
        for number in range(MOST_STREAMS + 5):
            stage.repair._remember(ResendRequest("A", f"d{number}", "E", 1, 1))
    assert len(stage.repair._asked) == MOST_STREAMS


async def test_a_bug_costs_the_request_only(stage):
    """The next one is served."""
    async with stage.running():
        stage.outbox.answer = KeyError("oops")
        with capture_logs() as logs:
            stage.ask("A")
            await eventually(lambda: logs)
        assert [line["event"] for line in logs] == ["component.bug"]
        stage.outbox.answer = Resent()
        stage.ask("A")
        await eventually(lambda: stage.count("served") == 1)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"", b"{", b"\xff", b"[" * 4000, b"7", {}, wanted(""), wanted("x" * 65), wanted("A", 0), wanted("A", 6, 5),
        wanted("A", 1, 10_001), wanted("A", 1.5), wanted("A", True), wanted("A", "1"), wanted("A", 1, None),
        wanted("A", device=7), wanted("A", more="x" * 5000), wanted("A", 1, 10**30),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_counted_and_ignored(stage, nonsense):
    """Whoever may publish at the broker may send it."""
    assert stage.hear(nonsense)
    assert stage.count("malformed") == 1
    assert stage.ask("A", retain=True)
    assert stage.count("retained") == 1
    async with stage.running():
        await asyncio.sleep(0)
    assert stage.outbox.asked == []


async def test_other_topics_are_not_its_business(stage):
    """Nor is anything, where the dialogue does not listen."""
    assert not stage.ask("A", topic="edge/agents/gw-01/status")
    deaf = structs.replace(RouteInfo(name="x", agent="gw-01"))
    dialogue = JsonConfig().build(deaf).begin(Image(AgentInfo("gw-01", "1", "a")), DictMemo())
    assert not stage.repair.hears(dialogue, Incoming(topic=TOPIC, payload=b"{}"))
    assert list(dialogue.listens) == ["edge/agents/gw-01/status"]
    assert list(stage.dialogue.listens) == ["edge/agents/gw-01/status", TOPIC]
