"""PUBACKs that stand in line, taken from what was read (MQTT 5: 3.4). Pure; paho takes whatever else comes.

paho reads a packet in three calls of the operating system and hands it through six functions. A broker answers records
that were written together together, and says nothing but which and whether.
"""

from __future__ import annotations

from struct import unpack_from

_PUBACK = 0x40
_BARE = 0x4002  #: one that gives no reason code, and its length

#: What was answered, and how: packet identifier, and reason code (0 where none is given).
Ack = tuple[int, int]


def take_acks(read: bytes) -> tuple[list[Ack], int]:
    """The whole PUBACKs at the head of what was read, and how many bytes they are.

    Those with properties, and any that are not well formed, are left to paho.
    """
    found: list[Ack] = []
    at, end = 0, len(read)
    words = unpack_from(f">{end // 4 * 2}H", read)
    for head, mid in zip(words[::2], words[1::2], strict=True):
        if head != _BARE:
            break
        found.append((mid, 0))
        at += 4
    while at + 4 <= end and read[at] == _PUBACK:
        length = read[at + 1]
        if not 2 <= length <= 4 or at + 2 + length > end:
            break
        found.append((read[at + 2] << 8 | read[at + 3], read[at + 4] if length > 2 else 0))
        at += 2 + length
    return found, at
