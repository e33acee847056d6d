from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from agent.collectors.common.choice import Choice
from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.history import keeping as module
from agent.collectors.opcua.history import logbook
from agent.collectors.opcua.history.backfill import together
from agent.collectors.opcua.history.keeping import FARTHEST, HistoryKeeper, keeping
from agent.collectors.opcua.history.logbook import Logbook
from agent.collectors.opcua.past import MissingSpan, Past, TagKey
from agent.collectors.opcua.plan import ConnectionPlan
from agent.core.flow import Answer
from agent.testing.clock import ManualClock
from agent.testing.context import SimpleContext

T = 1_763_760_000_000
TAGS = {"a": "ns=2;s=a", "b": "ns=2;s=b"}


def plan(tags: dict[str, str] | None = None, **more: Any) -> ConnectionPlan:
    table = {name: {"node": node} for name, node in (tags or TAGS).items()}
    config = {"type": "opcua", "url": "opc.tcp://plc:4840", "backfill": True, "tags": table, **more}
    return OpcUaConfig.model_validate(config).plan("cnc", "gw")


class Run:
    """A run of the agent: connections to one device, as its collector makes them."""

    def __init__(self, folder: Path, *, recorded: int | None = None, plan: ConnectionPlan | None = None) -> None:
        self.clock = ManualClock(T)
        self.context = SimpleContext(clock=self.clock, data_dir=folder, recording=True)
        if recorded is not None:
            self.context.last_recorded["cnc"] = recorded
        self.plan = plan or globals()["plan"]()
        self.past = Past(Choice(self.plan.servers), {})

    @property
    def known(self) -> dict[str, int]:
        return {key.tag: time for key, time in self.past.last.items()}

    @property
    def spans(self) -> list[tuple[str, int, int]]:
        return [(span.key.tag, span.after, span.before) for span in self.past.spans]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with keeping(self.plan, self.context, self.past) as keeper:
            yield Connection(self.plan, keeper)

    async def recall(self) -> Run:
        async with self.connection():
            return self


class Connection:
    def __init__(self, plan: ConnectionPlan, keeper: HistoryKeeper) -> None:
        self.keeper = keeper
        self.first: dict[int, int] = {}
        keeper.follow(plan, self.first)

    async def says(self, position: int, source: int, arrived: int, *, handed: bool = True) -> None:
        """A value on its way through the inbox."""
        self.first.setdefault(position, source)
        answers = [Answer(tags=(position,), values=[0], ts=arrived, src=[source])]
        await self.keeper.prepare(answers)
        if handed:
            self.keeper.handed(answers)


async def test_what_a_run_said_is_known_to_the_next(tmp_path: Path) -> None:
    """Ended in order: each tag to the millisecond, the newest time that was handed on, not the last one."""
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T + 5)
        await one.says(0, T + 100, T + 105)
        await one.says(0, T + 50, T + 110)
        await one.says(1, T + 90, T + 120)
        await one.keeper.end()
    run = await Run(tmp_path).recall()
    assert run.known == {"a": T + 100, "b": T + 90}
    async with run.connection() as two:
        await two.says(0, T + 900, T + 905)
        assert run.spans == [("a", T + 100, T + 900)]
        await two.says(1, T + 90, T + 905)
    assert run.spans == [("a", T + 100, T + 900)], "what has not changed owes nothing"


async def test_after_a_kill_nothing_is_owed_that_may_have_been_said(tmp_path: Path) -> None:
    """Its times lie below what the outbox recorded last, and the source's lead over our clock."""
    async with Run(tmp_path).connection() as one:  # left without a word, as by a kill
        await one.says(0, T, T + 400)
        await one.says(1, T + 380, T + 400)
        await one.says(1, T + 1000, T + 1001)  # 1 ms before its arrival, and 10 ms are always added
    assert (await Run(tmp_path, recorded=T + 5000).recall()).known == {"a": T + 5009, "b": T + 5009}
    assert (await Run(tmp_path, recorded=T + 9000).recall()).known == {"a": T + 5009, "b": T + 5009}, "settled, once"


async def test_a_slow_or_fast_source_clock_is_allowed_for(tmp_path: Path) -> None:
    """A server an hour behind: what it has not said begins an hour earlier in its own time."""
    hour = 3_600_000
    async with Run(tmp_path).connection() as one:
        await one.says(0, T - hour, T)
    assert (await Run(tmp_path, recorded=T + 1000).recall()).known == {"a": T + 1010 - hour}


@pytest.mark.parametrize("why", ["unrecorded", "unset clock", "clock set back"])
async def test_after_a_kill_that_tells_nothing_nothing_is_filled(tmp_path: Path, why: str) -> None:
    """No outbox knows of it, or its times and ours cannot be compared."""
    run = Run(tmp_path)
    run.clock.synced = why != "unset clock"
    async with run.connection() as one:
        await one.says(0, T, T + 5)
        if why == "clock set back":
            await one.says(0, T + 10, T - 2000)
    with structlog.testing.capture_logs() as logs:
        run = await Run(tmp_path, recorded=None if why == "unrecorded" else T + 1000).recall()
    assert run.known == {}
    assert [(log["tags"], log["lost"]) for log in logs if log["event"] == "opcua.recalled"] == [(0, 1)]


