"""Values whose meaning changed while they are read: a new program has other fields, other texts, under the same ids.

The server marks such values (StructureChanged, SemanticsChanged: OPC 10000-4, 7.39.1). What they mean is read again
before they are said; where that cannot be had, they are uncertain until it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

from agent.collectors.opcua.inbox import SampleInbox
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPace
from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused
from agent.collectors.opcua.types.types import Types
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.values.values import UNCERTAIN
from agent.collectors.opcua.wire.columns import FOREIGN, Columns
from agent.core.clock import Clock
from agent.core.flow import Answer
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("opcua")

_VERSIONS = 5.0  #: seconds between two looks at the versions of dictionaries
_SAME = 1.0  #: seconds within which marks tell of one change: the server marks several values with it
_BAD = 0x80000000
_WORDS = "the server has changed what this value means, and has not told the new meaning yet"


class Meaning:
    """Of one connection. `node`: where a tag is, by position."""

    def __init__(
        self, decoder: Decoder, types: Types, past: Past, inbox: SampleInbox, clock: Clock, device: str,
        pace: ConnectionPace, node: Callable[[int], ResolvedNode | None],
    ) -> None:  # fmt: skip
        self._decoder, self._types, self._past, self._inbox, self._clock = decoder, types, past, inbox, clock
        self._device, self._pace, self._node = device, pace, node
        self._turn = asyncio.Lock()
        self._renewed: dict[int, float] = {}  # when the meaning of a tag was read again
        self._said = Repeats()
        self.asked = asyncio.Event()  #: set while there are tags whose new meaning is not known

    async def settled(self, tags: tuple[int, ...], data: Columns, answer: Answer) -> Answer:
        """The same answer, by what it means now; `data`: what it was decoded from."""
        marked = sorted(self._decoder.changed)
        self._decoder.changed.clear()
        async with self._turn:
            now = self._clock.monotonic()
            due = [at for at in marked if now - self._renewed.get(at, -_SAME) >= _SAME]
            variants = [raw for kind, raw in zip(data.kinds, data.values, strict=True) if kind == FOREIGN]
            if due and await self._renew(due, variants):
                answer = self._decoder.columns(tags, data, answer.ts)
                self._decoder.changed.clear()
        return self._doubted(answer) if self._decoder.doubtful else answer

    async def run(self, read: Callable[[Iterable[int]], Awaitable[None]]) -> None:
        """What was not told is asked for until it is; then `read` says the values of its tags once more."""
        while True:
            await self.asked.wait()
            async with self._turn:
                positions = sorted(self._decoder.doubtful)
                known = not positions or await self._renew(positions, ())
            if known:
                self.asked.clear()
                await read(positions)
            else:
                await self._clock.sleep(self._pace.again)

    async def watch(self) -> None:
        """Look for dictionaries that have another version: their values are not marked."""
        while True:
            await self._clock.sleep(min(_VERSIONS, self._pace.audit))
            try:
                moved = await self._types.moved()
            except (ServiceRefused, AnswerUndecodable):
                continue
            if moved:
                self._decoder.doubtful.update(self._decoder.structured)
                self.asked.set()

    async def _renew(self, positions: Sequence[int], variants: Iterable[Any]) -> bool:
        nodes = [node for at in positions if (node := self._node(at)) is not None]
        encodings = {each for variant in variants for each in _encodings(variant)}
        try:
            async with asyncio.timeout(self._pace.types):
                told = await self._types.renew(nodes, encodings)
        except (ServiceRefused, AnswerUndecodable, TimeoutError) as error:
            if (repeats := self._said.due("meaning", self._clock.monotonic())) is not None:
                reason = str(error) or "no answer in time"
                log.warning("opcua.types_unknown", device=self._device, reason=reason, repeats=repeats)
            self._decoder.doubtful.update(positions)
            self._inbox.label({at: {} for at in positions})
            self.asked.set()
            return False
        now = self._clock.monotonic()
        self._renewed.update(dict.fromkeys(positions, now))
        self._decoder.doubtful.difference_update(positions)
        await self._inbox.handed()  # what came before was said in the old texts
        self._inbox.label(self._past.texts(positions, told))
        log.info("opcua.meaning_changed", device=self._device, tags=[node.point.name for node in nodes[:10]])
        return True

    def _doubted(self, answer: Answer) -> Answer:
        doubtful = self._decoder.doubtful
        status = list(answer.status) if isinstance(answer.status, Sequence) else [answer.status] * len(answer.tags)
        values = list(answer.values)
        words = dict(answer.reason) if answer.reason is not None and not isinstance(answer.reason, str) else {}
        for at, position in enumerate(answer.tags):
            if position in doubtful and status[at] < _BAD:
                status[at] = max(status[at], UNCERTAIN)
                words[at] = _WORDS
                if isinstance(values[at], dict | list):  # its fields may have other names
                    values[at] = None
        return Answer(answer.tags, values, answer.ts, status, answer.src, words or answer.reason, answer.doubted)


def _encodings(variant: Any) -> Iterator[Any]:
    """How the structures in a Variant are encoded."""
    value = variant.Value
    for each in value if isinstance(value, list) else (value,):
        encoding = getattr(each, "TypeId", None)
        if encoding is not None:
            yield encoding
