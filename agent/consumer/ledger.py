"""The audit's memory: every stream, every session, every rule of the contract a consumer can check. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agent.consumer.contract import AgentStatus, AgentStreams, GapNotice, Readings, StreamClaim
from agent.consumer.findings import Discrepancy, FindingKind, of_hole
from agent.consumer.marks import Marked
from agent.consumer.streams import HeardStream, MissingRange, StreamKey, Verdict

#: A new epoch's word about the one before waits behind the backlog; so long may it be late, seconds.
EPOCH_GRACE = 10.0
#: So many sessions of an agent beside the present one are remembered.
OTHERS = 8
#: What an epoch that is over still owes comes as backlog. So long must an agent have been online and silent about
#: history before a hole there is called missing: nothing claims a `low` for that epoch any more.
BACKLOG_GRACE = 15.0
#: So many findings of a kind are listed; more are counted.
LISTED = 1000
#: Of so many epochs of a device that are over it is remembered what each record said, to tell a repetition from a
#: conflict.
CONTENTS_OF = 2


class _Change(NamedTuple):
    """A device's live epoch changed from `old`; waiting for its declaration."""

    old: StreamKey
    new: str


class _Session:
    """What is known of an agent's present broker session."""

    def __init__(self, name: str, *, from_start: bool) -> None:
        self.name = name
        self.from_start = from_start  #: we were there when it began
        self.online = True
        self.greeted: set[str] = set()  # devices that had their snapshot
        self.claims: set[StreamKey] = set()  # streams it has spoken of, or that began under it


