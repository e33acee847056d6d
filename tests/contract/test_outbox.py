from __future__ import annotations

import pytest

from agent.core.clock import SystemClock
from agent.outbox import SqliteOutbox
from agent.settings.base import OutboxSettings
from agent.testing.outbox_contract import OutboxContract


@pytest.fixture(params=["memory", "commit", "fsync"])
def durability(request):
    return request.param


class TestSqliteOutbox(OutboxContract):
    @pytest.fixture
    def make(self, tmp_path, durability):
        def make(**settings):
            return SqliteOutbox(
                tmp_path / "route.sqlite",
                name="route",
                settings=OutboxSettings(durability=durability, min_free_disk="0B", **settings),
                clock=SystemClock(),
            )

        return make
