from __future__ import annotations

import msgspec

from agent.core.flow import Batch, Reading, Sample


def test_ordinary_readings_carry_nothing_extra():
    """What does not apply is absent in the message, a null value and 64-bit integers are not."""
    plain = Reading(tag="a", value=2**63 + 1, ts=1, quality="good")
    assert msgspec.json.encode(plain) == b'{"tag":"a","value":9223372036854775809,"ts":1,"quality":"good"}'
    null = Reading(tag="a", value=None, ts=1, quality="bad", code="BadTimeout", status=0x800A0000, why="offline")
    assert msgspec.json.decode(msgspec.json.encode(null)) == {
        "tag": "a",
        "value": None,
        "ts": 1,
        "quality": "bad",
        "code": "BadTimeout",
        "status": 0x800A0000,
        "why": "offline",
    }


def test_lost():
    """A lost sample has a reason and no answers; an empty one neither."""
    lost = Sample.lost("refused", 5)
    assert (lost.ts, lost.outage, list(lost.answers)) == (5, "refused", [])
    assert Sample(ts=5).outage is None


def test_batches_share_nothing():
    """A batch owns its list."""
    one, two = (Batch(device="d", ts=1, readings=[]) for _ in range(2))
    one.readings.append(Reading(tag="a", value=1, ts=1, quality="good"))
    assert two.readings == []
