"""Read device identification (function 43, MEI type 14; Application Protocol V1.1b3, 6.21): who made the device.

For `scan`: nothing that is polled needs it. A device that does not know the function refuses it, and is asked no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from agent.collectors.modbus.bus.transaction import IDENTIFY, BadReply, ReadRequest, UnitReply

NAMES: Mapping[int, str] = {
    0: "vendor", 1: "product_code", 2: "revision", 3: "vendor_url", 4: "product", 5: "model", 6: "application",
}  # fmt: skip
"""What the objects of the basic and regular categories are."""

_BASIC, _REGULAR = 1, 2
_PAGES = 16  #: answers that are followed at most


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    conformity: int  #: highest category the device knows, 1 to 3
    more: int | None  #: the object to go on with; None: that was all
    objects: Mapping[int, str]


def read_page(data: bytes) -> Page:
    """Data bytes of an answer, behind function and MEI type. Raises BadReply where they contradict themselves."""
    if len(data) < 5:
        raise BadReply("identification cut short")
    _, conformity, more, following, count = data[:5]
    objects: dict[int, str] = {}
    at = 5
    for _ in range(count):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise BadReply("identification cut short")
        text = data[at + 2 : at + 2 + data[at + 1]].rstrip(b"\0\xff ")
        objects[data[at]] = text.decode("utf-8", errors="backslashreplace").strip()
        at += 2 + data[at + 1]
    return Page(conformity & 0x7F, following if more == 0xFF else None, objects)


async def identify(
    ask: Callable[[int, ReadRequest], Awaitable[UnitReply]], unit: int, timeout: float
) -> dict[str, str] | None:
    """What a unit says of itself, by NAMES (others by their number); None where it refuses the function.

    `ask` is a bus's. Raises what that raises: NoAnswer, BadReply, ConnectionLost.
    """
    found: dict[int, str] = {}
    category, start = _BASIC, 0
    for _ in range(_PAGES):
        reply = await ask(unit, ReadRequest(IDENTIFY, start, category, timeout))
        if reply.code:
            break
        page = read_page(reply.data)
        found |= page.objects
        if page.more is not None and page.more > start:
            start = page.more
        elif category == _BASIC and page.conformity >= _REGULAR:
            category, start = _REGULAR, 0
        else:
            break
    return {NAMES.get(number, str(number)): text for number, text in sorted(found.items())} if found else None
