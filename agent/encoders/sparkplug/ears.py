"""What the edge node receives: commands to it and its devices, and the state of the primary host."""

from __future__ import annotations

from typing import Literal

from agent.core.clock import Clock
from agent.core.flow import Incoming
from agent.encoders.sparkplug import commands
from agent.encoders.sparkplug.host import PrimaryHost
from agent.encoders.sparkplug.node import Node
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

log = get_logger("sparkplug")

#: Births are published at most this often, seconds: several hosts that ask at once get one.
REST = 1.0

#: A command larger than this is not decoded, bytes.
LARGEST = 64 << 10

Heard = Literal["rebirth", "online", "offline"]


class Ears:
    """Judges incoming messages; says what is refused, seldom enough."""

    def __init__(self, node: Node, host: PrimaryHost | None, clock: Clock) -> None:
        self.server = ""  #: whose STATE we hear
        self._node = node
        self._host = host
        self._clock = clock
        self._answered: float | None = None
        self._word = ""
        self._repeats = Repeats()

    def hear(self, incoming: Incoming) -> Heard | None:
        """What the dialogue must act on."""
        if self._host is not None and incoming.topic in (self._node.state_topic, self._node.old_state_topic):
            return self._state(self._host, incoming)
        to_node = incoming.topic == self._node.topic("NCMD")
        if incoming.retain:
            # somebody's leftover would give us a rebirth at every connection
            self._refuse(incoming.topic, reason="retained: commands are for now")
            return None
        if len(incoming.payload) > LARGEST:
            self._refuse(incoming.topic, reason=f"{len(incoming.payload)} bytes: no host asks for so much")
            return None
        command = commands.judge(incoming.payload, to_node=to_node)
        if command.malformed:
            self._refuse(incoming.topic, reason=command.malformed)
        elif command.refused:
            self._refuse(incoming.topic, reason="the agent only reads", metrics=list(command.refused[:5]))
        return "rebirth" if command.rebirth else None

    def _state(self, host: PrimaryHost, incoming: Incoming) -> Heard | None:
        if incoming.topic == self._node.old_state_topic:
            word, reason = host.hear_old(self.server, incoming.payload)
        else:
            now = self._clock.now_ms() if self._clock.synced else None
            word, reason = host.hear(self.server, incoming.payload, now)
        if word is None and not reason:
            return None
        if word is None:
            if (repeats := self._repeats.due(("state", reason), self._clock.monotonic())) is not None:
                log.warning("sparkplug.host_ignored", host=host.host_id, reason=reason, repeats=repeats)
        elif word != self._word:
            self._word = word
            log.info("sparkplug.host", host=host.host_id, state=word)
        return word

    def _refuse(self, topic: str, *, reason: str, metrics: list[str] | None = None) -> None:
        if (repeats := self._repeats.due(("refused", topic, reason), self._clock.monotonic())) is not None:
            log.warning("sparkplug.command_refused", topic=topic, reason=reason, metrics=metrics, repeats=repeats)

    def answered(self) -> None:
        """Births have been said."""
        self._answered = self._clock.monotonic()

    def may_answer(self) -> bool:
        """Whether births may be published again already."""
        return self._answered is None or self._clock.monotonic() - self._answered >= REST
