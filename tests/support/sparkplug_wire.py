"""What only the wire shows of an edge node, judged by the statements of the specification: for what a tap reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.consumer.sparkplug.monitor import Monitor
from agent.consumer.sparkplug.node import REBIRTH
from agent.consumer.sparkplug.topics import NAMESPACE, Subject, place
from agent.consumer.sparkplug.unchecked import CHECKED
from agent.consumer.sparkplug.wire import MalformedError, decode

_WILL = "message-flow-edge-node-birth-publish-will-message"
_WALK = "operational-behavior-primary-application-state-with-multiple-servers-"
_HOST = "operational-behavior-edge-node-termination-host-offline"
_PHID = "message-flow-edge-node-birth-publish-phid-"
_COMMANDS = tuple(one for one, text in CHECKED.items() if text.startswith("receive"))


@dataclass
class EdgeWill:
    """The will of a CONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass
class EdgeConnect:
    """What a client said to open a session."""

    version: str  #: "5" or "3.1.1"
    clean: bool
    expiry: int | None = None
    will: EdgeWill | None = None


@dataclass
class EdgeSession:
    """One connection of an edge node, from its CONNECT to its end."""

    connect: EdgeConnect
    server: str
    descriptor: tuple[str, str] | None
    accepted: bool = False
    granted: dict[str, int] = field(default_factory=dict)
    published: int = 0
    born: bool = False
    said_death: bool = False
    disconnect: int | None = None
    host: bool | None = None  #: the primary host's last valid word
    host_left: bool = False  #: it reported offline during our birth
    old_word: bool = False  #: an offline of it was older than what we knew: the node must stay
    coping: bool = False  #: a command was delivered


