"""Scans of any protocol of requests and responses, shown with one that knows numbers only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agent.collectors.common.pending import Pending
from agent.collectors.common.scanner import Scanner
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Answer
from agent.testing.clock import ManualClock

SILENT, LOST = "silent", "lost"


class Numbers(Scanner[str, int]):
    """A step is a number in figures, a silence, a loss, or `later`, which is not answered yet."""

    def __init__(self, *steps: str, more: Sequence[str] = (), lenient: bool = False) -> None:
        self.woken = asyncio.Event()
        super().__init__(ManualClock(), steps, self.woken.set, lenient=lenient)
        self.asked: list[str] = []
        self.more = list(more)
        self.late: Pending[int] = Pending()

    def ask(self, step: str) -> Pending[int]:
        self.asked.append(step)
        if step == "later":
            return self.late
        answer: Pending[int] = Pending()
        if step.isdecimal():
            answer.answer(int(step))
        else:
            answer.fail(TransientError(step) if step == SILENT else ConnectionLost(step))
        return answer

    def judge(self, step: str, answer: Pending[int], asked_at: float) -> None:
        try:
            value = answer.result()
        except ConnectionLost:
            raise
        except TransientError:
            self.silent += 1
            return
        self.answered += 1
        self._answers.append(Answer((0,), [value], 0))

    def silence(self) -> Exception:
        return TransientError("nobody there")

    def extra(self) -> str | None:
        return self.more.pop(0) if self.more else None


async def following(scan: Numbers) -> list[Answer]:
    """What it hands on next, when that has come."""
    while (answers := scan.next()) is None:
        await scan.woken.wait()
        scan.woken.clear()
    return answers


def values(answers: Sequence[Answer]) -> list[object]:
    return [value for answer in answers for value in answer.values]


async def test_all_in_one_piece() -> None:
    """What is answered quickly is handed on together, with what is asked besides."""
    scan = Numbers("1", SILENT, "2", more=["3"])
    assert values(await following(scan)) == [1, 2, 3]
    assert scan.over


async def test_two_silences_at_the_start_end_it() -> None:
    """Nobody waits for a third; one silence alone ends a scan at its end; a lenient scan is ended by none."""
    scan = Numbers(SILENT, SILENT, "1")
    with pytest.raises(TransientError, match="nobody there"):
        await following(scan)
    assert scan.asked == [SILENT, SILENT]
    with pytest.raises(TransientError, match="nobody there"):
        await following(Numbers(SILENT))
    assert values(await following(Numbers(SILENT, SILENT, SILENT, lenient=True))) == []
    assert values(await following(Numbers("1", SILENT, SILENT, SILENT))) == [1]


async def test_what_was_read_before_a_loss_is_handed_on_first() -> None:
    """The loss is raised at the next call, at once where there is nothing to hand on."""
    scan = Numbers("1", "2", LOST, "3")
    assert values(await following(scan)) == [1, 2]
    assert not scan.over
    with pytest.raises(ConnectionLost):
        await following(scan)
    assert scan.asked == ["1", "2", LOST]
    with pytest.raises(ConnectionLost):
        await following(Numbers(LOST, "1"))


async def test_good_values_do_not_wait_for_a_late_answer() -> None:
    """What is at hand is handed on after a while; the rest follows when it has come."""
    scan = Numbers("1", "later", "2")
    assert values(await following(scan)) == [1]
    scan.late.answer(7)
    assert values(await following(scan)) == [7, 2]
    assert scan.over


async def test_closing_abandons_what_is_on_its_way() -> None:
    """Whoever leaves early leaves no answer waited for."""
    scan = Numbers("1", "later")
    await following(scan)
    scan.close()
    with pytest.raises(asyncio.CancelledError):
        scan.late.result()


async def test_whoever_stops_waiting_may_come_back() -> None:
    """A scan that is cancelled while it waits has abandoned nothing: it goes on with the same answer, and asks nothing
    twice.
    """
    scan = Numbers("later", "2")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await following(scan)
    scan.late.answer(7)
    assert values(await following(scan)) == [7, 2]
    assert scan.asked == ["later", "2"]
