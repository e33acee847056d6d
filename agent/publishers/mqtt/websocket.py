"""paho-mqtt's WebSocket, made to keep to RFC 6455. Used by `hooks.py` and `access.py` only."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as paho


class WebSocket(paho._WebsocketWrapper):  # noqa: SLF001 - paho has no other door
    """paho's, with every frame masked as RFC 6455, 5.1 wants it: paho's own answers to pings make strict servers close.

    In the middle of another frame it answers nothing: the server asks again.
    """

    def send(self, data: bytes | bytearray) -> int:
        """BlockingIOError until the whole frame is written: at 0 paho drops the packet, and half a frame stays here."""
        if (sent := super().send(data)) or not data:
            return sent
        raise BlockingIOError

    def _create_frame(self, opcode: int, data: bytearray, do_masking: int = 1) -> bytearray:
        del do_masking
        if opcode & 8 and self._sendbuffer:
            return bytearray()
        size, mask = len(data), os.urandom(4)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < 1 << 16:
            head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
        key = (mask * (size // 4 + 1))[:size]  # as one number: byte by byte it would cost 10 ms for 100 KiB
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
        return bytearray(head + mask + masked)


def upgrade(host: str, port: int, path: str, *, tls: bool) -> Callable[[socket.socket], Any]:
    """Makes a connected, blocking socket into one that speaks MQTT over WebSocket (MQTT 5: 6)."""
    return lambda sock: WebSocket(sock, host, port, tls, path, None)
