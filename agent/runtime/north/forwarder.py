"""The lanes between two cuts: in which order and how fast the records of an outbox are forwarded.

live_first    live ──────────▶            in_order    backlog ─▶ live ─▶ backlog ─▶ …
backlog ─(rate)▶
both          again ───(rate)▶  what a consumer asked for once more, while live data keep up
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from agent.core.clock import Clock
from agent.core.flow import Record
from agent.core.ports import Reader
from agent.runtime.north.replay import DEFAULT_RATE, LanePlan, TokenBucket, start_delay
from agent.runtime.north.sender import Sender
from agent.telemetry.logging import get_logger

#: Records asked of the outbox at a time: a good part of a window, little memory.
LIVE_TAKE = 64
BACKLOG_TAKE = 16
#: While live data are behind, what is sent once more waits; they are looked at again after this, seconds.
LOOK_AGAIN = 0.05

log = get_logger("publisher")


class Forwarder:
    """Takes records from one reader and hands them to the sender."""

    def __init__(self, name: str, reader: Reader, sender: Sender, plan: LanePlan, clock: Clock) -> None:
        self._name = name
        self._reader = reader
        self._sender = sender
        self._plan = plan
        self._clock = clock
        self._live_left = 0  # of the live records that were taken, those not sent yet
        self._backlog_room = asyncio.Semaphore(plan.backlog_window)

    def lanes(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run side by side; each until it is cancelled or the session is lost."""
        working = [self._backlog(), self._live()] if self._plan.order == "live_first" else [self._in_order()]
        return [*working, self._again()]

    async def _live(self) -> None:
        while True:
            await self._send_live(await self._reader.live(LIVE_TAKE))

    async def _send_live(self, records: Sequence[Record]) -> None:
        self._live_left = len(records)
        for record in records:
            await self._sender.send(record, self._reader)
            self._live_left -= 1

    async def _again(self) -> None:
        bucket = TokenBucket(self._plan.rate or DEFAULT_RATE, self._clock.monotonic())
        while True:
            for record in await self._reader.again(BACKLOG_TAKE):
                await self._take_turn(bucket)
                while self._live_left or self._reader.behind:
                    await self._clock.sleep(LOOK_AGAIN)
                await self._send_in_backlogs_share(record)

    async def _backlog(self) -> None:
        await self._start()
        bucket = TokenBucket(self._plan.rate, self._clock.monotonic())
        while True:
            began, sent = 0.0, 0
            while sent == 0 or self._reader.backlog_left:
                for record in await self._reader.backlog(BACKLOG_TAKE):
                    began = began or self._clock.monotonic()
                    await self._take_turn(bucket)
                    sent += await self._send_in_backlogs_share(record)
            self._backlog_done(sent, began)

    async def _in_order(self) -> None:
        await self._start()
        bucket = TokenBucket(self._plan.rate, self._clock.monotonic())
        while True:
            began, sent = self._clock.monotonic(), 0
            while self._reader.backlog_left:
                for record in await self._reader.backlog(BACKLOG_TAKE):
                    await self._take_turn(bucket)
                    sent += await self._sender.send(record, self._reader)
            if sent:
                self._backlog_done(sent, began)
            await self._send_live(await self._reader.live(LIVE_TAKE))

    async def _start(self) -> None:
        if self._reader.backlog_left:
            await self._clock.sleep(start_delay())

    async def _take_turn(self, bucket: TokenBucket) -> None:
        if delay := bucket.take(self._clock.monotonic()):
            await self._clock.sleep(delay)

    async def _send_in_backlogs_share(self, record: Record) -> bool:
        """Send it once the backlog's share of the window has room; whether it went."""
        await self._backlog_room.acquire()
        sent = await self._sender.send(record, self._reader, self._backlog_room.release)
        if not sent:
            self._backlog_room.release()
        return sent

    def _backlog_done(self, sent: int, began: float) -> None:
        seconds = round(self._clock.monotonic() - began, 1)
        log.info("publisher.backlog_done", publisher=self._name, records=sent, seconds=seconds)
