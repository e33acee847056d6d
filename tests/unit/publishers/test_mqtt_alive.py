"""Is the link alive? A dead one is noticed within the keep-alive, a slow one is left alone."""

from __future__ import annotations

import contextlib
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import _ConnectionState

from agent.core.flow import Limits, Message
from agent.publishers.mqtt.client import Connection
from agent.publishers.mqtt.dial import Dial
from agent.publishers.mqtt.driver import SILENCE, TICK
from agent.publishers.mqtt.hooks import unacknowledged
from agent.publishers.mqtt.session import MqttSession

KEEP_ALIVE = 30.0


class Wire:
    """A connection whose clock is moved by hand, and whose other end is what a test says."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.unsent = 0
        self.lost: list[str] = []
        patch.setattr(paho, "time_func", lambda: self.now)
        patch.setattr("agent.publishers.mqtt.hooks.time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr("agent.publishers.mqtt.driver.unacknowledged", lambda _fd: self.unsent)
        self.connection = Connection("5", "me", Dial("x", 1, timeout=1, tls=None, synced=lambda: True))
        self.client: Any = self.connection._client
        self.near, self.far = socket.socketpair()
        self.client._sock = self.near
        self.client._state = _ConnectionState.MQTT_CS_CONNECTED
        self.client._last_msg_out = self.client._last_bytes_received = self.now
        self.client.on_disconnect = lambda *_: self.lost.append("dead")
        self.client.on_socket_close = lambda *_: None
        self.client.pace(KEEP_ALIVE * SILENCE)

    def look(self) -> None:
        """One tick later."""
        self.now += KEEP_ALIVE * TICK
        self.connection._driver.look()

    def hear(self) -> None:
        """A packet comes in."""
        self.client._last_bytes_received = self.now


@pytest.fixture
async def wire(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Wire(monkeypatch)
    yield made
    made.client.close()
    made.near.close()
    made.far.close()


@pytest.mark.parametrize("tenth", range(10))
@pytest.mark.parametrize("busy", [False, True])
async def test_a_dead_link_is_noticed_within_the_keep_alive(wire: Wire, tenth: int, busy: bool) -> None:
    """Whenever between two looks the last packet came, and whether or not we go on writing into the dead link."""
    wire.look()
    died = wire.now + tenth / 10 * KEEP_ALIVE * TICK
    wire.client._last_bytes_received = wire.client._last_msg_out = died
    while not wire.lost:
        wire.look()
        if busy:
            wire.unsent += 100
            wire.client._last_msg_out = wire.now
        assert wire.now - died <= KEEP_ALIVE


@pytest.mark.parametrize("life", ["acknowledged by TCP", "packets"])
async def test_a_slow_link_is_not_dead(wire: Wire, life: str) -> None:
    """A PINGREQ whose answer waits behind a load is given time as long as the load moves, and no longer."""
    wire.unsent = 1000
    for _ in range(200):
        if life == "packets":
            wire.hear()
        else:
            wire.unsent -= 1
        wire.client._last_msg_out = wire.now
        wire.look()
    assert not wire.lost
    stopped = wire.now
    while not wire.lost:
        wire.look()
        assert wire.now - stopped <= KEEP_ALIVE


async def test_what_cannot_be_written_ends_at_the_next_look_where_nothing_is_read(wire: Wire) -> None:
    """As a rule reading tells the end, after all that was said before it. Nobody reads what is held."""
    wire.connection._driver._held = True
    wire.far.close()
    wire.client.probe()
    assert (wire.lost, wire.client.want_write()) == ([], False)
    wire.look()
    assert wire.lost == ["dead"]


def test_what_the_other_end_has_not_acknowledged_is_known() -> None:
    """The operating system counts it; a socket that does not tell counts as empty."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection(server.getsockname()) as near:
            near.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    near.send(bytes(100_000))
            assert unacknowledged(near.fileno()) > 0
    assert unacknowledged(near.fileno()) == 0


class SlowBox:
    """A link that takes everything, of which the other end receives a little at a time."""

    mid = 0

    def __init__(self) -> None:
        self.aborted: list[str] = []

    def publish(self, *_: object, **__: object) -> int:
        self.mid += 1
        return self.mid

    def ping(self) -> None:
        pass

    def abort(self, why: str = "") -> None:
        self.aborted.append(why)


async def test_a_broker_that_still_receives_is_not_stuck() -> None:
    """No acknowledgement for many keep-alives, but bytes move: only once they stop it counts as stuck."""
    now = 1000.0
    link = SlowBox()
    limits = Limits(protocol="5", window=20, keep_alive=KEEP_ALIVE)
    session = MqttSession(link, limits, "plant", monotonic=lambda: now)

    def watch() -> None:
        session._watchdog.cancel()
        session._watch()

    await session.send([Message(topic="t/1", payload=b"x")])
    for _ in range(50):
        now += KEEP_ALIVE
        session.moved()
        watch()
    assert link.aborted == []
    now += 2.9 * KEEP_ALIVE
    watch()
    assert link.aborted == []
    now += 0.2 * KEEP_ALIVE
    watch()
    assert link.aborted == ["the broker has acknowledged nothing for 90 s"]
    session._watchdog.cancel()
