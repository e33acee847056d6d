from __future__ import annotations

import pytest

from agent.core.clock import SystemClock
from agent.core.flow import Gap
from agent.outbox import SqliteOutbox
from agent.settings.outbox import OutboxSettings
from agent.testing.outbox import ScriptedOutbox
from agent.testing.outbox_contract import OutboxContract
from agent.testing.records import backlog, batch, gaps, live


@pytest.fixture(params=["memory", "commit", "fsync", "on_outage", "compress"])
def durability(request):
    """And two ways to spare the flash, with `commit`."""
    more = {"on_outage": {"disk": "on_outage"}, "compress": {"compress": True}}.get(request.param)
    return {"durability": request.param} if more is None else more


class TestSqliteOutbox(OutboxContract):
    @pytest.fixture
    def make(self, tmp_path, durability):
        def make(**settings):
            return SqliteOutbox(
                tmp_path / "route.sqlite",
                name="route",
                settings=OutboxSettings.model_validate({"min_free_disk": "0B", **durability, **settings}),
                clock=SystemClock(),
            )

        return make

    async def test_losses_that_meet_are_one_declaration(self, make):
        """While nobody was told: again and again makes one gap with the sum, an hour later makes another."""

        def missed(name, second):
            return Gap(
                id=name, kind="missed", device="press-01", reason="queue overflow", readings=2,
                from_ts=second * 1000, to_ts=second * 1000 + 500,
            )  # fmt: skip

        outbox = make()
        async with outbox.open():
            for number in range(5):
                outbox.append(missed(f"{number}", number))
                await outbox.flush()
            for number in range(3600, 3603):
                outbox.append(missed(f"{number}", number))
            await outbox.flush()
            with outbox.reader() as reader:
                records = await backlog(reader)
        said = [(gap.id, gap.from_ts, gap.to_ts, gap.readings) for gap in gaps(records)]
        assert said == [("0", 0, 4500, 10), ("3600", 3_600_000, 3_602_500, 6)]


class TestScriptedOutbox(OutboxContract):
    @pytest.fixture
    def make(self):
        return lambda **settings: ScriptedOutbox(OutboxSettings(**settings))

    async def test_nothing_is_handed_out_while_the_disk_refuses(self, make):
        """A refusing twin keeps what is appended to itself until it accepts again."""
        outbox = make()
        async with outbox.open():
            outbox.refuse()
            with outbox.reader() as reader:
                outbox.append(batch())
                await outbox.flush()
                assert not outbox.stats.committing
                outbox.accept()
                assert [record.seq for record in await live(reader, 1)] == [1]
