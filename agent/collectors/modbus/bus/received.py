"""The bytes that have come over a stream and are not understood yet, and the frames among them.

Around a frame there may be what means nothing: the request's own echo, heartbeats, zero bytes of a floating bus.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.collectors.modbus.bus.framing import Form, Frame, Framer, Garbage
from agent.collectors.modbus.bus.shown import shown

ZEROS = "adapters that let the bus float need `workarounds: {extra_zeros: skip}`"


class Received:
    """Belongs to one connection. `data` is what has come."""

    def __init__(self, framer: Framer, *, skip_zeros: bool, noise: Sequence[bytes]) -> None:
        """`noise`: what may come at any time and means nothing; so do zero bytes where they are to be skipped."""
        self._framer = framer
        self._skip_zeros = skip_zeros
        self._noise = noise
        self._echo = b""  #: what has yet to come back of the request
        self.newest = b""  #: the bytes of the newest frame
        self.data = bytearray()

    def begin(self, echo: bytes) -> None:
        """A request goes out, and comes back first (where `echo` is not empty); half a frame's rest never came."""
        self.data.clear()
        self._echo = echo

    def echoed(self) -> bool:
        """Take the echo of the request away; False while it is not complete. Raises Garbage where it is another."""
        if not self._echo:
            return True
        came = len(self.data)
        if not self._echo.startswith(bytes(self.data[: len(self._echo)])):
            bare = " (where none comes, remove `echo: true`)" if self._framer.whole(bytes(self.data)) else ""
            raise Garbage(f"not the echo of the request: {shown(bytes(self.data))}{bare}")
        del self.data[: len(self._echo)]
        self._echo = self._echo[came:]
        return not self._echo

    def next(self, forms: Sequence[Form]) -> Frame | None:
        """Take a frame of one of these forms, and the heartbeats before it. Raises Garbage."""
        while self.data:
            if self._skip_zeros and not self.data[0]:
                del self.data[:1]
                continue
            try:
                frame = self._framer.find(bytes(self.data), forms)
            except Garbage:
                noise = next((noise for noise in self._noise if self.data.startswith(noise)), None)
                if noise is None:
                    if self._begins_noise():
                        return None
                    raise
                del self.data[: len(noise)]
                continue
            if frame is not None:
                self.newest = bytes(self.data[: frame.length])
                del self.data[: frame.length]
            return frame
        return None

    def end(self) -> None:
        """The answer is complete: raise Garbage where anything but heartbeats is left."""
        try:
            self.next(())
        except Garbage:
            if any(self.data):
                raise Garbage(f"{len(self.data)} bytes hang behind the answer", over=True) from None
        if self.data and not self._begins_noise():
            if not any(self.data):
                raise Garbage(f"zero bytes behind its answer ({ZEROS})", over=True)
            raise Garbage(f"{len(self.data)} bytes hang behind the answer", over=True)

    def _begins_noise(self) -> bool:
        return any(noise.startswith(bytes(self.data)) for noise in self._noise)
