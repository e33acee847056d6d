"""Watches edge nodes as a subscriber of a broker does. What was checked and what failed stands in `ledger`.

Only the wire shows wills, clean sessions, subscriptions, QoS above the observer's own, and how a session ends: there
our tests judge our own node (tests/support/sparkplug_wire.py).
"""

from __future__ import annotations

from collections.abc import Callable

from agent.consumer.sparkplug.ledger import Scorecard
from agent.consumer.sparkplug.node import EdgeNode
from agent.consumer.sparkplug.statements import ALSO_TOPIC, MQTT, QOS, RETAIN
from agent.consumer.sparkplug.topics import NAMESPACE, Subject, kind_of, place
from agent.consumer.sparkplug.unchecked import CHECKED

_NAMES = tuple(one for one in CHECKED if one.startswith(("intro-", "topic-structure")))


class Monitor:
    """Feed it what is published; ask `ledger` what was right."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.ledger = Scorecard()
        self.nodes: dict[tuple[str, str], EdgeNode] = {}
        self._now_ms = now_ms

    def published(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """A PUBLISH of a node, as a subscriber saw it, who cannot know its QoS."""
        here = self._placed(topic)
        if here is not None:
            self._judge(here, topic, retain=retain)
            self._node(here.descriptor).feed(here, payload, self._now_ms())

    def _node(self, descriptor: tuple[str, str]) -> EdgeNode:
        node = self.nodes.get(descriptor)
        if node is None:
            node = self.nodes[descriptor] = EdgeNode(self.ledger, *descriptor)
        return node

    def _placed(self, topic: str) -> Subject | None:
        """What a node says by its topic; None where it is none of a node's."""
        if not topic.startswith(NAMESPACE + "/") or topic.startswith(f"{NAMESPACE}/STATE/"):
            return None
        here, check = place(topic), self.ledger.check
        check(here is not None, f"topic {topic}", *_NAMES)
        kind = kind_of(topic)
        if here is None and kind is not None:
            check(False, f"topic {topic}", f"topics-{kind.lower()}-topic", *ALSO_TOPIC.get(kind, ()))
        if here is None or here.kind in ("NCMD", "DCMD"):
            return None
        check(True, "", f"topics-{here.kind.lower()}-topic", *ALSO_TOPIC.get(here.kind, ()))
        return here

    def _judge(self, here: Subject, topic: str, *, retain: bool, qos: int | None = None) -> None:
        """How it is published. `qos` None: not known."""
        if here.kind == "NDEATH":
            return
        check, said = self.ledger.check, f"{topic} at QoS {qos}, retain {retain}"
        check(qos in (0, None) and not retain, said, *MQTT.get(here.kind, ()))
        check(qos in (0, None), said, *QOS.get(here.kind, ()))
        check(not retain, said, *RETAIN.get(here.kind, ()))
