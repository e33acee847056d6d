"""Reading many nodes in chunks: what is too large is halved, what cannot be decoded is searched for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from agent.collectors.common.limits import ChunkLimit
from agent.collectors.opcua.services import ResolvedNode, Services
from agent.collectors.opcua.tags.dividing import Dividing
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, TooLarge
from agent.collectors.opcua.values.decode import Decoder
from agent.collectors.opcua.wire.columns import ARRAY, NOTHING, STRING, Columns
from agent.collectors.opcua.wire.limits import BUFFER_BYTES
from agent.collectors.opcua.wire.session import Encoded
from agent.core.clock import Clock
from agent.core.errors import ConnectionLost, TransientError
from agent.core.flow import Answer
from agent.core.quality import BAD_DECODING_ERROR, name_of
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

_MANY = 16_384  #: elements in arrays of one answer that are handed on before more is asked for
_FAST = 0.05  #: seconds for an answer to a full chunk: twice as many are no burden
_LIGHT = 32  #: characters of a text in an answer that may become twice as large, on average
_SCALARS = frozenset(range(NOTHING, STRING + 1))
_ROOM = BUFFER_BYTES * 9 // 10  #: bytes of a request that is made wider: in one piece, as small servers want it

log = get_logger("opcua")

Emit = Callable[[Answer], None]
Settled = Callable[[tuple[int, ...], Columns, Answer], Awaitable[Answer]]


class Chunk:
    """One Read request; encoded when it is sent for the first time."""

    __slots__ = ("nodes", "request", "tags")

    def __init__(self, nodes: Sequence[ResolvedNode]) -> None:
        self.nodes = nodes
        self.tags = tuple(node.point.position for node in nodes)
        self.request: Encoded | None = None

    def cut(self, size: int) -> list[Chunk]:
        """The same in pieces of at most `size`; itself where it is small enough."""
        if len(self.tags) <= size:
            return [self]
        return [self.part(range(at, at + size)) for at in range(0, len(self.tags), size)]

    def part(self, places: range) -> Chunk:
        """These of it; itself where that is all."""
        if len(places) == len(self.tags):
            return self
        return Chunk(self.nodes[places.start : places.stop])


class ChunkReader:
    """Reads of one device on one connection."""

    def __init__(self, services: Services, decoder: Decoder, limit: ChunkLimit, clock: Clock, device: str) -> None:
        self._services = services
        self._decoder = decoder
        self._limit = limit
        self._clock = clock
        self._device = device
        self._said = Repeats()
        self._divided = Dividing(limit, clock, device)
        self._laid = limit.wide
        self.settled: Settled = _as_it_is  #: called for values whose meaning has changed
        self.handed: Callable[[], Awaitable[None]] = _at_once  #: returns when what was emitted has been handed on

    def layout(self, nodes: Sequence[ResolvedNode]) -> list[Chunk]:
        """The chunks for these nodes. :meth:`read` changes the list where the server teaches it to."""
        return Chunk(nodes).cut(self._limit.wide) if nodes else []

    def widen(self, groups: Iterable[list[Chunk]]) -> None:
        """Join the chunks of each group, where the server has come to take more at a time."""
        if self._limit.wide <= self._laid:
            return
        self._laid = self._limit.wide
        for chunks in groups:
            heaviest = max((chunk.request.weight for chunk in chunks if chunk.request is not None), default=0)
            if heaviest:
                whole = Chunk([node for chunk in chunks for node in chunk.nodes])
                chunks[:] = whole.cut(max(self._limit.size, min(self._laid, _ROOM // heaviest)))

    async def read(self, chunks: list[Chunk], emit: Emit) -> None:
        """An answer for every chunk, in order, as each arrives. Raises only what ends the connection."""
        at = 0
        while at < len(chunks):
            chunk = chunks[at]
            try:
                await self._ask(chunk, emit)
            except TooLarge as error:
                if self._limit.refused(len(chunk.tags)):
                    log.info("opcua.limit_lowered", device=self._device, limit=self._limit.wide, reason=error.reason)
                    chunks[at:] = [piece for rest in chunks[at:] for piece in rest.cut(self._limit.wide)]
                    continue
                emit(self._bad(chunk, error))
            except ServiceRefused as error:
                parts = await self._divide(chunk, error, emit)
                rest = [piece for left in chunks[at + 1 :] for piece in left.cut(self._limit.wide)]
                chunks[at:] = parts + rest
                at += len(parts) - 1
            except AnswerUndecodable as error:
                if len(chunk.tags) > 1:
                    chunks[at : at + 1] = chunk.cut((len(chunk.tags) + 1) // 2)
                    continue
                emit(self._bad(chunk, error))
            at += 1

    async def _ask(self, chunk: Chunk, emit: Emit) -> None:
        if chunk.request is None:
            chunk.request = self._services.encode(chunk.nodes)
        begun = self._clock.monotonic()
        try:
            columns = await self._services.values(chunk.request)
        except ConnectionLost:
            self._limit.lost(len(chunk.tags))
            raise
        self._limit.answered(len(chunk.tags))
        if self._clock.monotonic() - begun <= _FAST and _is_light(columns):
            self._limit.fast(len(chunk.tags))
        await self._hand_on(chunk, columns, emit)

    async def _divide(self, chunk: Chunk, error: ServiceRefused, emit: Emit) -> list[Chunk]:
        """What is to be asked for instead of this, which was refused; this where it was a moment's refusal."""
        pieces: dict[range, Chunk] = {range(len(chunk.tags)): chunk}

        def piece(places: range) -> Chunk:
            return pieces.setdefault(places, chunk.part(places))

        async def ask(places: range) -> None:
            await self._ask(piece(places), emit)

        def refuse(places: range, words: TransientError) -> None:
            emit(self._bad(piece(places), words))

        expected = (ServiceRefused, AnswerUndecodable)
        return [piece(places) for places in await self._divided(len(chunk.tags), error, ask, refuse, expected)]

    async def _hand_on(self, chunk: Chunk, columns: Columns, emit: Emit) -> None:
        answer = self._decoder.columns(chunk.tags, columns, self._clock.now_ms())
        if self._decoder.changed or self._decoder.doubtful:
            answer = await self.settled(chunk.tags, columns, answer)
        emit(answer)
        if _elements(columns) > _MANY:
            await self.handed()  # one after the other: together they would hold the loop for seconds

    def _bad(self, chunk: Chunk, error: TransientError) -> Answer:
        status = error.code if isinstance(error, ServiceRefused) else BAD_DECODING_ERROR
        repeats = None if isinstance(error, ServiceRefused) else self._said.due(chunk.tags, self._clock.monotonic())
        if repeats is not None:
            log.warning("opcua.undecodable", device=self._device, reason=error.reason, repeats=repeats)
        metrics.READ_ERRORS.labels(self._device, name_of(status)).inc()
        return Answer(
            tags=chunk.tags,
            values=[None] * len(chunk.tags),
            ts=self._clock.now_ms(),
            status=status,
            reason=error.reason,
        )


def _is_light(columns: Columns) -> bool:
    """Numbers, and texts that are short on average: another such answer is no burden."""
    kinds = set(columns.kinds)
    texts = sum(len(value) for value in columns.values if isinstance(value, str)) if STRING in kinds else 0
    return kinds <= _SCALARS and texts <= _LIGHT * len(columns.kinds)


def _elements(columns: Columns) -> int:
    """In arrays."""
    if max(columns.kinds, default=0) < ARRAY:
        return 0
    return sum(len(value) for value in columns.values if isinstance(value, list))


async def _at_once() -> None:
    """Where nobody takes what is emitted."""


async def _as_it_is(_tags: tuple[int, ...], _data: Columns, answer: Answer) -> Answer:
    """Where nobody asks for meanings."""
    return answer
