from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua as library

from agent.collectors.opcua.config import OpcUaConfig
from agent.core.errors import ConnectionLost
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant, node_id
from tests.integration.opcua.support import BRISK, Notebook

ua: Any = library


async def level(plant: Plant, value: int) -> None:
    data = ua.DataValue(ua.Variant(value, ua.VariantType.Byte))
    await plant.do(plant.server.write_attribute_value(node_id("i=2267"), data))


async def test_another_server_takes_over(hall: Hall) -> None:
    """When one is gone, and when it says that it is not well: the same tag from the other one, the gap declared."""
    first, second = await hall.plant(), await hall.plant(["urn:other", URN])
    for plant, value in ((first, "first"), (second, "second")):
        await level(plant, 255)
        await plant.do(plant.add("a", value))
    made = OpcUaConfig.model_validate(
        {
            "type": "opcua",
            "urls": [first.url, second.url],
            "interval": "50ms",
            "tags": {"a": {"node": f"nsu={URN};s=a"}},
        }
    )
    context = SimpleContext()
    collector = made.build("dev", context, BRISK._replace(pulse=0.02))

    async def connection(value: str, then: Any = None) -> Notebook:
        async with collector.open() as samples:
            notebook = Notebook(["a"], samples, context)
            await notebook.heard()
            assert notebook.newest("a") == value
            if then is not None:
                await then
                with pytest.raises(ConnectionLost):
                    await notebook.until(lambda: False)
        return notebook

    await connection("first", level(first, 1))
    notebook = await connection("second", second.do(second.close_listener()))
    assert len(notebook.losses) == 1
    await level(first, 255)
    await connection("first")
    for plant in (first, second):
        await hall.stop(plant)
