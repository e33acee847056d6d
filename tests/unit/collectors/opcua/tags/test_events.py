"""What becomes of the fields of an event, whatever a server puts into them."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from asyncua import ua as library

from agent.collectors.common.choice import Choice
from agent.collectors.opcua.address.nodeid import NodeAddress
from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import Notifier
from agent.collectors.opcua.tags.events import EventNotifiers
from agent.collectors.opcua.values.times import SourceClock
from agent.core.flow import Answer, Sample
from agent.testing.clock import ManualClock

ua: Any = library
T = 1_763_760_000_000
AT = dt.datetime.fromtimestamp(T / 1000, dt.UTC)


class Desk:
    """Two notifiers; the second leaves out what is below 500."""

    def __init__(self, past: Past | None = None) -> None:
        self.clock = ManualClock(T + 5000)
        self.inbox = SampleInbox(self.clock, lambda: None)
        self.past = past or Past(Choice(("opc.tcp://h",)), {})
        notifiers = [Notifier(3, "all", NodeAddress(0, 2253), 0), Notifier(4, "severe", NodeAddress(0, 2253), 500)]
        self.events = EventNotifiers(
            cast("Any", None), "dev", notifiers, self.inbox, SourceClock(), self.clock, self.past
        )

    def happens(self, position: int = 3, **fields: Any) -> None:
        """An event with these fields, the others null, as a server without them sends it."""
        names = (
            "id", "type", "source", "time", "severity", "message",
            "condition", "retain", "enabled", "acked", "confirmed", "active",
        )  # fmt: skip
        given = {"id": b"1", "type": ua.NodeId(2041), "severity": 100, "time": AT, **fields}
        self.events.take(position, [ua.Variant(given.get(name)) for name in names])

    async def said(self) -> Sample:
        return await anext(self.inbox)


def only(sample: Sample) -> Answer:
    (answer,) = sample.answers
    return answer


async def test_an_alarm_is_told_with_its_state() -> None:
    """False is a state; a field the server does not have is not there."""
    desk = Desk()
    desk.happens(
        type=ua.NodeId(9341), source="Tank", message=ua.LocalizedText("Pegel hoch", "de"), severity=700,
        condition="LevelAlarm", retain=True, enabled=True, acked=False, active=True,
    )  # fmt: skip
    answer = only(await desk.said())
    assert answer.values == [
        {
            "type": "i=9341", "source": "Tank", "time": "2025-11-21T21:20:00.000Z", "severity": 700,
            "message": "Pegel hoch", "condition": "LevelAlarm", "retain": True, "enabled": True, "acked": False,
            "active": True, "id": "MQ==",
        }
    ]  # fmt: skip
    assert (answer.tags, answer.src, answer.status) == ((3,), [T], 0)


async def test_what_the_servers_queue_lost_is_a_declared_gap() -> None:
    """EventQueueOverflowEventType is no event of the plant: others were lost since the last one that was heard."""
    desk = Desk()
    desk.happens()
    heard = only(await desk.said()).ts
    await desk.clock.advance(60)
    desk.happens(type=ua.NodeId(3035))
    sample = await desk.said()
    assert not sample.answers
    (loss,) = sample.losses
    assert (loss.tags, loss.reason) == ((3,), "the server's queue of events overflowed")
    assert (loss.from_ts, loss.to_ts) == (heard, heard + 60_000)


async def test_only_what_is_wanted_and_new_is_said() -> None:
    """Neither the marks around a refresh, nor what is not severe enough, nor what was said on the connection before."""
    desk = Desk()
    desk.happens(type=ua.NodeId(2787), id=b"start")
    desk.happens(id=b"2", severity=400)
    desk.happens(4, id=b"2", severity=400)
    desk.happens(4, id=b"3", severity=500)
    desk.happens(id=b"2", severity=400)
    desk.happens(9, id=b"4")
    assert [(answer.tags, answer.values[0]["id"]) for answer in (await desk.said()).answers] == [  # type: ignore[index]
        ((3,), "Mg=="),
        ((4,), "Mw=="),
    ]
    again = Desk(desk.past)
    again.happens(id=b"2", severity=400)
    again.happens(id=b"5")
    assert len((await again.said()).answers) == 1


async def test_an_absurd_time_of_an_event_is_shown_and_not_used() -> None:
    """As with values; an event without a time or an id is an event all the same."""
    desk = Desk()
    desk.happens(time=AT.replace(year=2090))
    answer = only(await desk.said())
    assert (answer.src, answer.doubted) == (None, [T + 2_051_222_400_000])
    for _ in range(2):
        desk.happens(time=None, id=None)
    await desk.clock.advance(1)
    sample = await desk.said()
    assert len(sample.answers) == 2, "who cannot be told apart is not left out"
    assert [(one.src, one.doubted) for one in sample.answers] == [(None, None)] * 2