class Ledger:
    """Feed it everything in the order of arrival; ask it at any time."""

    def __init__(self) -> None:
        self.streams: dict[StreamKey, HeardStream] = {}
        self.counts: Counter[Verdict] = Counter()
        self.declared_gaps = 0
        self.findings: list[Discrepancy] = []  #: those that are facts at once; holes and epochs are judged when asked
        self.found: Counter[FindingKind] = Counter()  #: of these, how many by kind; `LISTED` of each are in the list
        self._sessions: dict[str, _Session] = {}
        self._others: dict[str, dict[str, _Session]] = {}  # by agent and name: earlier ones that are not `offline` yet
        self._lanes: dict[tuple[StreamKey, bool], tuple[int, int]] = {}  # seq and message of it that came last
        self._live_epoch: dict[tuple[str, str], StreamKey] = {}
        self._declared_epochs: set[StreamKey] = set()
        self._changes: dict[_Change, float] = {}  # when it was last excused by a backlog on its way
        self._over: dict[StreamKey, None] = {}  # streams of epochs that ended, in that order
        self._followed: set[StreamKey] = set()  # of these, the ones another epoch spoke live after
        self._twins: set[str] = set()  # agents of which there are two
        self._quiet_since: dict[str, float] = {}  # by agent: when it last sent history, or came online

    def readings(self, message: Readings | Marked, now: float) -> Verdict:
        """A record or a part of one."""
        key = StreamKey(message.agent, message.epoch, message.device)
        stream = self._stream(key)
        session = self._sessions.get(key.agent)
        lane = ("historical" if message.historical else "live") if isinstance(message, Marked) else ""
        verdict = stream.hear(
            message.seq, message.low, message.part, message.fingerprint, live=not message.historical, lane=lane,
            resent=message.resent, joined=session is not None and not session.from_start,
        )  # fmt: skip
        self.counts[verdict] += 1
        if verdict == "conflict":
            self._find("conflict", key, message.seq, "the same key came with two payloads")
        elif verdict == "new":
            if not message.resent:
                self._check_order(key, message)
            if message.historical:
                self._quiet_since[key.agent] = now
                for change in self._changes:
                    if change.old.agent == key.agent:
                        self._changes[change] = now
            else:
                self._check_live(key, message, now)
        return verdict

    def gap(self, message: GapNotice) -> None:
        """A declared loss."""
        self.declared_gaps += 1
        if message.kind == "lost" and message.from_seq is None:
            # the store itself is gone, and which epoch was in it
            for change in [c for c in self._changes if (c.old.agent, c.old.device) == (message.agent, message.device)]:
                del self._changes[change]
                self._declared_epochs.add(change.old)
        if message.epoch is None:
            return
        key = StreamKey(message.agent, message.epoch, message.device)
        if message.kind in ("down", "lost") and message.request is None:
            self._declared_epochs.add(key)
            for change in [change for change in self._changes if change.old == key]:
                del self._changes[change]
            self._ended(key)
        if message.kind == "down":  # it excuses the time, never a missing number; but it tells the last one
            self._stream(key).ends(message.to_seq)
        else:
            self._stream(key).declare(message.from_seq, message.to_seq)

    def agent_status(self, message: AgentStatus, now: float, *, retained: bool) -> None:
        """An agent's word about itself; `retained`: said before we subscribed."""
        known = self._sessions.get(message.agent)
        if retained:  # up to half a minute old: it claims nothing that is not published again
            self._sessions[message.agent] = session = _Session(message.session, from_start=False)
            session.online = message.state == "online"
            self._quiet_since[message.agent] = now
            return
        others = self._others.setdefault(message.agent, {})
        fresh = known is None or known.name != message.session
        if fresh and message.state == "offline":
            others.pop(message.session, None)
            return  # a late will, or that of another route of the agent
        if known is not None and fresh and known.online:
            others[known.name] = known
            if len(others) > OTHERS:
                del others[next(iter(others))]
        if message.session in others:  # two routes of one agent take turns on its status topic
            back = self._sessions[message.agent] = others.pop(message.session)
            back.from_start = fresh = False  # which of them sent a snapshot meanwhile nobody can tell
        elif fresh:
            # without a retained status there was no session before, unless its records tell another story
            from_start = known is not None or not any(key.agent == message.agent for key in self.streams)
            self._sessions[message.agent] = _Session(message.session, from_start=from_start)
            self._lanes = {lane: seq for lane, seq in self._lanes.items() if lane[0].agent != message.agent}
            self._quiet_since[message.agent] = now
        session = self._sessions[message.agent]
        session.online = message.state == "online"
        begins = fresh and session.from_start
        self._claimed(message.agent, session, message.streams, begins=begins)

    def agent_streams(self, message: AgentStreams, *, retained: bool) -> None:
        """Streams that the status of a session has no room for."""
        session = self._sessions.get(message.agent)
        if not retained and session is not None and session.name == message.session:
            known = {(key.device, key.epoch) for key in session.claims}
            begins = {name: one for name, one in message.streams.items() if (name, one.epoch) not in known}
            self._claimed(message.agent, session, begins, begins=session.from_start)
            self._claimed(message.agent, session, message.streams, begins=False)

    def _claimed(self, agent: str, session: _Session, streams: Mapping[str, StreamClaim], *, begins: bool) -> None:
        for device, claim in streams.items():
            key = StreamKey(agent, claim.epoch, device)
            session.claims.add(key)
            self._stream(key).claim(claim.low, claim.next, begins=begins)
            for ended in claim.before:  # a broker may lose its tail together with the gap that tells of its end
                earlier = self.streams.get(StreamKey(agent, ended.epoch, device))
                if earlier is not None and earlier.end < ended.next:
                    earlier.ends(ended.next - 1)
                    self._ended(earlier.key)

    def undecodable(self, reason: str) -> None:
        """A message on one of our topics that cannot be read."""
        self._add(Discrepancy("undecodable", "", "", "", None, None, reason))

    def interrupted(self) -> None:
        """The consumer's own connection was away, and its session at the broker is lost."""
        for stream in self.streams.values():
            stream.interrupted()
        self._forget_sessions()

    def absent(self) -> None:
        """The consumer did not listen for a while."""
        for stream in self.streams.values():
            stream.absent()
        self._forget_sessions()

    def _forget_sessions(self) -> None:
        self._lanes.clear()
        self._sessions.clear()
        self._others.clear()
        self._live_epoch.clear()

    # --- asked --------------------------------------------------------------------------------------------------------

    def holes(self, now: float) -> Iterator[MissingRange]:
        """All undeclared holes of all streams."""
        for key, stream in self.streams.items():
            session = self._sessions.get(key.agent)
            given_up = (
                key in self._over
                and session is not None
                and session.online
                and now - self._quiet_since.get(key.agent, now) > BACKLOG_GRACE
            )
            for hole in stream.holes():
                if hole.state == "pending" and not given_up:
                    yield hole
                else:
                    yield hole._replace(state="unheard" if hole.away else "missing")

    def judged(self, now: float) -> Iterator[Discrepancy]:
        """Everything that is wrong as of now: missing holes, undeclared epochs, and the facts of `findings`."""
        for hole in self.holes(now):
            if hole.state != "pending":
                yield of_hole(hole, self.streams[hole.stream].lacking(hole.first, hole.last))
        for change, since in self._changes.items():
            if now - since > EPOCH_GRACE:
                old, text = change.old, f"followed by epoch {change.new} without a word"
                yield Discrepancy("epoch", old.agent, old.device, old.epoch, None, None, text)
        yield from self.findings

    # --- kept from one audit to the next ------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Plain data: streams, counts and findings. Sessions are not kept: the next audit meets new ones."""
        return {
            "streams": [stream.dump() for stream in self.streams.values()],
            "counts": dict(self.counts),
            "declared_gaps": self.declared_gaps,
            "findings": [tuple(finding) for finding in self.findings],
            "found": dict(self.found),
            "declared_epochs": [tuple(key) for key in self._declared_epochs],
            "over": [tuple(key) for key in self._over],
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> Ledger:
        """What `dump` gave, after an absence."""
        ledger = cls()
        streams = [HeardStream.load(stream) for stream in data["streams"]]
        ledger.streams = {stream.key: stream for stream in streams}
        ledger.counts.update(data["counts"])
        ledger.declared_gaps = data["declared_gaps"]
        ledger.findings = [Discrepancy(*finding) for finding in data["findings"]]
        ledger.found.update(data.get("found") or Counter(finding.kind for finding in ledger.findings))
        ledger._declared_epochs = {StreamKey(*key) for key in data["declared_epochs"]}
        ledger._over = dict.fromkeys(StreamKey(*key) for key in data["over"])
        ledger.absent()
        return ledger

    # --- rules --------------------------------------------------------------------------------------------------------

    def _check_order(self, key: StreamKey, message: Readings | Marked) -> None:
        lane = (key, message.historical)
        part = message.part[0] if message.part is not None else 1
        last, last_part = self._lanes.get(lane, (0, 0))
        if (message.seq, part) < (last, last_part):
            name = "historical" if message.historical else "live"
            after = f"{last}" if last != message.seq else f"message {last_part} of it"
            self._find("disorder", key, message.seq, f"came after {after} in the {name} lane of one session")
        else:
            self._lanes[lane] = message.seq, part

    def _check_live(self, key: StreamKey, message: Readings | Marked, now: float) -> None:
        session = self._sessions.get(key.agent)
        if (
            session is not None
            and session.from_start
            and key.device not in session.greeted
            and self._is_of(session, key)
        ):
            session.greeted.add(key.device)
            session.claims.add(key)
            if not message.snapshot:
                self._find("no_snapshot", key, message.seq, "the first live record of the session is no snapshot")
        before = self._live_epoch.get((key.agent, key.device))
        self._live_epoch[key.agent, key.device] = key
        if before is not None and before != key:
            self._ended(before)
            self._followed.add(before)
            if key in self._followed and key.agent not in self._twins:
                self._twins.add(key.agent)
                text = f"speaks live by turns with epoch {before.epoch}: two agents share this id"
                self._find("conflict", key, message.seq, text)
        if before is not None and before != key and before not in self._declared_epochs:
            self._changes[_Change(before, key.epoch)] = now

    def _is_of(self, session: _Session, key: StreamKey) -> bool:
        """Whether the stream belongs to this session, and not to another route of the agent that is there as well."""
        others = self._others.get(key.agent, {}).values()
        return key in session.claims or not any(key in other.claims for other in others)

    def _stream(self, key: StreamKey) -> HeardStream:
        stream = self.streams.get(key)
        if stream is None:
            stream = self.streams[key] = HeardStream(key)
        return stream

    def _find(self, kind: FindingKind, key: StreamKey, seq: int, text: str) -> None:
        self._add(Discrepancy(kind, key.agent, key.device, key.epoch, seq, seq, text))

    def _add(self, finding: Discrepancy) -> None:
        self.found[finding.kind] += 1
        if self.found[finding.kind] <= LISTED:
            self.findings.append(finding)

    def _ended(self, key: StreamKey) -> None:
        """What comes twice of an epoch comes soon after its end: contents of older ones are not remembered."""
        self._over[key] = None
        epochs = [one for one in self._over if one[::2] == key[::2]]
        for one in epochs[:-CONTENTS_OF]:
            self._stream(one).forget_contents()
