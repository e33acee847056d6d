"""The audit of a broker from the consumer's side: messages in, one line and findings out. Pure but for the clock."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from agent.consumer.contract import (
    AgentStatus,
    AgentStreams,
    Decoded,
    GapNotice,
    Readings,
    UndecodableError,
    decode,
    is_catalogue,
    is_request,
)
from agent.consumer.findings import Discrepancy
from agent.consumer.ledger import LISTED, Ledger
from agent.consumer.marks import Marked, UserProperties, read_marks
from agent.consumer.streams import MissingRange

#: What makes an audit fail. The others are findings, too, but nothing is lost by them.
FAILING = ("missing", "unheard", "epoch", "conflict")


class Audit:
    """`feed` it every message in the order of arrival. `line` and `findings` may be asked at any time."""

    def __init__(self, root: str = "edge", *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.ledger = Ledger()
        self.messages = 0  #: records and parts of records, repetitions included
        self.readings = 0  #: without those of repetitions, and of payloads of another encoder's shape
        self.nameless: Counter[str] = Counter()  #: by topic: messages that say neither who they are nor what
        self.historical = 0  #: messages of the backlog, without repetitions
        self.gaps = 0
        self.leftovers = 0  #: retained readings and gaps: no agent retains any
        self.agents: dict[str, AgentStatus] = {}  #: newest word of each
        self.runs = 1  #: how often somebody has listened, where a state is kept
        self._root = root
        self._monotonic = monotonic

    def feed(self, topic: str, payload: bytes, *, retained: bool = False) -> Decoded | None:
        """Take in one message; what it says, where that is news (None for repetitions and for what cannot be read)."""
        try:
            message = decode(topic, payload, self._root)
        except UndecodableError as error:
            self.ledger.undecodable(str(error))
            return None
        if retained and isinstance(message, Readings | GapNotice):
            self.leftovers += 1
            return None
        if message is None:
            self._nameless(topic, payload, retained=retained)
        if isinstance(message, Readings):
            self.messages += 1
            if self.ledger.readings(message, self._monotonic()) != "new":
                return None
            self.readings += len(message.readings)
            self.historical += message.historical
        elif isinstance(message, GapNotice):
            self.gaps += 1
            self.ledger.gap(message)
        elif isinstance(message, AgentStatus):
            self.ledger.agent_status(message, self._monotonic(), retained=retained)
            self.agents[message.agent] = message
        elif isinstance(message, AgentStreams):
            self.ledger.agent_streams(message, retained=retained)
        return message

    def feed_marked(
        self, topic: str, payload: bytes, properties: UserProperties, *, retained: bool = False
    ) -> Marked | None:
        """Take in one message that only its user properties name; who it is, where that is news."""
        if retained:  # a newest value from before we subscribed
            return None
        try:
            mark = read_marks(topic, payload, properties)
        except UndecodableError as error:
            self.ledger.undecodable(str(error))
            return None
        self.messages += 1
        if self.ledger.readings(mark, self._monotonic()) != "new":
            return None
        self.historical += mark.historical
        return mark

    def _nameless(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if not payload or retained or is_catalogue(topic) or is_request(topic, self._root):
            return
        known = topic in self.nameless or len(self.nameless) < _NAMELESS
        self.nameless[topic if known else _OTHERS] += 1

    def interrupted(self) -> None:
        """Our own connection was away: what was said meanwhile was not heard."""
        self.ledger.interrupted()

    def findings(self) -> list[Discrepancy]:
        """Everything wrong as of now."""
        return list(self.ledger.judged(self._monotonic()))

    def notes(self) -> list[str]:
        """What nobody can audit, and what is not listed: a line each."""
        return [*self._unlisted(), *self._leftovers(), *self._unaudited()]

    def _unlisted(self) -> list[str]:
        more = {kind: count - LISTED for kind, count in self.ledger.found.items() if count > LISTED}
        return [f"note: {count} more findings of kind {kind}" for kind, count in more.items()]

    def _leftovers(self) -> list[str]:
        if not self.leftovers:
            return []
        return [f"note: {self.leftovers} retained readings or gaps are left over from others: no agent retains any"]

    def _unaudited(self) -> list[str]:
        if not self.nameless:
            return []
        topics = len(self.nameless) - (_OTHERS in self.nameless)
        count, example = sum(self.nameless.values()), next(iter(self.nameless))
        why = "where these are readings, nobody can tell which are missing or came twice"
        return [f"note: {count} messages on {topics} topics, as {example}, carry no user properties: {why}"]

    def pending_holes(self) -> list[MissingRange]:
        """What has not come and may still."""
        return [hole for hole in self.ledger.holes(self._monotonic()) if hole.state == "pending"]

    def pending(self) -> int:
        """How many numbers that is."""
        return sum(hole.last - hole.first + 1 for hole in self.pending_holes())

    @property
    def ok(self) -> bool:
        """Nothing is missing, undeclared or contradictory."""
        return not any(finding.kind in FAILING for finding in self.findings())

    def line(self) -> str:
        """The result, one line."""
        findings = self.findings()
        kinds = Counter(finding.kind for finding in findings)
        kinds.update({kind: count - LISTED for kind, count in self.ledger.found.items() if count > LISTED})
        missing, unheard = (_numbers(findings, kind) for kind in ("missing", "unheard"))
        return (
            f"audit: messages={self.messages} readings={self.readings} missing={missing}"
            f" duplicates={self.ledger.counts['duplicate']} undeclared_gaps={kinds['missing'] + kinds['epoch']}"
            f" pending={self.pending()} declared_gaps={self.gaps} historical={self.historical}"
            f" conflicts={kinds['conflict']} disorder={kinds['disorder']} no_snapshot={kinds['no_snapshot']}"
            f" undecodable={kinds['undecodable']} unheard={unheard}"
        )

    # --- kept from one audit to the next ------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Plain data, for `resume`."""
        figures = {name: getattr(self, name) for name in _FIGURES}
        return {"version": 1, "root": self._root, "figures": figures, "ledger": self.ledger.dump()}

    def resume(self, data: dict[str, Any]) -> None:
        """Go on where an earlier audit ended; what passed in between does not count. Raises ValueError for others."""
        if data.get("version") != 1 or data.get("root") != self._root:
            msg = f"kept by another version, or for another root than {self._root!r}"
            raise ValueError(msg)
        self.ledger = Ledger.load(data["ledger"])
        for name in _FIGURES:
            setattr(self, name, data["figures"][name])
        self.runs += 1


#: Topics remembered one by one; the rest under one name.
_NAMELESS = 1000
_OTHERS = "others"

_FIGURES = ("messages", "readings", "historical", "gaps", "runs")


def _numbers(findings: Sequence[Discrepancy], kind: str) -> int:
    """How many sequence numbers findings of a kind name."""
    return sum((one.last or 0) - (one.first or 0) + 1 for one in findings if one.kind == kind)
