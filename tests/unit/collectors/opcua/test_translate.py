from __future__ import annotations

import asyncio

import pytest

from agent.collectors.opcua.translate import translated


class WithAnswer(asyncio.CancelledError):
    """As wait_for2 raises it, which asyncua uses before Python 3.12."""


async def test_a_cancellation_that_met_its_answer_is_a_plain_one() -> None:
    """What the library raises where both come in one turn would pass for an error in a task group."""

    async def reading() -> None:
        async with asyncio.TaskGroup():
            with translated("reading"):
                raise WithAnswer("the answer")

    with pytest.raises(asyncio.CancelledError) as caught:
        await reading()
    assert type(caught.value) is asyncio.CancelledError
