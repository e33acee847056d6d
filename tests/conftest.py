"""Fixtures of every test. What they do is written in tests/support."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.leaks", "tests.support.mosquitto"]
