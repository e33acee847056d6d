"""What an audit finds, in words. Pure.

Kinds: `missing` (holes below `low` nobody declared), `unheard` (the same, while our own session was lost),
`conflict` (one key, two payloads; two agents under one id), `epoch` (a new epoch without a word about the one before),
`disorder` (a number falls within one lane of one session), `no_snapshot` (the first live record of a device after a
connection is none), `undecodable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from agent.consumer.streams import MissingRange

FindingKind = Literal["missing", "unheard", "conflict", "epoch", "disorder", "no_snapshot", "undecodable"]

#: Records and messages named in one finding.
_RECORDS, _MESSAGES = 3, 5
_WORDS = {
    "missing": "never came, and nobody declared them lost",
    "unheard": "acknowledged while our session at the broker was lost; `edge-agent outbox resend` sends what is kept",
}
#: No record whole, and none absent: that is how topics look of which only some are listened to.
_ELSEWHERE = "; if the others go to topics that are not listened to: --topic FILTER, or -c agent.yaml, hears them"


class Discrepancy(NamedTuple):
    """Something wrong. `first` and `last` are sequence numbers where there are any."""

    kind: FindingKind
    agent: str
    device: str
    epoch: str
    first: int | None
    last: int | None
    text: str

    def __str__(self) -> str:
        numbers = "" if self.first is None else f" seq {self.first}"
        numbers += "" if self.last in (None, self.first) else f"-{self.last}"
        where = f" {self.agent}/{self.device} epoch {self.epoch}" if self.device else ""
        return f"{self.kind}{where}{numbers}: {self.text}"


def of_hole(hole: MissingRange, lacking: Mapping[int, tuple[Sequence[int], int]]) -> Discrepancy:
    """A hole that is not pending. `lacking`: of which of its records some messages came (`HeardStream.lacking`)."""
    kind: FindingKind = "unheard" if hole.state == "unheard" else "missing"
    said = [
        f"; {of - len(numbers)} of the {of} messages of {seq} came, not {_listed(numbers)}"
        for seq, (numbers, of) in sorted(lacking.items())
    ]
    text = _WORDS[kind] + "".join(said[:_RECORDS]) + ("; …" if len(said) > _RECORDS else "")
    if len(said) > 1 and len(said) == hole.last - hole.first + 1:
        text += _ELSEWHERE
    return Discrepancy(kind, hole.stream.agent, hole.stream.device, hole.stream.epoch, hole.first, hole.last, text)


def _listed(numbers: Sequence[int]) -> str:
    more = len(numbers) - _MESSAGES
    return ", ".join(map(str, numbers[:_MESSAGES])) + (f" and {more} more" if more > 0 else "")
