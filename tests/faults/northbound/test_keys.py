"""No deduplication key ever carries two payloads, whatever becomes of the process and its data directory."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from agent.simulator.proxy import Proxy
from tests.support.consumer import consuming
from tests.support.load import caught_up
from tests.support.waiting import eventually


def back_up(agent, copy):
    """An operator copies the files as they are; what goes away meanwhile, or is none (a socket), is not among them."""

    def one(source, target):
        with suppress(FileNotFoundError):
            if Path(source).is_file():
                shutil.copy2(source, target)

    shutil.copytree(agent.data_dir, copy, copy_function=one)


def put_back(agent, copy):
    """An operator restores a backup."""
    shutil.rmtree(agent.data_dir)
    shutil.copytree(copy, agent.data_dir)


@pytest.mark.soak
async def test_restored_data_dir_makes_no_key_mean_two_things(mosquitto, start_load, make_agent, tmp_path):
    """After a drain, a kill and two restores of older copies what comes again is the same, and what is new is new."""
    load = await start_load()
    async with consuming(mosquitto.url) as consumer, Proxy("127.0.0.1", mosquitto.port) as cable:
        agent = make_agent(load, cable.port, replay={"max_rate": "200/s"})
        await agent.start()
        await consumer.heard(3, *load.devices)
        assert await agent.stop() == 0

        await agent.start()  # after a full drain
        await consumer.heard(3, *load.devices)
        await cable.cut()
        await load.goes_on(1)
        agent.kill()
        back_up(agent, tmp_path / "killed")

        await agent.start()
        await cable.restore()
        await consumer.heard(3, *load.devices)
        await caught_up(agent)
        back_up(agent, tmp_path / "running")
        await consumer.heard(3, *load.devices)
        agent.kill()

        again = consumer.duplicates
        put_back(agent, tmp_path / "killed")
        await agent.start()
        await consumer.heard(3, *load.devices)
        await caught_up(agent)
        # what waited in the copy had come meanwhile; how much of its second was committed, the kill decided
        await eventually(lambda: consumer.duplicates - again >= 10, what="it comes again")
        agent.kill()

        put_back(agent, tmp_path / "running")
        await agent.start()
        await consumer.heard(3, *load.devices)
        await caught_up(agent)
        assert await agent.stop() == 0

        assert len(consumer.epochs) == 5
        assert consumer.two_faced == []
        assert consumer.disorder() == []
        assert consumer.without_snapshot() == []
        await consumer.complete()
        assert "missing=0" in consumer.audit.line()
        assert "conflicts=0" in consumer.audit.line()
