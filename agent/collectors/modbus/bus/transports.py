"""From a URL to the bus that leads there. Libraries are imported when it first connects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING

from agent.collectors.modbus.bus.bus import ModbusBus
from agent.collectors.modbus.bus.connection import Dtu, Workarounds
from agent.collectors.modbus.bus.dial import dial, open_serial
from agent.collectors.modbus.bus.dialin import DtuPort
from agent.collectors.modbus.bus.framing import Ascii, Rtu
from agent.collectors.modbus.bus.manners import Manners
from agent.collectors.modbus.bus.overdue import OverdueAnswers
from agent.collectors.modbus.bus.stream import Habits, StreamWire
from agent.collectors.modbus.bus.transaction import Wire
from agent.collectors.modbus.bus.turnstile import Turnstile
from agent.collectors.modbus.bus.url import BusTarget
from agent.core.errors import ConnectionLost
from agent.core.ports import BuildContext
from agent.settings.tls import TLSSettings

if TYPE_CHECKING:
    from agent.collectors.modbus.bus.mbap import MbapHabits

CONNECT_SECONDS = 5.0
_Connect = Callable[[], Awaitable[Wire]]
_SETTLE_DIALLED_IN = 3.0  #: time-outs a late answer over the air may take; closing the connection would cost a minute


def bus_to(
    target: BusTarget,
    context: BuildContext,
    tls: TLSSettings | None,
    dtu: Dtu,
    workarounds: Workarounds,
    allow: Sequence[str] = (),
) -> ModbusBus:
    """The bus devices at this place share, made where it is new."""
    place = f"modbus {target.place}"
    if target.kind == "listen":
        hall: DtuPort = context.bus(place, lambda: DtuPort(target.host, target.port, context.clock))
        context.while_running(lambda: hall.expect(dtu.registration_bytes, [ip_network(one) for one in allow]))
        place += f" {dtu.registration or 'anybody'}"
        connect, doubt_after = _dialled_in(target, context, hall, dtu, workarounds), 10
    else:
        connect, doubt_after = _dialled(target, context, tls or TLSSettings(), workarounds), 3
    one = workarounds.one_connection
    door = context.bus(f"modbus one connection {one}", Turnstile) if one is not None else None
    manners = Manners(workarounds.pause_after_connect, workarounds.close_after_cycle, doubt_after, door)
    name = target.name if not dtu.registration else f"{target.name} {dtu.registration}"
    bus: ModbusBus = context.bus(place, lambda: ModbusBus(name, connect, context.clock, manners))
    return bus


def _dialled(target: BusTarget, context: BuildContext, tls: TLSSettings, workarounds: Workarounds) -> _Connect:
    if target.framing != "tcp":
        return _framed(target, context, workarounds)

    async def connect() -> Wire:
        from agent.collectors.modbus.bus import wire

        habits = _mbap_habits(workarounds, context)
        if target.kind == "tls":
            return await wire.connect_tls(target.host, target.port, CONNECT_SECONDS, tls, habits)
        reach = wire.connect_udp if target.kind == "udp" else wire.connect_tcp
        return await reach(target.host, target.port, CONNECT_SECONDS, habits)

    return connect


def _mbap_habits(workarounds: Workarounds, context: BuildContext) -> MbapHabits:
    from agent.collectors.modbus.bus.mbap import MbapHabits

    return MbapHabits(
        any_transaction=workarounds.transaction_ids == "ignore",
        own_length=workarounds.mbap_length == "ignore",
        monotonic=context.clock.monotonic,
    )


def _framed(target: BusTarget, context: BuildContext, workarounds: Workarounds) -> _Connect:
    framer = Ascii() if target.framing == "ascii" else Rtu()
    serial = target.kind == "serial"
    habits = Habits(
        gap=target.serial.gap if serial else 0.0,
        character=target.serial.character if serial else 0.0,
        echo=workarounds.echo,
        skip_zeros=workarounds.extra_zeros == "skip",
        reopens=not serial,
    )
    overdue = OverdueAnswers()

    async def connect() -> Wire:
        wire = StreamWire(framer, habits, context.clock, overdue)
        try:
            if serial:
                await open_serial(wire, target.host, target.serial)
            else:
                await dial(wire, target.host, target.port, CONNECT_SECONDS)
        except BaseException:
            wire.close()
            raise
        return wire

    return connect


def _dialled_in(
    target: BusTarget, context: BuildContext, hall: DtuPort, dtu: Dtu, workarounds: Workarounds
) -> _Connect:
    noise = tuple(one for one in (dtu.heartbeat_bytes, dtu.registration_bytes) if one)
    habits = Habits(
        echo=workarounds.echo, skip_zeros=workarounds.extra_zeros == "skip", noise=noise, reopens=False,
        settle=_SETTLE_DIALLED_IN,
    )  # fmt: skip
    framer = Ascii() if target.framing == "ascii" else Rtu()
    overdue = OverdueAnswers()

    async def connect() -> Wire:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                caller = await hall.ask(0, dtu.registration_bytes)
        except TimeoutError:
            who = f"DTU {dtu.registration!r}" if dtu.registration else "a DTU"
            raise ConnectionLost(f"{hall.host}:{hall.port}: {who} has not dialled in") from None
        if target.framing == "tcp":
            from agent.collectors.modbus.bus.wire import take_over

            return await take_over(caller, _mbap_habits(workarounds, context)._replace(noise=noise))
        wire = StreamWire(framer, habits, context.clock, overdue)
        caller.hand_over(wire)
        return wire

    return connect
