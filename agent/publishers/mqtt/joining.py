"""PUBLISH packets that stand in line, joined: one call of the operating system writes them all. Pure.

paho writes its line packet by packet; that stays as it is, behind this. Records that were committed together stand in
line together, so on a busy route most calls are saved.
"""

from __future__ import annotations

from collections import deque
from typing import Any

#: So many bytes are written at once at most: more would only be copied about.
MOST_BYTES = 32 << 10
_PUBLISH = 0x30


def join_publishes(line: deque[Any]) -> None:
    """Make one packet of those at the head of paho's line that nothing follows when they are written.

    That is so for a PUBLISH at QoS 1 or 2: paho waits for its acknowledgement, not for its end. One that is partly
    written stays alone.
    """
    if len(line) < 2:
        return
    taken: list[Any] = []
    size = 0
    for packet in line:
        size += packet["to_process"]
        if packet["command"] & 0xF0 != _PUBLISH or not packet["qos"] or packet["pos"] or size > MOST_BYTES:
            break
        taken.append(packet)
    if len(taken) < 2:
        return
    for _ in taken:
        line.popleft()
    whole = bytearray().join(packet["packet"] for packet in taken)
    line.appendleft(taken[-1] | {"packet": whole, "to_process": len(whole)})
