"""One read over Modbus TCP, and what is an answer to it. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.collectors.modbus.bus.transaction import IDENTIFY, MEI_TYPE, ReadRequest

OWN_LENGTH = "a device that counts wrongly needs `workarounds: {mbap_length: ignore}`"


class MbapRead:
    """A read under way, and its answer, kept as bytes: the codec takes them from there.

    `ended` is called once, in the turn of the loop in which the answer comes, or it is known that none will.
    """

    data = b""
    exception_code = 0
    error: Exception | None = None
    timer: asyncio.TimerHandle | None = None

    def __init__(self, unit: int, request: ReadRequest, asked_at: float, ended: Callable[[MbapRead], None]) -> None:
        self.dev_id = unit
        self.request = request
        self.asked_at = asked_at
        self.ended = ended

    def takes(self, frame: bytes) -> bool:
        """Whether it has the form of an answer to this request."""
        function = self.request.function
        if frame[0] == function | 0x80:
            return len(frame) == 2
        if frame[0] == IDENTIFY:
            return function == IDENTIFY and frame[1] == MEI_TYPE
        return frame[0] == function and len(frame) == 2 + self.request.size == 2 + frame[1]

    def take(self, frame: bytes) -> None:
        """Function code and data of the answer. ValueError where that is no answer to this request."""
        function = self.request.function
        if frame[0] == function | 0x80 and len(frame) == 2:
            self.exception_code = frame[1]
        elif frame[0] == function | 0x80:
            raise ValueError(f"an exception of {len(frame)} bytes instead of 2 ({OWN_LENGTH})")
        elif frame[0] != function:
            raise ValueError(f"function {frame[0]} answered instead of {function}")
        elif frame[0] == IDENTIFY:
            self.data = frame[2:]
        elif frame[1] != len(frame) - 2:
            raise ValueError(f"its byte count says {frame[1]}, its header {len(frame) - 2} ({OWN_LENGTH})")
        else:
            self.data = frame[2:]
