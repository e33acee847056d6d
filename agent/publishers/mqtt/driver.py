"""The socket of one connection on the event loop: when paho reads, when it writes, and whether anybody is there.

paho's `loop_*` calls happen here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from agent.core.clock import to_beat
from agent.publishers.mqtt.hooks import TURN, Client, unacknowledged

#: A PINGREQ follows so much silence, and so long its answer is waited for, in keep-alives: with two ticks of the look
#: at it a dead link is noticed within one keep-alive.
SILENCE = 0.44
TICK = 0.05
#: Reading may be a quarter of what the loop does, where others live in it: each second of it counts for so many, and
#: where more than so many are owed it rests. A broker that never stops sending would else leave devices next to nothing
#: of a busy machine.
_COUNTS, _MOST_OWED = 3, 0.02
#: A twentieth it may be where more messages than this came in one turn: so much has nobody to say to us.
_MANY, _COUNTS_THEN = 50, 19
_MOST_REST = 0.25  #: seconds: a machine may have stood still in the middle of a reading
_MAX_READS = 64  # turns of paho's reader before the loop may do something else, …
_MOST_TURN = 0.005  #: … and so many seconds


class Driver:
    """Belongs to one connection. `broken` is told what paho raises, `moved` that bytes have reached the other side."""

    def __init__(
        self, client: Client, broken: Callable[[Exception], None], moved: Callable[[], None], *, rests: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._broken = broken
        self._moved = moved
        self._fd = -1
        self._unsent, self._heard_at = 0, 0.0
        self._flushing = self._writing = self._held = self._over = False
        self._rests = rests
        self._free = 0.0  #: when the loop has had as much time for others as it has spent reading
        self._rest: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def began(self) -> bool:
        """Whether there was a socket."""
        return self._fd >= 0

    def begin(self, sock: Any) -> None:
        """Read and write from now on; what is there already is read at once."""
        client = self._client
        self._fd = sock.fileno()
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = lambda *_: self._flush_soon()
        client.on_socket_unregister_write = lambda *_: self._stop_writing()
        self._loop.add_reader(self._fd, self._readable)
        if client.want_write():
            self._flush_soon()
        self._readable()

    def watch(self, keep_alive: float) -> None:
        """Look after the link: a dead one is noticed within this, seconds."""
        self._client.pace(keep_alive * SILENCE)
        self._look_every(min(1.0, keep_alive * TICK))

    def hold(self, held: bool) -> None:
        """Read nothing until it is called with false."""
        if held == self._held or self._over:
            return
        self._held = held
        if held:
            self._loop.remove_reader(self._fd)
        elif self._rest is None:
            self._go_on()

    def end(self) -> None:
        """The connection is gone."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def guard(self, step: Callable[[], object]) -> None:
        """A packet nobody can read ends the connection, not the process: paho raises whatever its decoding raises."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - translated once, by the connection
            self._broken(error)

    def _look_every(self, seconds: float) -> None:
        if not self._over:
            self.guard(self.look)
            self._timer = self._loop.call_later(to_beat(time.monotonic(), seconds), self._look_every, seconds)

    def look(self) -> None:
        """Is anybody there? A slow link that still moves is not dead, although a PINGREQ waits behind its load."""
        client = self._client
        if client.cut:  # reading tells the end as a rule, and sooner
            self._read()
            client.give_up()
            return
        unsent = unacknowledged(self._fd)
        if unsent < self._unsent:
            client.alive()
            self._moved()
        elif self._held:
            client.excuse()
        elif client.heard_at != self._heard_at:
            client.alive()
        client.loop_misc()
        self._unsent, self._heard_at = unsent, client.heard_at

    def _readable(self) -> None:
        if self._rest is not None:
            return
        began = time.monotonic()
        self.guard(self._read)
        now = time.monotonic()
        counts = _COUNTS if self._client.heard <= _MANY else _COUNTS_THEN
        self._free = min(max(self._free, now) + (now - began) * counts, now + _MOST_REST)
        if self._rests and self._free - now > _MOST_OWED and self._client.socket() is not None and not self._over:
            self._loop.remove_reader(self._fd)
            self._rest = self._loop.call_later(self._free - now, self._rested)

    def _rested(self) -> None:
        self._rest = None
        if not self._held and not self._over:
            self._go_on()

    def _go_on(self) -> None:
        self._loop.add_reader(self._fd, self._readable)
        self._loop.call_soon(self._readable)

    def _read(self) -> None:
        client = self._client
        client.turn, client.until, client.heard = TURN, time.monotonic() + _MOST_TURN, 0
        for _ in range(_MAX_READS):
            if self._held:
                return
            client.loop_read()
            sock: Any = client.socket()
            if sock is None:
                return
            if client.turn <= 0 or time.monotonic() > client.until:
                break
            # what was read ahead, or decrypted by TLS, never makes the file descriptor readable again
            if not (client.ahead or (hasattr(sock, "pending") and sock.pending())):
                return
        self._loop.call_soon(self._readable)

    def _flush_soon(self) -> None:
        if not self._flushing and not self._writing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        client, self._flushing = self._client, False
        self.guard(client.loop_write)
        if client.want_write() and not self._writing and not self._over:
            self._writing = True
            self._loop.add_writer(self._fd, self._flush)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def _on_socket_close(self, _client: Any, _data: Any, _sock: Any) -> None:
        # by number, while it is still open: uvloop refuses a closed one
        self._loop.remove_reader(self._fd)
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._stop_writing()
