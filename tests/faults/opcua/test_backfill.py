"""What an outage left open comes later, as history, and never stands for the present."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.faults.southbound.conftest import Running, opcua
from tests.integration.opcua.server import Hall, said
from tests.support.waiting import eventually


def at(value: int, ms: int) -> Any:
    return said(value, at=dt.datetime.fromtimestamp(ms / 1000, dt.UTC))


async def test_history_fills_an_outage_behind_the_live_data(running: Running, hall: Hall) -> None:
    """Each value of the outage arrives once, historical, with its own time; the present is untouched."""
    plant = await hall.plant()

    async def build() -> None:
        node = await plant.add("a", 0)
        await plant.server.historize_node_data_change(node, dt.timedelta(days=1), 0)

    await plant.do(build())
    async with running({"cnc": opcua(plant.url, "a", backfill=True)}) as (_, ear):
        await ear.good("cnc", ["a"])
        await plant.do(plant.close_listener())
        await ear.hears("cnc", "offline")
        begin = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
        for number in range(1, 151):
            await plant.do(plant.put("a", at(number, begin + number)))
        await plant.do(plant.open_listener())
        await ear.why("cnc", "recovered", ["a"])
        past = {number: begin + number for number in range(1, 150)}

        def filled() -> bool:
            return {one.value: one.ts for one in ear.readings("cnc", "a") if one.value in past} == past

        await eventually(filled, what="every value of the outage arrived with its own time")
        await plant.do(plant.put("a", said(999)))
        await eventually(lambda: ear.readings("cnc", "a", value=999))
        numbers = {one.seq for one in ear.readings("cnc", "a") if one.value in past}
        assert len([one for one in ear.readings("cnc", "a") if one.value in past]) == len(past), "each once"
        records = [record for record in ear.fresh if record.device == "cnc" and record.seq in numbers]
        assert records
        assert all(record.historical and not record.snapshot for record in records)
        (back,) = ear.readings("cnc", "a", why="recovered")
        assert back.value == 150
        assert [gap["kind"] for gap in ear.gaps] == ["missed"]
    await hall.stop(plant)
