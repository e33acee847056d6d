"""Reading from a broker that never stops: what it may take of a loop in which devices are read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from agent.publishers.mqtt.driver import Driver
from tests.support.waiting import eventually


class Flooded:
    """A client whose every reading takes 10 ms by the clock, and leaves more to be read."""

    ahead = b"more"
    turn = heard = 0
    until = 0.0

    def __init__(self, sock: socket.socket) -> None:
        self.now = 1000.0
        self.reads = self.hears = 0
        self.takes = 0.01
        self._sock: socket.socket | None = sock

    def socket(self) -> socket.socket | None:
        return self._sock

    def loop_read(self) -> None:
        self.reads += 1
        self.now += self.takes
        self.heard += self.hears
        self.turn = 0 if self.takes == 0.01 else 1

    def want_write(self) -> bool:
        return False


@pytest.fixture
def flooded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flooded]:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        client = Flooded(near)
        monkeypatch.setattr("agent.publishers.mqtt.driver.time", SimpleNamespace(monotonic=lambda: client.now))
        yield client


def driving(client: Flooded, *, rests: bool) -> Driver:
    made: Any = client
    driver = Driver(made, lambda _error: None, lambda: None, rests=rests)
    driver.begin(client.socket())
    return driver


def resting(driver: Driver) -> bool:
    return driver._rest is not None


async def test_where_devices_live_reading_rests_three_times_as_long_as_it_took(flooded: Flooded) -> None:
    """It goes on by itself, and neither holding it meanwhile nor its end brings it back too early."""
    driver = driving(flooded, rests=True)
    assert resting(driver)
    driver.hold(True)
    driver.hold(False)
    driver._readable()
    assert flooded.reads == 1
    await eventually(lambda: flooded.reads >= 3)
    driver._on_socket_close(None, None, None)
    assert not resting(driver)
    driver.end()


async def test_messages_without_end_leave_nearly_all_of_the_loop_to_devices(flooded: Flooded) -> None:
    """A turn ends after 5 ms, however little came; what makes no sense is read for a twentieth of the time."""
    flooded.takes, flooded.hears = 0.001, 10
    driver = driving(flooded, rests=True)
    assert 5 <= flooded.reads <= 6
    assert driver._free - flooded.now == pytest.approx(0.019 * flooded.reads)
    driver._on_socket_close(None, None, None)
    driver.end()


async def test_a_machine_that_stood_still_in_a_reading_rests_no_longer(flooded: Flooded) -> None:
    """Acknowledgements would else be read too late."""
    driver = driving(flooded, rests=True)
    flooded.now += 3600.0
    assert driver._free < flooded.now
    driver._free = flooded.now + 3600.0
    driver._rest = None
    driver._readable()
    assert driver._free - flooded.now <= 0.25
    driver._on_socket_close(None, None, None)
    driver.end()


async def test_a_consumer_reads_without_a_rest(flooded: Flooded) -> None:
    """That is what its process is for."""
    driver = driving(flooded, rests=False)
    assert not resting(driver)
    await eventually(lambda: flooded.reads >= 3)
    driver._on_socket_close(None, None, None)
    driver.end()
    flooded.ahead = b""
