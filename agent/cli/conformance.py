"""`edge-agent verify --sparkplug`: hold every edge node at a broker against the Sparkplug specification."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.cli.listening import Listener, listen, source_of, with_exit_code
from agent.consumer.sparkplug.audit import SparkplugAudit
from agent.consumer.sparkplug.topics import NAMESPACE
from agent.core.clock import SystemClock
from agent.core.text import harmless


@with_exit_code
def conformance(url: str | None, config: Path | None, seconds: float | None) -> int:
    """Listen until Ctrl-C or for `seconds`, then name every statement that was violated, with its id.

    0 where there is none, 1 where there are some (or nothing was born, or the broker cannot be reached), 2 for a bad
    configuration.
    """
    listener = _Listener()
    listen(source_of(url, None, config).access, listener, seconds)
    for line in listener.audit.report():
        sys.stdout.write(harmless(line) + "\n")
    return 0 if listener.audit.ok else 1


class _Listener(Listener):
    def __init__(self) -> None:
        self.audit = SparkplugAudit(SystemClock().now_ms)

    @property
    def topics(self) -> list[str]:
        return [f"{NAMESPACE}/#"]

    def heard(self, topic: str, payload: bytes, *, retained: bool) -> None:
        self.audit.feed(topic, payload, retained=retained)

    def interrupted(self) -> None:
        self.audit.interrupted()
