"""The supervisor judges by class, waits, and tries again."""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest
from structlog.testing import capture_logs

from agent.core.backoff import Backoff
from agent.core.errors import ConnectionLost, PermanentError, TransientError
from agent.runtime.supervisor import PERMANENT_RETRY, Attempt, Failure, Supervisor, UnbuiltError, judge
from agent.telemetry.bugs import MOST_BUGS
from agent.testing.clock import ManualClock


def _longest(_low: float, high: float) -> float:
    return high


@pytest.mark.parametrize(
    ("error", "kind", "retry_after"),
    [
        (ConnectionLost("gone"), "transient", 0.0),
        (TransientError("busy", retry_after=7), "transient", 7.0),
        (PermanentError("wrong"), "permanent", PERMANENT_RETRY),
        (ValueError("oops"), "bug", 0.0),
        (
            ExceptionGroup("g", [ConnectionLost("a"), ExceptionGroup("h", [TransientError("b", retry_after=3)])]),
            "transient",
            3.0,
        ),
        (ExceptionGroup("g", [ConnectionLost("a"), PermanentError("b")]), "permanent", PERMANENT_RETRY),
        (ExceptionGroup("g", [PermanentError("b"), KeyError("c")]), "bug", 0.0),
        (ExceptionGroup("g", [UnbuiltError(PermanentError("no library"))]), "permanent", math.inf),
        (UnbuiltError(KeyError("c")), "bug", math.inf),
    ],
)
def test_errors_are_judged_by_their_class(error: Exception, kind: str, retry_after: float) -> None:
    """Groups are unwrapped before they are judged, and the gravest decides."""
    failure = judge(error)
    assert (failure.kind, failure.retry_after) == (kind, retry_after)
    assert ("-> this is a bug" in failure.reason) == (kind == "bug")


@pytest.mark.parametrize("kind", [ConnectionLost, PermanentError, OSError])
def test_a_reason_tells_no_credentials(kind: type[Exception]) -> None:
    """It is logged, shown, published and put into a support bundle: no user and no query of a URL."""
    reason = judge(kind("connecting to opc.tcp://u:p@h:4840/x?token=t: refused")).reason
    assert "connecting to opc.tcp://…@h:4840/x?…: refused" in reason
    assert "token" not in reason


async def test_a_transient_failure_backs_off_and_tries_again() -> None:
    """Delays double from attempt to attempt, and a healthy run resets them."""
    clock = ManualClock()
    tried: list[float] = []

    async def attempt(_: Attempt) -> None:
        tried.append(clock.monotonic())
        reason = "no answer"
        raise ConnectionLost(reason)

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=1, cap=4, uniform=_longest))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run(attempt))
        await clock.advance(12)
        task.cancel()
    assert [later - tried[0] for later in tried] == [0, 1, 3, 7, 11]


async def test_what_could_not_be_built_waits_for_nothing() -> None:
    """No next attempt is promised that cannot succeed; what to do is told."""
    clock, tried = ManualClock(), 0
    failures: list[Failure] = []

    async def attempt(_: Attempt) -> None:
        nonlocal tried
        tried += 1
        raise UnbuiltError(PermanentError("no library", "install it"))

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(), report=failures.append)
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(supervisor.run(attempt))
            await clock.advance(2 * PERMANENT_RETRY)
            assert (tried, supervisor.next_attempt, task.done()) == (1, None, False)
            task.cancel()
    reason = "no library -> install it; once that is mended, restart the agent"
    assert [one.reason for one in failures] == [reason]
    assert next(one for one in logs if one["event"] == "component.failed")["retry_in_s"] is None


async def test_a_healthy_run_resets_the_back_off() -> None:
    """Only staying healthy for longer than the last delay counts as health."""
    clock = ManualClock()
    tried: list[float] = []

    async def attempt(current: Attempt) -> None:
        tried.append(clock.monotonic())
        current.healthy()
        await clock.sleep(10 if len(tried) == 3 else 0.1)
        reason = "dropped"
        raise ConnectionLost(reason)

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=1, cap=60, uniform=_longest))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run(attempt))
        await clock.advance(16.5)
        task.cancel()
    gaps = [round(after - before, 1) for before, after in itertools.pairwise(tried)]
    assert gaps == [1.1, 2.1, 11.0, 2.1]


@pytest.mark.parametrize("carries", [True, False])
async def test_who_carried_data_or_learned_why_is_back_within_the_first_delay(carries: bool) -> None:
    """A second outage within a minute is a new one: whoever carried data meanwhile waits no longer than at first.

    Nor does who has learned what ended it.
    """
    clock = ManualClock()
    tried: list[float] = []

    async def attempt(current: Attempt) -> None:
        tried.append(clock.monotonic())
        if len(tried) == 7:
            current.healthy()
            if carries:
                current.carried()
            await clock.sleep(5)
        raise ConnectionLost("gone", learned=len(tried) == 7 and not carries)

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=1, cap=60, uniform=_longest))
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(supervisor.run(attempt))
            await clock.advance(100)
            task.cancel()
    gaps = [round(after - before, 1) for before, after in itertools.pairwise(tried)]
    assert gaps[:8] == [1, 2, 4, 8, 16, 32, 5 + 1, 2]
    waits = [line["retry_in_s"] for line in logs if line["event"] == "component.waits"]
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 1, 2]


