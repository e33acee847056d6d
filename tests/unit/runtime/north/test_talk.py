"""A route with a dialogue whose messages count: order, cuts on its word, holding, leaving, lingering."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.core.errors import Rejected
from agent.core.flow import (
    AgentChanged,
    Batch,
    DeviceChanged,
    DialogueEvent,
    Incoming,
    Limits,
    Message,
    Offline,
    Online,
    Opening,
    Reading,
    Record,
    Stream,
)
from agent.core.image import AgentInfo, Image, TagInfo
from agent.core.ports import Course, Memo
from agent.outbox import SqliteOutbox
from agent.runtime.north.beside import Beside
from agent.runtime.north.route import Route
from agent.runtime.north.talk import Talk
from agent.runtime.north.unwelcome import Unwelcome
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import Replay
from agent.testing.clock import ManualClock
from agent.testing.publisher import ScriptedPublisher
from tests.support.waiting import eventually, never


class Counting:
    """A dialogue that numbers what it says: `kind number detail`."""

    will: Message | None = None
    listens: Sequence[str] = ("orders",)

    def __init__(self, *, course: Course, linger: float) -> None:
        self.course: Course = course
        self.why = "told to wait" if course == "hold" else ""
        self.linger = linger
        self.number = 0
        self.wills = 0

    def connecting(self) -> Message:
        self.wills += 1
        return Message(topic="will", payload=b"%d" % self.wills)

    def _say(self, kind: str, detail: object = "") -> list[Message]:
        self.number += 1
        return [Message(topic="t", payload=f"{kind} {self.number} {detail}".encode())]

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        match event:
            case Opening():
                self.course, self.why = "flow", ""
                return self._say("open")
            case Record(content=Batch() as batch):
                if batch.readings[0].value == "never":
                    raise Rejected("cannot be said")
                return self._say("late" if event.historical else "live", batch.readings[0].value)
            case DeviceChanged():
                return self._say("device", event.device)
            case Incoming():
                self.course = event.payload.decode()  # type: ignore[assignment]
                self.why = "told to go" if self.course == "leave" else self.why
            case Offline():
                return self._say("bye")
            case Online():
                pass
        return []


class CountingEncoder:
    """Dialogues that begin with this course."""

    snapshots = False
    tick: float | None = None

    def __init__(self, *, course: Course = "open", linger: float = 0.0) -> None:
        self.course, self.linger = course, linger
        self.begun: list[Counting] = []

    def begin(self, image: Image, memo: Memo, /) -> Counting:
        self.begun.append(Counting(course=self.course, linger=self.linger))
        return self.begun[-1]


class Bench:
    """One route, one device; the disk is real, the broker and the clock are not."""

    def __init__(self, folder: Path, encoder: CountingEncoder) -> None:
        self.clock = ManualClock()
        self.encoder = encoder
        self.publisher = ScriptedPublisher()
        self.image = Image(AgentInfo("gw", "0", "h"))
        self.image.add("press", location=["hall"], tags=[TagInfo("a")], cat=1, now=0)
        self.outbox = SqliteOutbox(
            folder / "plant.outbox", name="plant", settings=OutboxSettings(), clock=self.clock, max_record_bytes=98304
        )
        self.route = Route(
            "plant", self.publisher, encoder, self.outbox, self.image, clock=self.clock, replay=Replay(),
            wants=lambda _device: True,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        async with self.outbox.open(), asyncio.TaskGroup() as group:
            task = group.create_task(self.route.run())
            yield task
            task.cancel()

    def read(self, value: object) -> None:
        reading = Reading(tag="a", value=value, ts=self.clock.now_ms(), quality="good")
        self.outbox.append(Batch(device="press", ts=reading.ts, readings=[reading]))

    async def move_until(self, condition: Callable[[], object]) -> None:
        """Move the clock in small steps until the condition holds."""

        async def step() -> object:
            await self.clock.advance(0.05)
            return condition()

        await eventually(step)

    def said(self, session: int = -1) -> list[str]:
        sessions = self.publisher.sessions
        return [one.payload.decode().strip() for one in sessions[session].sent] if sessions else []


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def bench(tmp_path: Path, encoder: CountingEncoder) -> Bench:
    return Bench(tmp_path, encoder)


async def test_what_was_made_first_is_written_first(bench: Bench):
    """Records, changes of devices, backlog: whatever task says it, numbers rise on the wire, also in a full window."""
    bench.publisher.script.limits = Limits(protocol="5", window=2)
    async with bench.running():
        await eventually(lambda: bench.said() == ["open 1"])
        for number in range(30):
            bench.read(number)
            bench.image.set_state("press", "online" if number % 2 else "degraded", now=number, reason=str(number))
            await asyncio.sleep(0)
        await eventually(lambda: sum("live" in one for one in bench.said()) == 30)
        numbers = [int(one.split()[1]) for one in bench.said()]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_each_connect_has_its_will(bench: Bench):
    """The dialogue is asked when the broker is reached, not before."""
    bench.publisher.script.reachable = False
    async with bench.running():
        await eventually(lambda: bench.publisher.attempts == 1)
        bench.publisher.script.reachable = True
        await bench.clock.advance(3)
        await eventually(lambda: bench.publisher.sessions)
        assert [dialogue.wills for dialogue in bench.encoder.begun] == [0, 1]
        assert bench.publisher.session.will == Message(topic="will", payload=b"1")


async def test_nothing_flows_while_the_dialogue_holds(bench: Bench):
    """Held, the route is offline and says why; what waited is history when the dialogue opens."""
    bench.encoder.course = "hold"
    async with bench.running():
        await eventually(lambda: bench.route.reason == "told to wait")
        bench.read(1)
        await never(bench.said, 0.05)
        assert str(bench.route.state) == "offline"
        bench.publisher.session.deliver("orders", b"open")
        await bench.move_until(lambda: bench.said() == ["open 1", "late 2 1"])
        assert bench.route.state == "online"
        bench.read(2)
        await eventually(lambda: bench.said()[-1] == "live 3 2")


async def test_a_new_opening_is_a_new_cut(bench: Bench):
    """On the dialogue's word everything unsent becomes history, behind the new opening; the route stays online."""
    async with bench.running():
        await eventually(lambda: bench.said() == ["open 1"])
        bench.publisher.session.deliver("orders", b"hold")
        await eventually(lambda: bench.encoder.begun[0].course == "hold")
        bench.read(1)
        bench.publisher.session.deliver("orders", b"open")
        await bench.move_until(lambda: bench.said() == ["open 1", "open 2", "late 3 1"])
        assert bench.route.state == "online"


