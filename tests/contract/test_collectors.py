"""Every collector keeps the contract of its port. A new protocol adds its bench to BENCHES."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from agent.core.ports import BuildContext, Collector
from agent.testing.collector_contract import CHECKS, Bench
from tests.integration.modbus.servers import Plant, device
from tests.integration.opcua.bench import OpcUaBench
from tests.integration.opcua.server import Hall


class ModbusBench(Plant):
    """The library's own server."""

    tags = 4

    def build(self, name: str, context: BuildContext) -> Collector:
        tags: dict[str, object] = {
            "count": {"address": "holding:0", "type": "uint32"},
            "running": "coil:3",
            "overload": "input:10.4",
            "once": {"address": "holding:9", "interval": "once"},
        }
        return device(self.url, tags).build(name, context)


BENCHES: dict[str, Callable[[Hall], Bench]] = {
    "modbus": lambda _hall: ModbusBench(),
    "opcua subscribe": lambda hall: OpcUaBench(hall, "subscribe"),
    "opcua poll": lambda hall: OpcUaBench(hall, "poll"),
}


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    """Where OPC UA servers run; its thread costs nothing while none is asked for."""
    opened = Hall()
    yield opened
    opened.close()


@pytest.fixture(params=BENCHES)
async def bench(request: pytest.FixtureRequest, hall: Hall) -> AsyncIterator[Bench]:
    found = BENCHES[request.param](hall)
    yield found
    await found.down()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: Callable[[Bench], Awaitable[None]], bench: Bench) -> None:
    """The collector passes the check."""
    await check(bench)
