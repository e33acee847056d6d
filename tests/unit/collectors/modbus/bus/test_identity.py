"""Read device identification: pages, categories, and what contradicts itself."""

from __future__ import annotations

import pytest

from agent.collectors.modbus.bus.identity import identify, read_page
from agent.collectors.modbus.bus.transaction import IDENTIFY, BadReply, ReadRequest, UnitReply, identity_length


def page(*objects: tuple[int, bytes], conformity: int = 0x81, more: int | None = None, category: int = 1) -> bytes:
    """Data bytes of an answer."""
    head = bytes((category, conformity, 0 if more is None else 0xFF, more or 0, len(objects)))
    return head + b"".join(bytes((number, len(text))) + text for number, text in objects)


class Device:
    """Answers by (category, object)."""

    def __init__(self, answers: dict[tuple[int, int], bytes]) -> None:
        self.answers = answers
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, unit: int, request: ReadRequest) -> UnitReply:
        assert request.function == IDENTIFY
        self.asked.append((request.count, request.offset))
        data = self.answers.get((request.count, request.offset))
        return UnitReply(b"", 1, 0) if data is None else UnitReply(data, 0, 0)


async def test_pages_and_categories() -> None:
    """Pages are followed, and the regular category is asked for where the device has one."""
    device = Device(
        {
            (1, 0): page((0, b"Acme"), (1, b"PM-7\0\0"), conformity=0x82, more=2),
            (1, 2): page((2, b"V2.1 "), conformity=0x82),
            (2, 0): page((0, b"Acme"), (4, "Zähler".encode()), (128, b"\xff"), conformity=0x82, category=2),
        }
    )
    found = await identify(device, 1, 1.0)
    assert found == {"vendor": "Acme", "product_code": "PM-7", "revision": "V2.1", "product": "Zähler", "128": ""}
    assert device.asked == [(1, 0), (1, 2), (2, 0)]


async def test_a_device_that_does_not_know_it() -> None:
    """A refusal is an answer: there is nothing to say."""
    assert await identify(Device({}), 1, 1.0) is None


async def test_a_device_that_turns_in_circles() -> None:
    """What follows has to lie behind what was asked for, else that was all."""
    device = Device({(1, 0): page((0, b"Acme"), more=1), (1, 1): page((1, b"PM"), more=1)})
    assert await identify(device, 1, 1.0) == {"vendor": "Acme", "product_code": "PM"}
    assert len(device.asked) == 2


@pytest.mark.parametrize("cut", range(12))
def test_what_is_cut_short_is_no_answer(cut: int) -> None:
    """Never half of an object; and how much has to come is told from what has."""
    whole = page((0, b"Acme"))
    assert len(whole) == 11
    if cut < len(whole):
        with pytest.raises(BadReply):
            read_page(whole[:cut])
        assert identity_length(b"\x0e" + whole[:cut]) > 1 + cut
    else:
        assert identity_length(b"\x0e" + whole) == 12