async def test_leaving_says_goodbye_and_comes_back(bench: Bench):
    """The session ends in order, the broker says the will (MQTT 5), and after a while there is another session."""
    async with bench.running():
        await eventually(lambda: bench.said() == ["open 1"])
        bench.publisher.session.deliver("orders", b"leave")
        await eventually(lambda: bench.said()[-1] == "bye 2")
        await eventually(lambda: bench.route.reason == "told to go")
        assert not bench.publisher.session.left_cleanly
        await bench.clock.advance(3)
        await eventually(lambda: len(bench.publisher.sessions) == 2)
        await eventually(lambda: bench.said() == ["open 1"])


async def test_stopping_says_goodbye_with_the_will(bench: Bench):
    """MQTT 5 has a DISCONNECT for that; 3.1.1 has none, so its goodbye is a clean one."""
    async with bench.running() as task:
        await eventually(lambda: bench.said() == ["open 1"])
        bench.route.leave()
        await asyncio.wait([task], timeout=5)
        assert task.done()
        assert (bench.said()[-1], bench.publisher.session.left_cleanly) == ("bye 2", False)


async def test_stopping_a_3_1_1_session_is_clean(bench: Bench):
    """What was said is enough: the broker need not say the will."""
    bench.publisher.script.limits = Limits(protocol="3.1.1", properties=False, will=False, window=5)
    async with bench.running() as task:
        await eventually(lambda: bench.said() == ["open 1"])
        bench.route.leave()
        await asyncio.wait([task], timeout=5)
        assert (bench.said()[-1], bench.publisher.session.left_cleanly) == ("bye 2", True)


async def test_a_record_that_cannot_be_said_goes_to_quarantine(bench: Bench):
    """The dialogue refuses it; the next one is said."""
    async with bench.running():
        await eventually(lambda: bench.said() == ["open 1"])
        bench.read("never")
        bench.read(2)
        await eventually(lambda: bench.said()[-1] == "live 2 2")
        await eventually(lambda: bench.outbox.stats.quarantined == 1)


async def test_records_linger_and_a_drain_ends_that(bench: Bench):
    """Acknowledged by the broker, kept for a while; the end of the agent does not wait for it."""
    bench.encoder.linger = 10.0
    async with bench.running():
        await eventually(lambda: bench.said() == ["open 1"])
        bench.read(1)
        await eventually(lambda: bench.said()[-1] == "live 2 1")
        await bench.clock.advance(9)
        assert bench.outbox.stats.records == 1
        await bench.clock.advance(2)
        await eventually(lambda: bench.outbox.stats.records == 0)
        bench.read(2)
        await eventually(lambda: bench.said()[-1] == "live 3 2")
        await asyncio.wait_for(bench.route.drain(), 5)
        assert bench.outbox.stats.records == 0


async def test_what_lingers_is_said_again_after_a_loss(bench: Bench):
    """The session broke before its time was over: the record comes again, as history."""
    bench.encoder.linger = 10.0
    async with bench.running():
        await eventually(lambda: bench.said() == ["open 1"])
        bench.read(1)
        await eventually(lambda: bench.said()[-1] == "live 2 1")
        bench.publisher.drop()
        await eventually(lambda: bench.route.state == "offline")
        await bench.clock.advance(3)
        await eventually(lambda: len(bench.publisher.sessions) == 2)
        await bench.move_until(lambda: bench.said() == ["open 1", "late 2 1"])


class Listening:
    """A dialogue that counts nothing and says nothing: it keeps what it is told."""

    will: Message | None = None
    listens: Sequence[str] = ()

    def __init__(self) -> None:
        self.told: list[DialogueEvent] = []

    def __call__(self, event: DialogueEvent, /) -> Sequence[Message]:
        self.told.append(event)
        return []


async def test_a_change_is_told_with_the_streams_of_its_device() -> None:
    """Devices that are lost together are not each told of all others' streams; what concerns the agent is."""
    old, new, other = Stream("1", "press", 9, 1), Stream("2", "press", 1, 1), Stream("2", "lathe", 5, 1)
    dialogue = Listening()
    async with ScriptedPublisher().open(None, ()) as session, asyncio.TaskGroup() as group:
        beside = Beside(session, Unwelcome(), ManualClock(), print)
        talk = Talk(session, dialogue, lambda: [old, new, other], beside)
        for change in (DeviceChanged(device="press", ts=1), DeviceChanged(device="lathe", ts=2), AgentChanged(ts=3)):
            talk.changed(change)
        mail = group.create_task(talk.mail())
        await eventually(lambda: len(dialogue.told) == 3)
        mail.cancel()
    told = [event.streams for event in dialogue.told if isinstance(event, DeviceChanged | AgentChanged)]
    assert told == [[old, new], [other], [old, new, other]]
