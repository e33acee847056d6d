"""Servers for the tests of this folder and of the contract of collectors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.opcua.server import Hall, Plant


@pytest.fixture(scope="session")
def hall() -> Iterator[Hall]:
    """Where servers run."""
    opened = Hall()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared(hall: Hall) -> Plant:
    """One server for all tests that only add nodes: starting one takes more than a second."""
    return hall.plant_sync()
