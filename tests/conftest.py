"""Fixtures of every test. What they do is written in tests/support."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.leaks", "tests.support.mosquitto"]

# No timed assertion, not by hypothesis either: the machine may be busy. Where CI=true the examples are the same every
# time, so that a red run is one that can be looked at.
settings.register_profile(
    "edge", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)  # fmt: skip
settings.load_profile("edge")
