"""Fixtures of every test. What they do is written in tests/support."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from pytest_timeout import Settings  # type: ignore[import-untyped]

from agent.cli.loop import loop_factory

pytest.register_assert_rewrite("tests.support")
collect_ignore = ["plugin"]  # a package of somebody else: e2e/test_plugin.py installs and judges it
pytest_plugins = ["tests.support.leaks", "tests.support.memory", "tests.support.mosquitto", "tests.support.postgres"]

# No timed assertion, not by hypothesis either: the machine may be busy. Where CI=true the examples are the same every
# time, so that a red run is one that can be looked at.
settings.register_profile(
    "edge", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)  # fmt: skip
settings.load_profile("edge")

# Agents that tests start keep what they compiled: else each compiles the whole agent, a third of what a start costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test runs on the loop the agent runs on: uvloop's transports are no subclasses of asyncio's."""
    return {"agent's": loop_factory() or asyncio.new_event_loop}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `soak` runs with EDGE_SOAK=1, as `make soak` sets it."""
    if os.environ.get("EDGE_SOAK") == "1":
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    if long:
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """A test that has failed may hang while it is cleared away: pytest-timeout has just stopped its clock."""
    if isinstance(node, pytest.Function):
        node.ihook.pytest_timeout_set_timer(item=node, settings=Settings(120, "thread", False, False))


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays for good: no collection of garbage need look through it."""
    gc.collect()
    gc.freeze()