class WireMonitor(Monitor):
    """Tell it all that both sides say. `primary_host`: the id the nodes are configured with."""

    def __init__(self, now_ms: Callable[[], int], *, primary_host: str | None = None) -> None:
        super().__init__(now_ms)
        self._host = primary_host
        self._sessions: dict[int, EdgeSession] = {}
        self._last_bdseq: dict[tuple[str, str], int] = {}
        self._host_times: dict[str, int] = {}
        self._left_for_host: str | None = None  #: the server that was left because the host was offline there

    # --- a session opens ----------------------------------------------------------------------------------------------

    def connected(self, link: int, connect: EdgeConnect, server: str = "") -> None:
        """CONNECT was sent. `link` numbers the connections."""
        check, will = self.ledger.check, connect.will
        here = None if will is None else place(will.topic)
        session = self._sessions[link] = EdgeSession(connect, server, None if here is None else here.descriptor)
        if connect.version == "5":
            clean = connect.clean and not connect.expiry
            check(clean, f"{connect}", "principles-persistence-clean-session-50")
        else:
            check(connect.clean, f"{connect}", "principles-persistence-clean-session-311")
        check(will is not None, "CONNECT without a will", _WILL, "payloads-ndeath-will-message")
        if will is None:
            return
        right = here is not None and here.kind == "NDEATH"
        check(right, f"will on {will.topic}", _WILL + "-topic", "topics-ndeath-topic")
        check(will.qos == 1, f"will QoS {will.qos}", _WILL + "-qos", "payloads-ndeath-will-message-qos")
        said = f"will retain {will.retain}"
        check(not will.retain, said, _WILL + "-will-retained", "payloads-ndeath-will-message-retain")
        if here is not None:
            self._sole(link, here)
            self._will_payload(here, will, session)

    def _sole(self, link: int, here: Subject) -> None:
        others = [
            one for one, session in self._sessions.items() if one != link and session.descriptor == here.descriptor
        ]
        self.ledger.check(
            not others, f"{here.descriptor} is connected twice", "intro-edge-node-id-uniqueness",
            "topic-structure-namespace-unique-edge-node-descriptor", "payloads-nbirth-edge-node-descriptor",
            _WALK + "single-server",
        )  # fmt: skip
        last = self._left_for_host
        if last is not None:
            walked = self._sessions[link].server != last
            said = f"back at {last}, which was left because the host is offline there"
            self.ledger.check(walked, said, _WALK + "walk", _HOST + "-reconnect")
            self._left_for_host = None

    def _will_payload(self, here: Subject, will: EdgeWill, session: EdgeSession) -> None:
        check, node = self.ledger.check, self._node(here.descriptor)
        try:
            payload = decode(will.payload)
        except MalformedError as error:
            check(False, f"will: {error}", _WILL + "-payload")
            return
        check(not payload.oddities, f"will: {payload.oddities}", _WILL + "-payload")
        check(payload.seq is None, f"will has seq {payload.seq}", "topics-ndeath-seq", "payloads-ndeath-seq")
        only = len(payload.metrics) == 1 and payload.metrics[0].name == "bdSeq"
        if not check(only, f"will: {payload.metrics}", "topics-ndeath-payload"):
            return
        metric, last = payload.metrics[0], self._last_bdseq.get(here.descriptor)
        number = metric.value if isinstance(metric.value, int) else -1
        expected = 0 if last is None else (last + 1) % 256
        fits = metric.datatype in (4, 8) and metric.value_field == "long_value"
        said = f"will bdSeq {metric.value} (type {metric.datatype}) after {last}"
        check(fits and number == expected, said, _WILL + "-payload-bdSeq", "topics-nbirth-bdseq-increment")
        self._last_bdseq[here.descriptor] = node.will_bdseq = number
        node.born = session.born = False

    def accepted(self, link: int, code: int) -> None:
        """CONNACK."""
        self._sessions[link].accepted = code == 0

    def subscribed(self, link: int, granted: Mapping[str, int]) -> None:
        """SUBSCRIBE and its SUBACK: topic → QoS asked for, where it was granted."""
        session, check = self._sessions[link], self.ledger.check
        session.granted.update(granted)
        if session.descriptor is None:
            return
        group, node = session.descriptor
        for topic, qos in granted.items():
            said = f"subscribed {topic} at QoS {qos}"
            if topic == f"{NAMESPACE}/{group}/NCMD/{node}":
                check(qos == 1, said, "message-flow-edge-node-ncmd-subscribe", "topics-ncmd-topic")
            elif topic.startswith(f"{NAMESPACE}/{group}/DCMD/{node}/"):
                check(qos == 1, said, "message-flow-device-dcmd-subscribe", "topics-dcmd-topic")

    # --- what the node publishes --------------------------------------------------------------------------------------

    def published(  # type: ignore[override]  # a tap knows more than a subscriber
        self, topic: str, payload: bytes, *, link: int, qos: int, retain: bool
    ) -> None:
        """A PUBLISH of a node."""
        here = self._placed(topic)
        if here is not None:
            node, session = self._node(here.descriptor), self._sessions[link]
            self._on_wire(session, here)
            self._judge(here, topic, retain=retain, qos=qos)
            node.feed(here, payload, self._now_ms(), wire=True)
            session.born = node.born

    def _on_wire(self, session: EdgeSession, here: Subject) -> None:
        check, kind = self.ledger.check, here.kind
        where = f"{kind} {here.node}/{here.device or ''}"
        check(session.accepted, f"{where} before CONNACK", "message-flow-edge-node-birth-publish-connect")
        if not session.published:
            check(kind == "NBIRTH", f"{where} is the first message", "principles-birth-certificates-order")
        session.published += 1
        check(not session.said_death, f"{where} after NDEATH", "payloads-ndeath-will-message-publisher")
        if kind == "NBIRTH":
            topic = f"{NAMESPACE}/{here.group}/NCMD/{here.node}"
            check(
                topic in session.granted, f"{where} before NCMD is subscribed", "message-flow-edge-node-ncmd-subscribe"
            )
            if self._host is not None:
                heard = f"{NAMESPACE}/STATE/{self._host}" in session.granted
                check(heard, f"{where} before STATE/{self._host} is subscribed", _WALK + "state-subs")
                ids = [_PHID + "wait-id", _PHID + "wait", _PHID + "wait-online", _PHID + "wait-timestamp"]
                ids += ["operational-behavior-edge-node-birth-sequence-wait"]
                check(session.host, f"{where} before the host is online", *ids)
        elif kind == "DBIRTH":
            dcmd = any("/DCMD/" in topic for topic in session.granted)
            check(dcmd, f"{where} before DCMD is subscribed", "message-flow-device-dcmd-subscribe")
        elif kind == "NDEATH":
            session.said_death = True
            check(True, "", "operational-behavior-edge-node-intentional-disconnect-ndeath")
        if session.old_word:
            session.old_word = False
            check(
                kind != "NDEATH", f"{where} for an offline STATE that is older than the last one", _HOST + "-timestamp"
            )
        if session.coping:
            session.coping = False
            check(True, "", *_COMMANDS)

    # --- what is delivered to the node --------------------------------------------------------------------------------

    def delivered(self, link: int, topic: str, payload: bytes) -> None:
        """A PUBLISH of the broker to the node."""
        session = self._sessions[link]
        if topic == f"{NAMESPACE}/STATE/{self._host}":
            self._state(session, payload)
        here = place(topic)
        if here is None or here.kind not in ("NCMD", "DCMD"):
            return
        session.coping = True
        try:
            command = decode(payload)
        except MalformedError:
            return
        asked = any(metric.name == REBIRTH and metric.value is True for metric in command.metrics)
        node = self._node(here.descriptor)
        if asked and here.kind == "NCMD" and node.born:
            node.rebirth_asked = True

    def _state(self, session: EdgeSession, payload: bytes) -> None:
        try:
            state = json.loads(payload)
            online, stamp = state["online"], state["timestamp"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if not isinstance(online, bool) or not isinstance(stamp, int):
            return
        if stamp < self._host_times.get(session.server, 0):
            session.old_word = not online and session.born
            return
        self._host_times[session.server] = stamp
        session.host = online
        if not online and session.born:
            session.host_left = True

    # --- a session ends -----------------------------------------------------------------------------------------------

    def disconnected(self, link: int, reason: int) -> None:
        """DISCONNECT was sent (reason 0 on 3.1.1)."""
        session, check = self._sessions[link], self.ledger.check
        session.disconnect = reason
        if not session.published:
            return
        five = session.connect.version == "5"
        said = f"DISCONNECT {reason:#04x}, NDEATH before it: {session.said_death}"
        check(
            session.said_death, said, "operational-behavior-edge-node-intentional-disconnect-ndeath",
            "payloads-ndeath-will-message-publisher",
        )  # fmt: skip
        if five:
            check(reason == 4, said, "payloads-ndeath-will-message-publisher-disconnect-mqtt50")
        else:
            check(session.said_death, said, "payloads-ndeath-will-message-publisher-disconnect-mqtt311")

    def closed(self, link: int) -> None:
        """The connection is gone."""
        session = self._sessions.pop(link, None)
        if session is None:
            return
        if session.descriptor is not None:
            self._node(session.descriptor).born = False
        if session.host_left:
            left = session.said_death
            self.ledger.check(left, "host offline: no NDEATH before the end", _PHID + "offline", _HOST)
            self._left_for_host = session.server
        if session.old_word:
            self.ledger.check(False, "the node left for an old offline STATE", _HOST + "-timestamp")
        if session.coping and session.published and not session.said_death:
            self.ledger.check(False, "the session did not survive a command", *_COMMANDS)

    def end(self) -> None:
        """Nothing more comes: what should have happened by now?"""
        for descriptor, node in self.nodes.items():
            if node.rebirth_asked:
                said = f"{descriptor}: a rebirth was asked for and never came"
                self.ledger.check(False, said, "operational-behavior-data-commands-rebirth-action-2")
        for session in self._sessions.values():
            if session.host_left:
                self.ledger.check(False, "the host is offline and the node stays", _PHID + "offline", _HOST)
