"""`edge-agent verify`: audit a broker from the consumer's side."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from agent.cli.listening import Listener, ListenSource, listen, source_of, with_exit_code
from agent.cli.words import harmless
from agent.consumer.audit import Audit
from agent.consumer.contract import AgentStatus
from agent.consumer.marks import UserProperties
from agent.consumer.state import keep, resume
from agent.core.errors import PermanentError

#: Seconds between two writings of the state: what a kill costs at most.
KEEP_EVERY = 60.0


@with_exit_code
def verify(
    url: str | None, root: str | None, config: Path | None, seconds: float | None, state: Path | None = None,
    *, publisher: str | None = None, topics: Sequence[str] = (),
) -> int:  # fmt: skip
    """Listen until Ctrl-C or for `seconds`, then say what is wrong, one line each, and the result.

    `topics` are filters beside those of the root, for encoders that say readings elsewhere. With `state` the books go
    on from one run to the next. 0 where nothing is missing, 1 where something is (or the broker cannot be reached), 2
    for a bad configuration, 3 where nothing was heard at all, or nothing of it could be read.
    """
    source = source_of(url, root, config, publisher=publisher, topics=topics)
    auditor = _Auditor(source, state)
    listen(source.access, auditor, seconds)
    kept = auditor.kept()
    for line in auditor.report():
        sys.stdout.write(harmless(line) + "\n")
    if auditor.audit.ok and kept and not auditor.messages:
        where = f"below {source.root}/ at this broker; --sparkplug hears Sparkplug nodes"
        sys.stdout.write(f"heard nothing: nobody publishes {where}\n")
        return 3
    if auditor.audit.ok and kept and auditor.messages == auditor.unread:
        sys.stdout.write(f"heard {auditor.messages} messages below {source.root}/, and could read none of them\n")
        return 3
    return 0 if auditor.audit.ok and kept else 1


class _Auditor(Listener):
    def __init__(self, source: ListenSource, state: Path | None) -> None:
        self.audit = Audit(source.root)
        self._state = state
        if state is not None:
            resume(self.audit, state)
            self.keep()  # that it can be written is known before days have passed
        self._kept = time.monotonic()
        self._topics = source.topics
        self._interruptions = 0
        self.messages = 0  #: of any kind that were heard
        self._unread = self._undecodable  #: by earlier runs
        self._states: dict[str, str] = {}

    @property
    def _undecodable(self) -> int:
        return self.audit.ledger.found["undecodable"]

    @property
    def unread(self) -> int:
        """How many of them could not be read."""
        return self._undecodable - self._unread

    @property
    def topics(self) -> list[str]:
        return self._topics

    def keep(self) -> None:
        """Write the state. Raises PermanentError."""
        if self._state is not None:
            keep(self.audit, self._state)

    def kept(self) -> bool:
        """Write the state, if that can be done: what was heard for days is worth more than an early end."""
        try:
            self.keep()
        except PermanentError as error:
            sys.stderr.write(f"{harmless(str(error))}\n")
            return False
        return True

    def heard(self, topic: str, payload: bytes, *, retained: bool) -> None:
        self.messages += 1
        if time.monotonic() - self._kept > KEEP_EVERY:
            self._kept = time.monotonic()
            self.kept()
        message = self.audit.feed(topic, payload, retained=retained)
        if isinstance(message, AgentStatus) and self._states.get(message.agent) != message.state:
            self._states[message.agent] = message.state
            sys.stderr.write(harmless(f"agent {message.agent} is {message.state}") + "\n")

    def marked(self, topic: str, payload: bytes, properties: UserProperties, *, retained: bool) -> None:
        self.messages += 1
        self.audit.feed_marked(topic, payload, properties, retained=retained)

    def interrupted(self) -> None:
        self._interruptions += 1
        self.audit.interrupted()

    def report(self) -> list[str]:
        """Findings, what is pending, and the result at last."""
        lines = [str(finding) for finding in self.audit.findings()]
        for hole in self.audit.pending_holes():
            key = hole.stream
            numbers = f"{hole.first}" if hole.first == hole.last else f"{hole.first}-{hole.last}"
            lines.append(f"pending {key.agent}/{key.device} epoch {key.epoch} seq {numbers}: may still come")
        if self._interruptions:
            lines.append(f"note: our own session at the broker was lost {self._interruptions} times: see `unheard`")
        if self.audit.runs > 1:
            lines.append(f"note: the books of {self.audit.runs} runs; what passed between them does not count")
        return [*lines, *self.audit.notes(), self.audit.line()]
