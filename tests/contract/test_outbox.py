from __future__ import annotations

import pytest

from agent.core.clock import SystemClock
from agent.outbox import SqliteOutbox
from agent.settings.base import OutboxSettings
from agent.testing.outbox import ScriptedOutbox
from agent.testing.outbox_contract import OutboxContract, batch, live


@pytest.fixture(params=["memory", "commit", "fsync", "on_outage"])
def durability(request):
    """`on_outage`: with `commit`, but what a broker takes at once stays in memory."""
    return (
        {"durability": "commit", "disk": "on_outage"} if request.param == "on_outage" else {"durability": request.param}
    )


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
