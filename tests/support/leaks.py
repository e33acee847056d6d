"""A test that leaves a task or a thread behind fails; what it did to the log is undone."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from tests.support.waiting import eventually_sync


@pytest.fixture
async def _task_watch() -> AsyncIterator[None]:
    yield
    leaked = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in leaked:
        task.cancel()
    if leaked:
        await asyncio.wait(leaked, timeout=2)
        pytest.fail("leaked tasks: " + ", ".join(sorted(f"{t.get_name()} {t.get_coro()!r}" for t in leaked)))


@pytest.fixture(autouse=True)
def _no_leaked_tasks(_no_leaked_threads: None, request: pytest.FixtureRequest) -> None:
    """Set up first, so torn down after the fixtures of the test: what they own may live until then."""
    function = getattr(request, "function", None)
    function = getattr(getattr(function, "hypothesis", None), "inner_test", function)  # @given wraps it
    if inspect.iscoroutinefunction(function):
        request.getfixturevalue("_task_watch")


@pytest.fixture(autouse=True)
def _no_leaked_threads() -> Iterator[None]:
    """Every thread that a test starts has ended a moment after it; daemon threads count too."""
    before = set(threading.enumerate())
    yield

    def alive() -> list[str]:
        new = [thread.name for thread in threading.enumerate() if thread not in before and thread.is_alive()]
        return [name for name in new if not name.startswith("pytest_timeout")]  # its clock, set again for a failed test

    try:
        eventually_sync(lambda: not alive(), 5)
    except AssertionError:
        pytest.fail(f"leaked threads: {', '.join(sorted(alive()))}")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that a test calls in its own process says how the whole process logs: the next test hears all again."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.get_config() != before:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
