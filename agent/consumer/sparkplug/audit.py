"""The monitor as an ordinary subscriber of a broker: whatever edge nodes are there, checked from their births on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from agent.consumer.sparkplug.monitor import Monitor
from agent.consumer.sparkplug.topics import place


class SparkplugAudit:
    """Feed it all of `spBv1.0/#`. A node counts from its first NBIRTH on: before it a host knows nothing either."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.monitor = Monitor(now_ms)
        self.waiting: Counter[tuple[str, str]] = Counter()  #: messages of nodes whose birth was not seen

    def feed(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """One message as the broker delivered it."""
        here = place(topic)
        if here is not None and here.descriptor not in self.monitor.nodes and here.kind != "NBIRTH":
            if here.kind not in ("NCMD", "DCMD"):
                self.waiting[here.descriptor] += 1
            return
        if here is not None:
            self.waiting.pop(here.descriptor, None)
        self.monitor.published(topic, payload, retain=retained)

    def interrupted(self) -> None:
        """We have missed something: every node counts from its next birth on."""
        self.monitor.nodes.clear()

    @property
    def ok(self) -> bool:
        """Whether nothing was violated, and something was seen."""
        return self.monitor.ledger.ok and bool(self.monitor.ledger.passed)

    def report(self) -> list[str]:
        """Violations, nodes without a birth, and the result at last."""
        ledger = self.monitor.ledger
        lines = [str(one) for one in ledger.violations()]
        lines += [
            f"note: {group}/{node}: {count} messages and no birth yet; ask it for a rebirth to have it checked"
            for (group, node), count in self.waiting.items()
        ]
        lines += [
            f"{node.where}: {'born' if node.born else 'dead'}, {len(node.devices)} devices, {node.messages} messages"
            for node in self.monitor.nodes.values()
        ]
        lines += [f"note: {note} ({times} times)" for note, times in ledger.notes.items()]
        if not ledger.passed and ledger.ok:
            lines.append("no edge node was born while we listened")
        return [*lines, ledger.line() + " (what only the wire shows is not checked)"]