async def test_a_tag_not_heard_again_is_owed_its_whole_outage(tmp_path: Path) -> None:
    """A node that comes back late, and a kill before it does: its last value still is where the span begins."""
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.says(1, T, T)
        await one.keeper.end()
    async with Run(tmp_path).connection() as two:
        await two.says(0, T + 1000, T + 1000)  # b is not there yet
    run = await Run(tmp_path, recorded=T + 2000).recall()
    assert (run.known, run.spans) == ({"a": T + 2010, "b": T}, [("a", T, T + 1000)])


async def test_what_was_not_handed_on_was_not_said(tmp_path: Path) -> None:
    """A stop between the logbook and the consumer: the next run stands where this one did."""
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.keeper.end()
    run = Run(tmp_path)
    async with run.connection() as two:
        await two.says(0, T + 1000, T + 1000, handed=False)
        await two.says(1, T + 1000, T + 1000, handed=False)
        await two.keeper.end()
    assert (run.known, run.spans) == ({"a": T}, [])
    run = await Run(tmp_path).recall()
    assert (run.known, run.spans) == ({"a": T}, [])


async def test_filling_goes_on_where_it_stood(tmp_path: Path) -> None:
    """Values are noted before they are handed on; a kill repeats none, an orderly end leaves none out."""
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.keeper.end()
    run = Run(tmp_path)
    async with run.connection() as two:
        await two.says(0, T + 1000, T + 1000)
        (span,) = run.past.spans
        span.asked = T + 600
        await two.keeper.claim(span, T + 300)
        span.after = T + 300
        await two.keeper.claim(span, T + 600)  # and the process is killed before it is handed on
    killed = await Run(tmp_path, recorded=T + 1000).recall()
    assert killed.spans == [("a", T + 600, T + 1000)]
    async with run.connection() as two:
        await two.keeper.end()
    (again,) = run.past.spans
    assert (again.after, again.asked) == (T + 300, T + 300)
    run = await Run(tmp_path).recall()
    assert run.spans == [("a", T + 300, T + 1000)]
    async with run.connection() as three:
        await three.keeper.done(run.past.spans)
    assert (await Run(tmp_path).recall()).spans == []


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        (plan({"a": "ns=2;s=b", "b": "ns=2;s=a"}), set()),
        (plan({"x": "ns=2;s=a", "b": "ns=2;s=b"}), {"b"}),
        (plan(tags={"a": "nsu=urn:x;s=a", "b": "ns=2;s=b"}), {"b"}),
        (plan(url="opc.tcp://other:4840"), set()),
        (plan(clock={"utc_offset": "+08:00"}), set()),
        (plan(), {"a", "b"}),
    ],
    ids=["swapped", "renamed", "another node", "another server", "another offset", "the same"],
)
async def test_another_configuration_inherits_nothing(tmp_path: Path, changed: ConnectionPlan, left: set[str]) -> None:
    """A tag that comes from elsewhere than before is a new one, whatever its name."""
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.says(1, T, T)
        await one.keeper.end()
    run = Run(tmp_path, plan=changed)
    async with run.connection() as two:
        for position in (0, 1):
            await two.says(position, T + 1000, T + 1000)
    assert {tag for tag, _, _ in run.spans} == left


async def test_a_time_without_backfill_is_never_filled(tmp_path: Path) -> None:
    """Then values are said that nobody accounts for."""
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.keeper.end()
    without = await Run(tmp_path, plan=plan(backfill=False)).recall()
    assert not (tmp_path / "opcua" / "cnc.sqlite").exists()
    assert without.known == {}
    assert (await Run(tmp_path).recall()).known == {}


async def test_a_command_that_only_looks_leaves_the_logbook_alone(tmp_path: Path) -> None:
    """`check --live` reads beside an agent at work."""
    run = Run(tmp_path)
    run.context.recording = False
    async with run.connection() as one:
        await one.says(0, T, T)
        await one.keeper.end()
    assert not (tmp_path / "opcua").exists()
    assert run.known == {"a": T}, "within the process it is filled all the same"


