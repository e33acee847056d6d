"""What was checked, how often, and what failed: one line per statement of the specification."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from agent.consumer.sparkplug.statements import STATEMENTS
from agent.consumer.sparkplug.unchecked import CHECKED

#: Evidence kept per statement: the first is what matters.
_KEPT = 5


@dataclass(frozen=True)
class Violation:
    """One statement that does not hold."""

    statement: str
    times: int
    evidence: str  #: of the first time

    def __str__(self) -> str:
        times = "" if self.times == 1 else f" ({self.times} times)"
        return f"tck-id-{self.statement}: {STATEMENTS.get(self.statement, '')} -- {self.evidence}{times}"


class Scorecard:
    """Passes and failures by statement; a statement in neither was not exercised."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()  #: what was seen and is not checked
        self._evidence: dict[str, list[str]] = {}

    def check(self, ok: object, evidence: str, *statements: str) -> bool:
        """Enter the outcome of one check for all statements it decides. KeyError for an unknown one."""
        for statement in statements:
            _ = CHECKED[statement]
            if ok:
                self.passed[statement] += 1
            else:
                self.failed[statement] += 1
                kept = self._evidence.setdefault(statement, [])
                if len(kept) < _KEPT:
                    kept.append(evidence)
        return bool(ok)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    def violations(self) -> list[Violation]:
        """What failed, in the order of the specification."""
        return [
            Violation(statement, self.failed[statement], self._evidence[statement][0])
            for statement in STATEMENTS
            if self.failed[statement]
        ]

    def line(self) -> str:
        """The result in one line."""
        seen = len({*self.passed, *self.failed})
        return f"{seen} of {len(CHECKED)} statements exercised, {len(self.failed)} violated"
