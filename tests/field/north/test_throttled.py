"""A broker that takes a hundred publishes a second: nothing stands still, nothing retained is missing."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from structlog.testing import capture_logs

from tests.field.north.plant import Plant, lines, values
from tests.support.mqtt_broker import FakeBroker, Publish, Script

DEVICES = 60
FEW = 25


class Throttled:
    """Takes `most` publishes at once and `rate` a second; the others get `answer` (None: not a word)."""

    def __init__(self, answer: int | None, most: float = 100, rate: float = 100) -> None:
        self.answer = answer
        self.kept: set[str] = set()
        self.refused = 0
        self._most, self._rate = most, rate
        self._left, self._at = most, 0.0

    def __call__(self, one: Publish) -> int | None:
        now = asyncio.get_running_loop().time()
        self._left, self._at = min(self._most, self._left + (now - self._at) * self._rate), now
        if self._left < 1:
            self.refused += 1
            return self.answer
        self._left -= 1
        if one.retain:
            self.kept.add(one.topic)
        return 0


def complete(plant: Plant, broker: FakeBroker, judge: Throttled) -> bool:
    around = {f"edge/hall/{device}/{part}" for device in plant.devices for part in ("status", "tags")}
    return around < judge.kept and all(1 in values(broker, device) for device in plant.devices)


async def test_a_large_greeting_is_paced(tmp_path: Path) -> None:
    """A broker nobody knows is approached slowly: it throws nothing away."""
    judge = Throttled(None)
    async with FakeBroker(Script(puback=judge)).serve() as broker:
        plant = Plant(tmp_path, broker.url, DEVICES, version="3.1.1")
        async with plant.running():
            plant.read(1)
            await plant.until(lambda: complete(plant, broker, judge), stride=0.05)
            assert (judge.refused, len(broker.connects)) == (0, 1)


async def test_what_is_thrown_away_in_silence_teaches_the_rate(tmp_path: Path) -> None:
    """It was fast once and is throttled now: after a stall, and not after minutes, half the rate does."""
    judge = Throttled(None, most=30, rate=40)
    async with FakeBroker(Script(puback=judge)).serve() as broker:
        plant = Plant(tmp_path, broker.url, FEW, version="3.1.1", keep_alive="1s")
        plant.route._publisher._brokers.of(0).learned.fast = True  # type: ignore[attr-defined]
        with capture_logs() as logs:
            async with plant.running():
                plant.read(1)
                await plant.until(lambda: complete(plant, broker, judge), stride=0.05)
        assert 2 <= len(broker.connects) <= 4
        assert len(lines(logs, "mqtt.rate_learned")) == len(broker.connects) - 1


async def test_what_is_refused_is_sent_again_and_logged_once(tmp_path: Path) -> None:
    """PUBACK 0x97 for a third of the greeting: one line, no other session, and in the end all of it is there."""
    judge = Throttled(0x97, most=30, rate=40)
    async with FakeBroker(Script(puback=judge)).serve() as broker:
        plant = Plant(tmp_path, broker.url, FEW)
        plant.route._publisher._brokers.of(0).learned.fast = True  # type: ignore[attr-defined]
        with capture_logs() as logs:
            async with plant.running():
                plant.read(1)
                await plant.until(lambda: complete(plant, broker, judge), stride=0.05)
                assert judge.refused
                told = lines(logs, "mqtt.rate_learned")  # while the session lasts
        rates = [line["per_second"] for line in told]
        assert rates
        assert rates == sorted(set(rates), reverse=True)  # each is news
        assert len(broker.connects) == 1
        assert len(lines(logs, "publisher.refused")) == 1
        known = plant.route._publisher._brokers.of(0).learned  # type: ignore[attr-defined]
        assert (known.rate, known.fast) == (None, False)  # the next session is not held at it, and begins slowly


async def test_max_rate_holds_for_everything(tmp_path: Path) -> None:
    """`max_rate` counts the greeting, too."""
    seconds: Counter[int] = Counter()

    def count(_one: Publish) -> int:
        seconds[int(asyncio.get_running_loop().time())] += 1
        return 0

    async with FakeBroker(Script(puback=count)).serve() as broker:
        plant = Plant(tmp_path, broker.url, 15, max_rate="40/s")
        async with plant.running():
            plant.read(1)
            await plant.until(lambda: all(1 in values(broker, device) for device in plant.devices), stride=0.05)
        assert max(seconds.values()) <= 50
