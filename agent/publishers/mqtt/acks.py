"""PUBACKs that stand in line, taken from what was read (MQTT 5: 3.4). Pure; paho takes whatever else comes.

paho reads a packet in three calls of the operating system and hands it through six functions. A broker answers records
that were written together together, and says nothing but which and whether.
"""

from __future__ import annotations

from struct import Struct

_unpack = Struct(">HHB").unpack_from  # first byte and length, packet identifier, reason code
_BARE = 0x4002  # without a reason code,
_CODED = (0x4003, 0x4004)  # with one, and with the length of no properties;
_SIZE = 0x3FFE  # of the whole packet, taken from these

#: What was answered, and how: packet identifier, and reason code (0 where none is given).
Ack = tuple[int, int]


def take_acks(read: bytes) -> tuple[list[Ack], int]:
    """The whole PUBACKs at the head of what was read, and how many bytes they are.

    Those with properties, and any that are not well formed, are left to paho.
    """
    found: list[Ack] = []
    at, end = 0, len(read)
    padded = read + b"\0"  # a bare one at the end can be looked at like all others
    while at + 4 <= end:
        head, mid, code = _unpack(padded, at)
        if head == _BARE:
            found.append((mid, 0))
            at += 4
        elif head in _CODED and at + (size := head - _SIZE) <= end:
            found.append((mid, code))
            at += size
        else:
            break
    return found, at