async def test_spans_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In how far they reach back, and in number."""
    monkeypatch.setattr(module, "MOST", 1)
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.says(1, T, T)
        await one.keeper.end()
    run = Run(tmp_path)
    late = T + 2 * FARTHEST
    async with run.connection() as two:
        await two.says(0, late, late)
        await two.says(1, late, late)
    assert run.spans == [("a", late - FARTHEST, late)]


@pytest.mark.parametrize("content", [b"no database at all" * 100, "newer"], ids=["garbage", "newer"])
async def test_a_logbook_of_no_use_is_said_once_and_begun_anew(tmp_path: Path, content: bytes | str) -> None:
    """Nothing is filled from it, and the next stop is."""
    path = tmp_path / "opcua" / "cnc.sqlite"
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 99")
        db.close()
    with structlog.testing.capture_logs() as logs:
        run = Run(tmp_path)
        for number in range(2):
            async with run.connection() as one:
                await one.says(0, T + number, T + number)
                await one.keeper.end()
    assert [log["event"] for log in logs if "logbook" in log["event"]] == ["opcua.logbook_damaged"]
    assert (await Run(tmp_path).recall()).known == {"a": T + 1}


async def test_a_disk_that_refuses_costs_the_logbook_and_nothing_else(tmp_path: Path) -> None:
    """What can no longer be kept true is taken away, so that nothing is said twice after a kill."""
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.keeper.end()
    run = Run(tmp_path)
    with structlog.testing.capture_logs() as logs:
        async with run.connection() as two:
            book = two.keeper._book
            assert book is not None
            assert book._db is not None
            book._db.execute("PRAGMA query_only = ON")
            await two.says(0, T + 500, T + 500)
            await two.says(0, T + 600, T + 600)
            await two.keeper.end()
    assert [log["event"] for log in logs if "logbook" in log["event"]] == ["opcua.logbook_refused"]
    assert (run.known, run.spans) == ({"a": T + 600}, [("a", T, T + 500)]), "within the process all goes on"
    assert (await Run(tmp_path, recorded=T + 900).recall()).known == {}
    (tmp_path / "file").write_bytes(b"")
    blocked = Run(tmp_path / "file")  # its folder cannot be made
    with structlog.testing.capture_logs() as logs:
        async with blocked.connection() as three:
            await three.says(0, T, T)
            await three.keeper.end()
    assert [log["event"] for log in logs if "logbook" in log["event"]] == ["opcua.logbook_refused"]
    assert blocked.known == {"a": T}


async def test_a_lead_is_written_when_it_grows_and_not_for_every_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some few times in the life of a connection, whatever comes."""
    leads: list[int] = []
    heard = Logbook.heard

    def counted(book: Logbook, first: Any, owed: Any, lead: int) -> None:
        leads.append(lead)
        heard(book, first, owed, lead)

    monkeypatch.setattr(Logbook, "heard", counted)
    async with Run(tmp_path).connection() as one:
        for number in range(500):
            await one.says(0, T + number, T + number + 100 - number % 97)
    assert 2 <= len(leads) <= 11, "97 ms in steps of at least 10"
    assert max(leads) == leads[-1] >= -4


def test_what_fits_into_one_request() -> None:
    """One beginning and one end count for all its nodes: a span of days does not make the others be read for days."""
    minute, day = 60_000, 86_400_000
    spans = [
        MissingSpan(1, TagKey("a", ""), T, T + 5 * minute),
        MissingSpan(2, TagKey("b", ""), T - day, T + 5 * minute),
        MissingSpan(3, TagKey("c", ""), T + minute, T + 6 * minute),
        MissingSpan(4, TagKey("a", ""), T + minute, T + 6 * minute),
        MissingSpan(5, TagKey("d", ""), T, T + 5 * minute),
    ]
    assert [span.id for span in together(spans, 10)] == [1, 3, 5], "one span of a node at a time"
    assert [span.id for span in together(spans, 2)] == [1, 3]
    assert [span.id for span in together(spans[1:2], 10)] == [2]


async def test_an_abandoned_write_does_not_disturb_the_last_one(tmp_path: Path) -> None:
    """Cancelled while the disk is slow: the end waits for the thread and has the last word."""
    async with Run(tmp_path).connection() as one:
        one.first[0] = T
        async with asyncio.TaskGroup() as group:
            task = group.create_task(one.says(0, T, T))
            await asyncio.sleep(0)
            task.cancel()
        await one.keeper.end()
    assert (await Run(tmp_path, recorded=T + 100).recall()).known == {}


async def test_a_disk_that_hangs_holds_no_value_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The logbook is given up; leaving does not wait for it either."""
    disk = threading.Event()
    monkeypatch.setattr(Logbook, "heard", lambda *_args, **_keys: disk.wait(10))
    run = Run(tmp_path)
    with structlog.testing.capture_logs() as logs:
        async with run.connection() as one:
            book = one.keeper._book
            assert book is not None
            monkeypatch.setattr(module, "_PATIENCE", 0.05)  # now that it is open: a busy machine takes its time
            await one.says(0, T, T)
            await one.says(0, T + 10, T + 10)
            await one.keeper.end()
    assert [log["reason"] for log in logs if "logbook" in log["event"]] == ["no answer from the disk in 0.05 s"]
    assert run.known == {"a": T + 10}
    disk.set()
    await asyncio.to_thread(book.close)


async def test_what_browsing_found_is_not_kept_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are."""
    monkeypatch.setattr(logbook, "MOST_TAGS", 1)
    async with Run(tmp_path).connection() as one:
        await one.says(0, T, T)
        await one.says(1, T + 10, T + 10)
        await one.keeper.end()
    assert (await Run(tmp_path).recall()).known == {"b": T + 10}
