"""Gateways and adapters whose frames are not quite Modbus: what is wrong is named, with its workaround."""

from __future__ import annotations

import struct
from contextlib import AsyncExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.collectors.modbus.bus.framing import crc
from agent.core.errors import TransientError
from agent.testing.context import SimpleContext
from tests.faults.modbus.media import Ask, medium
from tests.faults.southbound.conftest import Running, modbus
from tests.integration.modbus.reading import Said, cycle, take
from tests.integration.modbus.servers import device
from tests.support.waiting import eventually


def longer(answer: bytes) -> bytes:
    """Its header announces one byte more than comes (a Midea gateway; of a Marstek battery the exceptions do)."""
    return answer[:4] + struct.pack(">H", struct.unpack(">H", answer[4:6])[0] + 1) + answer[6:]


def refusing(ask: Ask) -> bytes:
    """Registers from 4 on are refused, under a header that announces too much."""
    return longer(ask.exception(2)) if ask.offset + ask.count > 4 else ask.truth()


def numbered_anew(ask: Ask) -> bytes:
    """A gateway that counts its own transactions."""
    answer = ask.truth()
    return struct.pack(">H", 40_000 + ask.tid) + answer[2:]


SCRIPTS: dict[str, tuple[str, Any, dict[str, str | bool]]] = {
    "announces too much": ("tcp", lambda ask: longer(ask.truth()), {"mbap_length": "ignore"}),
    "counts its own": ("tcp", numbered_anew, {"transaction_ids": "ignore"}),
    "has one unit id": ("tcp", lambda ask: ask.truth()[:6] + b"\xff" + ask.truth()[7:], {"ignore_unit": True}),
    "zeros before": ("rtu+tcp", lambda ask: b"\0" + ask.truth(), {"extra_zeros": "skip"}),
    "zeros behind": ("rtu+tcp", lambda ask: ask.truth() + b"\0\0\0", {"extra_zeros": "skip"}),
    "zeros around": ("rtu+tcp", lambda ask: b"\0" + ask.truth() + b"\0", {"extra_zeros": "skip"}),
}


async def test_what_is_wrong_is_named_and_read_with_its_workaround(running: Running) -> None:
    """Without the workaround the device is offline, and its reason names cause and key; with it all is right."""
    async with AsyncExitStack() as stack:
        devices = {}
        for number, (way, script, workaround) in enumerate(SCRIPTS.values()):
            for name, odd in ((f"bare{number}", {}), (f"with{number}", workaround)):
                peer = await stack.enter_async_context(medium(way, script))
                devices[name] = modbus(peer.url, registers=3, timeout="250ms", workarounds=odd)
        agent, ear = await stack.enter_async_context(running(devices))
        for number, (kind, (_, _, workaround)) in enumerate(SCRIPTS.items()):
            await ear.good(f"with{number}", ["r0", "r1", "r2"])
            assert [ear.newest(f"with{number}", f"r{i}").value for i in range(3)] == [4099, 4136, 4173], kind
            key, value = next(iter(workaround.items()))
            hint = f"`workarounds: {{{key}: {str(value).lower()}}}`"
            await eventually(lambda: hint in (ear.state(f"bare{number}").get("reason") or ""), what=f"{kind}: {hint}")  # noqa: B023
            assert not ear.readings(f"bare{number}", quality="good")
        assert agent.events("modbus.bus_shared") == []


def under(unit: int) -> Any:
    """Answers of RTU under another unit id."""

    def answer(ask: Ask) -> bytes:
        message = bytes([unit]) + ask.truth()[1:-2]
        return message + crc(message)

    return answer


