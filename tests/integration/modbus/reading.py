"""Samples as a test wants to look at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from agent.collectors.modbus.config import ModbusConfig
from agent.core.flow import Sample
from agent.core.quality import name_of


class Said(NamedTuple):
    """One tag in one sample."""

    value: object
    code: str  #: status code name
    reason: str | None = None


def said(config: ModbusConfig, *samples: Sample) -> dict[str, Said]:
    """What samples say of each tag; an AssertionError where one is said twice."""
    names = list(config.tags)
    found: dict[str, Said] = {}
    for sample in samples:
        for answer in sample.answers:
            assert len(answer.tags) == len(answer.values)
            for index, (position, value) in enumerate(zip(answer.tags, answer.values, strict=True)):
                status = answer.status if isinstance(answer.status, int) else answer.status[index]
                reason = answer.reason
                words = reason if isinstance(reason, str) or reason is None else reason.get(index)
                assert names[position] not in found, f"{names[position]} twice"
                found[names[position]] = Said(value, name_of(status), words)
    return found


async def take(samples: AsyncIterator[Sample], seconds: float = 30.0) -> Sample:
    """The next sample, before a deadline."""
    async with asyncio.timeout(seconds):
        return await anext(samples)


async def cycle(samples: AsyncIterator[Sample], config: ModbusConfig) -> dict[str, Said]:
    """Samples until every tag has been said once."""
    taken: list[Sample] = []
    while True:
        taken.append(await take(samples))
        found = said(config, *taken)
        if len(found) == sum(tag.enabled for tag in config.tags.values()):
            return found
