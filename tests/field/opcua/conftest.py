"""The stage of the cases from the field: an agent, a broker, an ear, and a hall of OPC UA servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.southbound.conftest import hall, running
from tests.integration.opcua.server import Hall, Plant, said

__all__ = ["hall", "running"]


@pytest.fixture(scope="session")
def works() -> Iterator[Plant]:
    """One server for the cases that bend its answers for a while: starting one takes more than a second."""
    opened = Hall()
    yield opened.plant_sync()
    opened.close()


@pytest.fixture
async def plant(works: Plant) -> Plant:
    """It, with the node `a` at 1.5 and no limits."""
    if "a" not in works.nodes:
        await works.do(works.add("a", 1.5))
    await works.do(works.put("a", said(1.5)))
    works.most_reads = None
    await works.do(works.tell(reads=0, items=0))
    return works
