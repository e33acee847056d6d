"""Who a device is, asked of the library's own server over every framing."""

from __future__ import annotations

import pytest

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.identity import identify
from agent.collectors.modbus.bus.transaction import ReadRequest
from agent.testing.context import SimpleContext
from tests.integration.modbus.independent import library
from tests.integration.modbus.servers import device


@pytest.mark.parametrize("kind", ["tcp", "rtu+tcp", "ascii+tcp", "udp"])
async def test_a_server_says_who_it_is(kind: str) -> None:
    """All pages of both categories, and registers are read on as before."""
    async with library(kind) as url, SimpleContext() as context:
        device(url, {"a": "holding:3"}, timeout="60s").build("press", context)
        (bus,) = (one for one in context.buses.values() if isinstance(one, ModbusBus))
        with bus.used():
            await bus.ready()
            found = await identify(bus.ask, 1, 60.0)
            assert found == {
                "vendor": "Acme",
                "product_code": "PM-7",
                "revision": "2.1",
                "vendor_url": "https://acme.example",
                "product": "Power meter " + "x" * 120,
                "model": "y" * 120,
                "application": "hall 2",
            }
            assert len((await bus.ask(1, ReadRequest(3, 0, 2, 60.0))).data) == 4