@pytest.mark.parametrize(
    ("way", "script", "workarounds", "reason"),
    [
        ("tcp", lambda _: b"\x15\3\1\0\2\2\x46", {}, "TLS answered, is it `tls://`"),
        ("tcp", lambda _: b"\1\3\2\3\xe8\xb8\xfa", {}, "an RTU frame answered, is it `rtu.tcp://`"),
        ("tcp", lambda ask: ask.frame(b"\x83\2\0"), {}, "an exception of 3 bytes instead of 2 .*mbap_length: ignore"),
        ("rtu+tcp", lambda _: b"\0\1\0\0\0\3\1\x83\2", {}, "a Modbus TCP frame answered, is it `tcp://`"),
        ("rtu+tcp", lambda _: b":01030203E80F\r\n", {}, "a Modbus ASCII frame answered, is it `ascii.tcp://`"),
        ("rtu+tcp", lambda _: b"\xff\xfb\0\xff\xfd\0", {}, "telnet options came .RFC 2217."),
        ("rtu+tcp", under(9), {}, "the unit id is another than asked .*ignore_unit: true"),
        ("rtu+tcp", Ask.truth, {"echo": True}, "where none comes, remove `echo: true`"),
        ("rtu+tcp", lambda ask: ask.truth() + Ask("rtu", 0, 1, 3, 9, 1).truth(), {}, "7 bytes hang behind the answer"),
    ],
)
async def test_the_reason_tells_what_to_write(way: str, script: Any, workarounds: dict[str, Any], reason: str) -> None:
    """What answers in another protocol, or not quite in this one, is named, with the key that is wrong or missing."""
    async with medium(way, script) as peer, SimpleContext() as context:
        config = device(peer.url, {"a": "holding:3"}, timeout="300ms", workarounds=workarounds)
        async with config.build("press", context).open() as samples:
            with pytest.raises(TransientError, match=reason):
                await take(samples)


@pytest.mark.parametrize("way", ["rtu+tcp", "ascii+tcp"])
async def test_answers_that_come_twice(way: str) -> None:
    """A converter that sends what it received twice is no other master and no fault; it is logged once."""
    tags: dict[str, object] = {f"r{offset}": f"holding:{offset}" for offset in (3, 9, 20)}
    async with medium(way, lambda ask: ask.truth() * 2) as peer, SimpleContext() as context:
        config = device(peer.url, tags, interval="50ms", timeout="5s", **peer.keys)
        with capture_logs() as logs:
            async with config.build("press", context).open() as samples:
                for _ in range(3):
                    found = await cycle(samples, config)
                    assert {tag: one.value for tag, one in found.items()} == {"r3": 4210, "r9": 4432, "r20": 4839}
                    assert {one.code for one in found.values()} == {"Good"}
    events = [entry["event"] for entry in logs]
    assert events.count("modbus.answer_doubled") == 1
    assert not {"modbus.frame_unasked", "modbus.bad_reply", "modbus.bus_shared"}.intersection(events)


async def test_exceptions_that_announce_too_much() -> None:
    """With `mbap_length: ignore` a refusal is one: the bad registers are found at once, their neighbours are read."""
    tags: dict[str, object] = {f"r{offset}": f"holding:{offset}" for offset in range(6)}
    async with medium("tcp", refusing) as peer, SimpleContext() as context:
        config = device(peer.url, tags, timeout="60s", workarounds={"mbap_length": "ignore"})
        async with config.build("battery", context).open() as samples:
            found = await cycle(samples, config)
    good = {tag for tag, one in found.items() if one.code == "Good"}
    assert good == {"r0", "r1", "r2", "r3"}
    assert found["r5"] == Said(None, "BadConfigurationError", "illegal data address")


async def test_answers_of_another_size_do_not_take_a_device_offline(running: Running) -> None:
    """A 32-bit value in one oversized register, coils with a byte too many: bad, and the rest is read."""

    def oversized(ask: Ask) -> bytes:
        if ask.function == 1:
            return ask.frame(bytes((1, 2, 0b101, 0)))
        if ask.offset == 100:
            return ask.frame(bytes((ask.function, 4 * ask.count)) + struct.pack(">I", 1234567) * ask.count)
        return ask.truth()

    tags = {"wide": {"address": "holding:100"}, "coil": {"address": "coil:0"}, "plain": {"address": "holding:7"}}
    async with medium("tcp", oversized) as tcp, medium("rtu+tcp", oversized) as rtu:
        devices = {name: modbus(peer.url, tags=tags) for name, peer in (("tcp", tcp), ("rtu", rtu))}
        async with running(devices) as (_, ear):
            for name in devices:
                await ear.good(name, ["plain"])
                await eventually(lambda: ear.qualities(name).get("coil") == "bad")  # noqa: B023
                await eventually(lambda: ear.qualities(name).get("wide") == "bad")  # noqa: B023
                await ear.goes_on(name, "plain", 5)
                assert ear.newest(name, "wide").reason == "4 data bytes instead of 2"
                assert ear.newest(name, "coil").reason == "2 data bytes instead of 1"
                assert not ear.readings(name, why="offline")
                assert ear.state(name)["state"] == "degraded"
