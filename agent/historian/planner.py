"""Which holes are asked for, and when. Pure.

A hole is asked for when it is 30 s old, again after 30 s, 60 s, then every 2 min, and at once when a session of the
agent or of the broker begins. What comes meanwhile postpones the next asking: the answer is under way. After a day in
vain it is given up; then a session that begins has it asked for once: the agent may have been off for the weekend.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from agent.historian.agents import Agents
from agent.historian.stores.port import Hole, RepairMark, RepairState

FIRST = 30.0  #: seconds a hole must be old
AGAIN = (30.0, 60.0, 120.0)  #: seconds until it is asked for again; the last one for ever
#: After a session began a hole may be asked for so soon, seconds, …
SOON = 1.0
#: … where it is noticed within this time, seconds.
EAGER = 30.0
GIVE_UP_MS = 24 * 3600 * 1000
#: Numbers of one request; an agent takes no more.
MOST_NUMBERS = 10_000
#: Requests to one agent whose answers are on their way: it lets ten wait.
MOST_ASKED = 8
#: Records between two holes that come along needlessly where one request names both.
BRIDGED = 16
#: Pieces of one hole, and of all together, that are looked after at a time.
_MOST_PIECES, _MOST_TOGETHER = 100, 10_000


class RepairRequest(NamedTuple):
    """A request: at which sources, and for what."""

    sources: list[str]
    hole: Hole


class _Piece(Struct):
    first: int
    last: int
    since: int  # epoch milliseconds
    due: float  # monotonic seconds
    asked: int | None = None
    attempts: int = 0
    anew: bool = False  # a session began since it was asked for


class RepairPlan(NamedTuple):
    """What to do now."""

    asks: list[RepairRequest]
    marks: list[RepairMark]
    refusing: list[str]  #: agents that have what is missing and answer no requests


class Planner:
    """Remembers what was asked for. `marks`: what an earlier run wrote down."""

    def __init__(self, marks: Iterable[RepairMark], now: float) -> None:
        self._pieces: dict[int, list[_Piece]] = defaultdict(list)  #: by stream, in order
        for mark in sorted(marks):
            self._pieces[mark.stream].append(_Piece(mark.first, mark.last, mark.since, now, mark.asked, mark.attempts))
        self._eager: dict[str, float] = {}  # by agent: until when
        self._hurried: set[str] = set()

    def hurry(self, agents: Iterable[str], now: float) -> None:
        """A session began: what is missing is asked for at once."""
        for agent in agents:
            self._eager[agent] = now + EAGER
            self._hurried.add(agent)

    def look(self, holes: Sequence[Hole], agents: Agents, now: float, now_ms: int) -> RepairPlan:
        """`holes` are all there are now."""
        self._eager = {agent: until for agent, until in self._eager.items() if until > now}
        fresh: dict[int, list[_Piece]] = defaultdict(list)
        there: list[tuple[Hole, _Piece]] = []
        for hole in holes:
            if len(there) >= _MOST_TOGETHER:
                break
            agent = hole.key.agent
            first_due = now + (SOON if agent in self._eager else FIRST)
            for piece in self._cut(hole, now, now_ms, first_due):
                if agent in self._hurried and piece.attempts:
                    piece.due, piece.anew = now, True
                fresh[hole.stream].append(piece)
                there.append((hole, piece))
        self._pieces = fresh
        self._hurried.clear()
        asks = self._asks(there, agents, now, now_ms)
        refusing = sorted({hole.key.agent for hole, _ in there if agents.refuses(hole.key.agent)})
        return RepairPlan(asks, [_mark(hole, piece, agents, now_ms) for hole, piece in there], refusing)

    def _cut(self, hole: Hole, now: float, now_ms: int, first_due: float) -> list[_Piece]:
        """The hole as it was asked for piece by piece, and what of it is new."""
        pieces: list[_Piece] = []
        first = hole.first
        there = self._pieces.get(hole.stream, [])
        for at in range(bisect_left(there, first, key=lambda one: one.last), len(there)):
            known = there[at]
            if known.first > hole.last or len(pieces) > _MOST_TOGETHER:
                break
            pieces += _new(first, known.first - 1, now_ms, first_due)
            piece = _Piece(
                max(first, known.first), min(hole.last, known.last), known.since, known.due, known.asked,
                known.attempts, known.anew,
            )  # fmt: skip
            if piece.attempts and piece.last - piece.first < known.last - known.first:  # the answer is under way
                piece.due = max(piece.due, now + AGAIN[0])
            pieces.append(piece)
            first = piece.last + 1
        return pieces + _new(first, hole.last, now_ms, first_due)

    def _asks(self, there: list[tuple[Hole, _Piece]], agents: Agents, now: float, now_ms: int) -> list[RepairRequest]:
        asked = Counter(hole.key.agent for hole, piece in there if piece.attempts and piece.due > now)
        asks: list[RepairRequest] = []
        for hole, piece in there:
            if piece.due > now or (_given_up(piece, now_ms) and not piece.anew):
                continue
            sources = agents.askable(hole.key.agent)
            if not sources:
                continue
            joined = self._joined(asks, hole, piece)
            if joined is None:
                if asked[hole.key.agent] >= MOST_ASKED:
                    continue
                asked[hole.key.agent] += 1
                asks.append(RepairRequest(sources, hole._replace(first=piece.first, last=piece.last)))
            else:
                asks[-1] = joined
            piece.due = now + AGAIN[min(piece.attempts, len(AGAIN) - 1)]
            piece.attempts += 1
            piece.asked, piece.anew = now_ms, False
        return asks

    @staticmethod
    def _joined(asks: list[RepairRequest], hole: Hole, piece: _Piece) -> RepairRequest | None:
        """The last request with this piece in it, where it is near enough."""
        last = asks[-1].hole if asks else None
        if last is None or last.stream != hole.stream or not 0 < piece.first - last.last <= BRIDGED:
            return None
        if piece.last - last.first >= MOST_NUMBERS:
            return None
        return asks[-1]._replace(hole=last._replace(last=piece.last))


def _new(first: int, last: int, now_ms: int, due: float) -> list[_Piece]:
    pieces: list[_Piece] = []
    while first <= last and len(pieces) < _MOST_PIECES:
        end = min(last, first + MOST_NUMBERS - 1)
        pieces.append(_Piece(first, end, now_ms, due))
        first = end + 1
    return pieces


def _given_up(piece: _Piece, now_ms: int) -> bool:
    return piece.attempts > 0 and now_ms - piece.since > GIVE_UP_MS


def _mark(hole: Hole, piece: _Piece, agents: Agents, now_ms: int) -> RepairMark:
    repair: RepairState = "waiting" if piece.attempts else "open"
    if _given_up(piece, now_ms):
        repair = "given_up"
    elif agents.refuses(hole.key.agent):
        repair = "refused"
    return RepairMark(hole.stream, piece.first, piece.last, piece.since, piece.asked, piece.attempts, repair)