async def test_a_wait_can_be_ended() -> None:
    """`wake` ends the wait, and the back-off begins anew; the wait tells when it ends by itself."""
    clock = ManualClock()
    tried: list[float] = []
    begun = clock.monotonic()

    async def attempt(_: Attempt) -> None:
        tried.append(clock.monotonic() - begun)
        raise PermanentError("wrong password")

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=1, cap=60, uniform=_longest))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run(attempt))
        await clock.advance(10)
        assert supervisor.next_attempt == begun + PERMANENT_RETRY
        supervisor.wake()
        await clock.advance(10)
        assert supervisor.next_attempt == begun + 10 + PERMANENT_RETRY
        task.cancel()
    assert tried == [0, 10]
    assert supervisor.next_attempt is None


async def test_waking_during_an_attempt_counts_for_the_next() -> None:
    """An attempt that began before the change fails with the old secret: the next follows at once."""
    clock = ManualClock()
    tried: list[float] = []
    begun = clock.monotonic()

    async def attempt(current: Attempt) -> None:
        tried.append(clock.monotonic() - begun)
        if len(tried) == 2:
            current.healthy()
        await clock.sleep(3)
        raise ConnectionLost("gone")

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=8, cap=60, uniform=_longest))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run(attempt))
        await clock.advance(1)
        supervisor.wake()
        await clock.advance(4)
        assert supervisor.next_attempt is None
        supervisor.wake()
        await clock.advance(15)
        task.cancel()
    assert tried[:3] == [0, 3, 3 + 3 + 8]


@pytest.mark.parametrize("bug", [ZeroDivisionError, SystemExit])
async def test_a_bug_is_reported_and_survived(bug: type[BaseException]) -> None:
    """An error nobody translated does not end the component, nor does a library that wants to exit end the agent."""
    clock = ManualClock()
    seen: list[Failure] = []

    async def attempt(_: Attempt) -> None:
        if len(seen) < 3:
            raise bug

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=1, uniform=_longest), report=seen.append)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(attempt))
        await clock.advance(20)
    assert [failure.kind for failure in seen] == ["bug"] * 3


async def test_cancellation_is_never_swallowed() -> None:
    """Cancelling a supervisor ends it at once, in an attempt and in a wait."""
    clock = ManualClock()

    async def attempt(_: Attempt) -> None:
        await asyncio.Event().wait()

    supervisor = Supervisor("x", clock=clock, backoff=Backoff())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run(attempt))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


async def test_a_bug_is_said_once_whatever_its_words() -> None:
    """One traceback for a line of code that raises, whatever its message each time; another line is another bug."""
    clock = ManualClock()
    tried = itertools.count()

    async def attempt(_: Attempt) -> None:
        number = next(tried)
        if number == 150:
            raise KeyError(number)
        if number == 200:
            return
        raise ExceptionGroup("g", [ValueError(f"reading {number}")])

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=1, cap=1, uniform=_longest))
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.run(attempt))
            await clock.advance(250)
    assert [line["reason"] for line in logs if line["event"] == "component.bug"] == [
        "ValueError: reading 0",
        "KeyError: 150",
    ]


async def test_the_memory_of_bugs_is_bounded() -> None:
    """However many places raise, no more than a hundred are remembered."""
    clock = ManualClock()
    pending = [type(f"Bug{number}", (Exception,), {}) for number in range(2 * MOST_BUGS)]

    async def attempt(_: Attempt) -> None:
        if pending:
            raise pending.pop()

    supervisor = Supervisor("x", clock=clock, backoff=Backoff(first=1, cap=1, uniform=_longest))
    with capture_logs():
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.run(attempt))
            await clock.advance(3 * MOST_BUGS)
    assert not pending
    assert len(supervisor._bugs._logged) == MOST_BUGS


async def test_cancelled_in_the_moment_of_a_failure() -> None:
    """A task group that fails while it is cancelled raises its failure only: the supervisor ends all the same."""
    clock = ManualClock()
    broken = asyncio.Event()

    async def fail() -> None:
        await broken.wait()
        reason = "gone"
        raise ConnectionLost(reason)

    async def attempt(_: Attempt) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(Supervisor("x", clock=clock, backoff=Backoff()).run(attempt))
    await clock.advance(1)
    broken.set()
    task.cancel()
    await clock.advance(0)
    assert task.cancelled()
