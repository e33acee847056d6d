"""What every Outbox promises (core/ports.py), as tests. Subclass `OutboxContract` and say how an outbox is made.

class TestMine(OutboxContract):
    @pytest.fixture
    def make(self, tmp_path): return lambda **settings: MyOutbox(tmp_path / "x", OutboxSettings(**settings), ...)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agent.core.errors import ConnectionLost
from agent.core.flow import Batch, Gap, Record, ResendRequest
from agent.core.ports import Outbox
from agent.testing.records import backlog, batch, gaps, live, lows, numbers

Make = Callable[..., Outbox]


async def _told(asking: Awaitable[Sequence[Record]]) -> str:
    """Why nothing was handed out."""
    async with asyncio.timeout(10):
        try:
            records = await asking
        except ConnectionLost as error:
            return error.reason
    raise AssertionError(records)


class OutboxContract:
    """Durability aside, which each implementation shows by itself."""

    make: Any  #: fixture: a function that makes an outbox, taking OutboxSettings' keys

    async def test_numbers_count_per_device_from_one(self, make: Make) -> None:
        """Each stream counts from 1, one per record, and all of a run share one epoch."""
        outbox = make()
        async with outbox.open():
            with outbox.reader() as reader:
                for device in ("a", "b", "a", "a"):
                    outbox.append(batch(device))
                records = await live(reader, 4)
        assert numbers(records) == [("a", 1), ("b", 1), ("a", 2), ("a", 3)]
        assert len({record.stream.epoch for record in records}) == 1

    async def test_what_is_appended_is_handed_out_unchanged(self, make: Make) -> None:
        """A record carries what was appended, live or from the backlog."""
        outbox, first, second = make(), batch(number=1), batch(number=2)
        async with outbox.open():
            outbox.append(first)
            with outbox.reader() as reader:
                outbox.append(second)
                assert [record.content for record in await backlog(reader)] == [first]
                assert [record.content for record in await live(reader, 1)] == [second]
        assert first == batch(number=1)

    async def test_the_cut_parts_backlog_from_live(self, make: Make) -> None:
        """Appended before the reader: backlog, historical. After it: live. Committed or not makes no difference."""
        outbox = make()
        async with outbox.open():
            outbox.append(batch(number=1))
            await outbox.flush()
            outbox.append(batch(number=2))
            with outbox.reader() as reader:
                assert reader.backlog_left == 2
                outbox.append(batch(number=3))
                fresh = await live(reader, 1)
                old = await backlog(reader)
        assert [(record.seq, record.historical) for record in old] == [(1, True), (2, True)]
        assert [(record.seq, record.historical) for record in fresh] == [(3, False)]

    async def test_each_record_once_per_reader(self, make: Make) -> None:
        """Nothing is handed out twice, and without acknowledgement the next reader gets it all again."""
        outbox = make()
        async with outbox.open():
            for number in range(7):
                outbox.append(batch(number=number))
            with outbox.reader() as reader:
                assert [seq for _, seq in numbers(await backlog(reader, portion=3))] == [1, 2, 3, 4, 5, 6, 7]
                assert reader.backlog_left == 0
            with outbox.reader() as reader:
                assert [seq for _, seq in numbers(await backlog(reader))] == [1, 2, 3, 4, 5, 6, 7]

    async def test_acknowledging_deletes_in_any_order(self, make: Make) -> None:
        """What is acknowledged does not come back; `low` is the lowest number that is not."""
        outbox = make()
        async with outbox.open():
            with outbox.reader() as reader:
                for number in range(5):
                    outbox.append(batch(number=number))
                records = await live(reader, 5)
                for index in (3, 1):
                    reader.ack(records[index])
                assert await lows(outbox) == {"press-01": 1}
                reader.ack(records[0])
                assert await lows(outbox) == {"press-01": 3}
            with outbox.reader() as reader:
                assert [seq for _, seq in numbers(await backlog(reader))] == [3, 5]

    async def test_all_acknowledged_is_empty(self, make: Make) -> None:
        """With everything acknowledged `low` is the next number and nothing is kept."""
        outbox = make()
        async with outbox.open():
            with outbox.reader() as reader:
                outbox.append(batch())
                outbox.append(batch())
                for record in await live(reader, 2):
                    reader.ack(record)
                    reader.ack(record)
                await outbox.flush()
                assert outbox.stats.records == outbox.stats.bytes == 0
                assert [(one.next, one.low) for one in outbox.streams()] == [(3, 3)]

    async def test_a_rejected_record_is_declared(self, make: Make) -> None:
        """What the broker never takes is quarantined and declared; `low` waits for the acknowledgement of the gap."""
        outbox = make()
        async with outbox.open():
            with outbox.reader() as reader:
                for number in range(3):
                    outbox.append(batch(number=number))
                first, second, third = await live(reader, 3)
                reader.ack(first)
                reader.ack(third)
                reader.reject(second, "too large")
                declared = (await live(reader, 1))[0]
                gap = declared.content
                assert isinstance(gap, Gap)
                assert (gap.kind, gap.from_seq, gap.to_seq, gap.records, gap.readings) == ("quarantined", 2, 2, 1, 2)
                assert (gap.reason, declared.seq, gap.epoch) == ("too large", 0, first.stream.epoch)
                assert await lows(outbox) == {"press-01": 2}
                assert outbox.stats.quarantined == 1
                reader.ack(declared)
                assert await lows(outbox) == {"press-01": 4}

    async def test_a_retried_record_comes_again(self, make: Make) -> None:
        """Refused for now: behind the backlog, historical, with the same number and content."""
        outbox = make()
        async with outbox.open():
            with outbox.reader() as reader:
                outbox.append(batch(number=1))
                (record,) = await live(reader, 1)
                reader.retry(record)
                assert reader.backlog_left == 1
                (again,) = await backlog(reader)
                assert (again.seq, again.historical, again.content) == (1, True, record.content)
                reader.ack(again)
                assert await lows(outbox) == {"press-01": 2}

    async def test_what_is_put_off_waits_for_the_next_reader(self, make: Make) -> None:
        """It is not handed out again, holds nothing else up, may be dropped, and is still backlog."""
        outbox = make(max_bytes="100KiB")
        async with outbox.open():
            for _ in range(3):
                outbox.append(batch())
            with outbox.reader() as reader:
                outbox.append(batch())
                old, fresh = await backlog(reader), await live(reader, 1)
                for record in (*old[:2], *fresh):
                    reader.put_off(record)
                assert (reader.backlog_left, outbox.stats.records, outbox.stats.backlog) == (0, 4, 4)
                reader.ack(old[2])
                assert (outbox.stats.records, outbox.stats.backlog) == (3, 3)
            with outbox.reader() as reader:
                again = await backlog(reader)
                assert [(record.seq, record.historical) for record in again] == [(1, True), (2, True), (4, True)]
                for record in again:
                    reader.put_off(record)
                while not outbox.stats.dropped_records:
                    outbox.append(batch(readings=500))
                    await outbox.flush()
                assert reader.backlog_left == 0
            with outbox.reader() as reader:
                assert 1 not in [seq for _, seq in numbers(await backlog(reader))]

    async def test_gaps_take_no_number(self, make: Make) -> None:
        """A gap passes through as a record with number 0."""
        gap = Gap(id="01", kind="missed", device="press-01", from_ts=1, to_ts=2, reason="queue overflow", tags=["a"])
        outbox = make()
        async with outbox.open():
            with outbox.reader() as reader:
                outbox.append(gap)
                outbox.append(batch())
                records = await live(reader, 2)
        assert gaps(records) == [gap]
        assert numbers(records) == [("press-01", 1)]

    async def test_a_session_that_is_ended_hands_nothing_more_out(self, make: Make) -> None:
        """Whoever waits is told, and whoever asks; what was appended meanwhile is the next session's backlog."""
        outbox = make()
        async with outbox.open():
            outbox.end_session("nobody is there")
            with outbox.reader() as reader:
                async with asyncio.TaskGroup() as group:
                    waiting = group.create_task(_told(reader.live(1)))
                    await asyncio.sleep(0)
                    outbox.append(batch())
                    outbox.end_session("enough")
                    assert await waiting == "enough"
                await outbox.flush()
                assert await _told(reader.live(1)) == "enough"
                assert await _told(reader.backlog(1)) == "enough"
                assert await _told(reader.again(1)) == "enough"
            with outbox.reader() as reader:
                assert numbers(await backlog(reader)) == [("press-01", 1)]

    async def test_what_is_not_its_own_is_not_sent_again(self, make: Make) -> None:
        """A stream it never had is somebody else's; of its own nothing is handed out again that was not asked for."""
        outbox = make()
        async with outbox.open():
            outbox.append(batch())
            with outbox.reader() as reader:
                assert await outbox.resend(ResendRequest("A", "press-01", "nobody's", 1, 1)) is None
                assert outbox.stats.again == 0
                try:
                    async with asyncio.timeout(0.05):
                        records = await reader.again(10)
                except TimeoutError:
                    records = []
                assert records == []

    async def test_it_tells_when_live_records_wait(self, make: Make) -> None:
        """From their commit until they are handed out."""
        outbox = make()
        async with outbox.open():
            outbox.append(batch())
            await outbox.flush()
            with outbox.reader() as reader:
                seen = [reader.behind]
                outbox.append(batch(number=1))
                await outbox.flush()
                seen.append(reader.behind)
                await live(reader, 1)
                assert [*seen, reader.behind] == [False, True, False]

    async def test_scans_are_counted_with_the_stream(self, make: Make) -> None:
        """Of the device they were of, in this run's stream."""
        outbox = make()
        async with outbox.open():
            outbox.append(batch())
            outbox.scanned("press-01", 3, 2, 1)
            outbox.scanned("press-01", 1, 1, 0)
            await outbox.flush()
            (stream,) = outbox.streams()
            assert (stream.scans.due, stream.scans.done, stream.scans.late) == (4, 3, 1)

    async def test_full_drops_the_oldest_and_says_so(self, make: Make) -> None:
        """Over max_bytes the oldest go; every number is either handed out or inside a declared gap, exactly once."""
        outbox = make(max_bytes="4000B", when_full="drop_oldest")
        async with outbox.open():
            for number in range(100):
                outbox.append(batch(number=number))
                if number % 10 == 0:
                    await outbox.flush()
            await outbox.flush()
            with outbox.reader() as reader:
                records = await backlog(reader)
        _accounted(records, 100, "dropped")
        assert ("press-01", 100) in numbers(records)
        assert sum(record.size for record in records) <= 4400
        assert len(gaps(records)) == 1

    async def test_full_drops_the_newest_and_says_so(self, make: Make) -> None:
        """With drop_newest what came first stays."""
        outbox = make(max_bytes="4000B", when_full="drop_newest")
        async with outbox.open():
            for number in range(100):
                outbox.append(batch(number=number))
            await outbox.flush()
            with outbox.reader() as reader:
                records = await backlog(reader)
        _accounted(records, 100, "dropped")
        assert ("press-01", 1) in numbers(records)
        assert ("press-01", 100) not in numbers(records)

    async def test_large_batches_are_cut(self, make: Make) -> None:
        """More than 1,000 readings, or more than the route's message size, become several records, in order."""
        whole = batch(readings=2500)
        outbox = make()
        async with outbox.open():
            with outbox.reader() as reader:
                outbox.append(whole)
                records = await live(reader, 3)
                while (
                    sum(len(record.content.readings) for record in records if isinstance(record.content, Batch)) < 2500
                ):
                    records += await live(reader, 1)
        parts = [record.content for record in records if isinstance(record.content, Batch)]
        assert [reading for part in parts for reading in part.readings] == whole.readings
        assert max(len(part.readings) for part in parts) <= 1000
        assert len(whole.readings) == 2500

    async def test_the_memo_answers_at_once(self, make: Make) -> None:
        """A note can be read back the moment it is put; None deletes it."""
        outbox = make()
        async with outbox.open():
            outbox.memo.put("bdSeq", b"\x07")
            assert outbox.memo.get("bdSeq") == b"\x07"
            await outbox.flush()
            outbox.memo.put("bdSeq", None)
            assert outbox.memo.get("bdSeq") is None

    async def test_every_opening_is_a_new_epoch(self, make: Make) -> None:
        """Two runs never share an epoch."""
        epochs = set()
        for _ in range(3):
            outbox = make()
            async with outbox.open():
                outbox.append(batch())
                await outbox.flush()
                epochs.add(max(stream.epoch for stream in outbox.streams()))
        assert len(epochs) == 3

    async def test_an_abandoned_wait_loses_nothing(self, make: Make) -> None:
        """Cancelling `live` or `backlog` leaves the lanes as they were."""
        outbox = make()
        async with outbox.open():
            for _ in range(3):
                outbox.append(batch())
            with outbox.reader() as reader:
                had: list[Record] = []
                for _ in range(3):
                    async with asyncio.TaskGroup() as group:
                        tasks = [group.create_task(reader.backlog(1)), group.create_task(reader.live(1))]
                        await asyncio.sleep(0)
                        for task in tasks:
                            task.cancel()
                    had += [record for task in tasks if not task.cancelled() for record in task.result()]
                outbox.append(batch())
                assert numbers(await live(reader, 1)) == [("press-01", 4)]
                assert [seq for _, seq in numbers([*had, *await backlog(reader)])] == [1, 2, 3]

    async def test_figures(self, make: Make) -> None:
        """The figures tell what is kept, what waits as backlog, and how old the oldest is."""
        outbox = make()
        async with outbox.open():
            for _ in range(4):
                outbox.append(batch())
            await outbox.flush()
            stats = outbox.stats
            assert (stats.records, stats.backlog) == (4, 4)
            assert stats.bytes > 0
            assert stats.oldest_ts is not None
            with outbox.reader() as reader:
                outbox.append(batch())
                (fresh,) = await live(reader, 1)
                assert (outbox.stats.records, outbox.stats.backlog) == (5, 4)
                reader.ack(fresh)
                assert outbox.stats.records == 4


def _accounted(records: Sequence[Record], total: int, kind: str) -> None:
    seen = [seq for _, seq in numbers(records)]
    for gap in gaps(records):
        assert gap.kind == kind
        assert gap.from_seq is not None
        assert gap.to_seq is not None
        assert gap.records == gap.to_seq - gap.from_seq + 1
        assert gap.readings == 2 * gap.records
        seen += range(gap.from_seq, gap.to_seq + 1)
    assert sorted(seen) == list(range(1, total + 1))
