"""An independent consumer: a subscriber at the broker itself that keeps all it hears and knows the contract by heart.

Two books are kept: the product's own audit, and plain lists that share no code with it.

    async with consuming(mosquitto.url) as consumer:
        await consumer.heard(20, "dev-1")
        await consumer.check()
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from agent.consumer.audit import Audit
from agent.consumer.subscriber import Subscriber
from agent.consumer.target import access_of
from tests.support.waiting import PATIENCE, eventually

#: What may differ when a record is sent again: it is as of sending.
AS_OF_SENDING = ("low", "historical", "resent")


class Said(NamedTuple):
    """One message of readings as it arrived."""

    session: int  #: how many sessions of its agent had been announced by then
    device: str
    epoch: str
    seq: int
    ts: int
    historical: bool
    snapshot: bool
    resent: bool
    again: bool  #: the same key came before
    values: dict[str, Any]

    @property
    def number(self) -> tuple[str, int]:
        """Place in the device's history; epochs are ULIDs and sort by their beginning."""
        return self.epoch, self.seq


class Consumer:
    """Everything that arrived, in order."""

    def __init__(self) -> None:
        self.audit = Audit()
        self.records: list[Said] = []
        self.gaps: list[dict[str, Any]] = []
        self.topics: dict[str, list[bytes]] = defaultdict(list)  #: what is retained by contract, as it came
        self.agents: dict[str, list[dict[str, Any]]] = defaultdict(list)  #: status, as it came
        self.two_faced: list[tuple[Any, ...]] = []  #: keys that came with two payloads
        self.subscribed = asyncio.Event()
        self.interruptions = 0
        self._payloads: dict[tuple[Any, ...], bytes] = {}
        self._sessions: dict[str, list[str]] = defaultdict(list)

    # --- hearing ------------------------------------------------------------------------------------------------------

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Take in one message."""
        self.audit.feed(topic, payload, retained=retained)
        kind = topic.rpartition("/")[2]
        if kind == "readings":
            self._readings(json.loads(payload))
        elif kind == "gaps":
            self.gaps.append(json.loads(payload))
        else:
            self.topics[topic].append(payload)
            if topic.startswith("edge/agents/") and topic.endswith("/status") and payload:
                self._agent(topic.split("/")[2], json.loads(payload))

    def _agent(self, agent: str, status: dict[str, Any]) -> None:
        self.agents[agent].append(status)
        if status["state"] == "online" and status["session"] not in self._sessions[agent]:
            self._sessions[agent].append(status["session"])

    def _readings(self, message: dict[str, Any]) -> None:
        part = tuple(message.get("part", ()))
        key = (message["agent"], message["epoch"], message["device"], message["seq"], part)
        fixed = {name: value for name, value in message.items() if name not in AS_OF_SENDING}
        digest = blake2b(json.dumps(fixed, sort_keys=True).encode()).digest()
        before = self._payloads.setdefault(key, digest)
        if before != digest:
            self.two_faced.append(key)
        again = len(self._payloads) == self._count
        self._count = len(self._payloads)
        values = {reading["tag"]: reading["value"] for reading in message["readings"]}
        self.records.append(
            Said(
                len(self._sessions[message["agent"]]), message["device"], message["epoch"], message["seq"],
                message["ts"], message.get("historical", False), message.get("snapshot", False),
                message.get("resent", False), again, values,
            )
        )  # fmt: skip

    _count = 0

    def interrupted(self) -> None:
        """Our own session at the broker was lost."""
        self.interruptions += 1
        self.audit.interrupted()

    # --- asked --------------------------------------------------------------------------------------------------------

    @property
    def fresh(self) -> list[Said]:
        """Without repetitions."""
        return [said for said in self.records if not said.again]

    @property
    def duplicates(self) -> int:
        """Messages that came before."""
        return len(self.records) - len(self._payloads)

    def of(self, device: str) -> list[Said]:
        """Records of a device without repetitions, by epoch and number."""
        return sorted((said for said in self.fresh if said.device == device), key=lambda said: said.number)

    @property
    def devices(self) -> list[str]:
        """Those heard of."""
        return sorted({said.device for said in self.records})

    @property
    def epochs(self) -> list[str]:
        """In the order they began."""
        return sorted({said.epoch for said in self.records})

    def sessions(self) -> list[list[Said]]:
        """Records by broker session of the one agent there is; repetitions are part of the story."""
        result: list[list[Said]] = [[] for _ in range(max((said.session for said in self.records), default=0) + 1)]
        for said in self.records:
            result[said.session].append(said)
        return result[1:]

    def down(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Declared times without the agent: (device, epoch before) → gap."""
        return {(gap["device"], gap["epoch"]): gap for gap in self.gaps if gap["kind"] == "down"}

    # --- waiting ------------------------------------------------------------------------------------------------------

    async def heard(self, more: int, *devices: str, live: bool = True, timeout: float = PATIENCE) -> None:
        """Wait until every one of `devices` (default: of those heard so far) has said `more` further records."""
        start = len(self.records)

        def enough() -> bool:
            new = [said.device for said in self.records[start:] if not (live and said.historical)]
            return all(new.count(device) >= more for device in devices or self.devices) and bool(new)

        await eventually(enough, timeout, f"{more} more records of {devices or 'every device'}")

    # --- the contract -------------------------------------------------------------------------------------------------

    def disorder(self) -> list[str]:
        """Within a session, per device and lane, numbers rise."""
        wrong = []
        last: dict[tuple[int, str, bool], tuple[str, int]] = {}
        for said in self.records:
            if said.resent:  # asked for by somebody, in whatever order
                continue
            lane = (said.session, said.device, said.historical)
            if said.number <= last.get(lane, ("", 0)):
                wrong.append(f"{lane}: {said.number} after {last[lane]}")
            last[lane] = said.number
        return wrong

    def without_snapshot(self) -> list[str]:
        """After every connection the first live record of each device is a snapshot."""
        greeted: set[tuple[int, str]] = set()
        wrong = []
        for said in self.records:
            if not said.historical and (said.session, said.device) not in greeted:
                greeted.add((said.session, said.device))
                if not said.snapshot:
                    wrong.append(f"session {said.session}, {said.device}: {said.number}")
        return wrong

    def lost_scans(self, tag: str) -> list[str]:
        """Where a device that counts its scans in `tag` shows that one of them is missing within an epoch."""
        wrong = []
        for device in self.devices:
            scans = [said for said in self.of(device) if not said.snapshot]
            for one, other in pairwise(scans):
                if one.epoch == other.epoch and other.values[tag] != one.values[tag] + 1:
                    wrong.append(f"{device}: {one.number} {one.values[tag]}, then {other.number} {other.values[tag]}")
        return wrong

    def unaccounted(self) -> list[str]:
        """Numbers up to the highest heard that neither came nor were declared lost, counted without the audit."""
        wrong = []
        for device in self.devices:
            for epoch in self.epochs:
                came = {said.seq for said in self.of(device) if said.epoch == epoch}
                declared = {
                    seq
                    for gap in self.gaps
                    if gap["device"] == device and gap["epoch"] == epoch and gap["kind"] != "down" and gap["from_seq"]
                    for seq in range(gap["from_seq"], (gap["to_seq"] or gap["from_seq"]) + 1)
                }
                known = came | declared
                wrong += [f"{device} {epoch} {seq}" for seq in range(1, max(known, default=0) + 1) if seq not in known]
        return wrong

    def wrongly_declared_downs(self) -> list[str]:
        """Every epoch but the last of a device ends with a word on when nobody looked, and with its last number."""
        wrong = []
        declared = self.down()
        for device in self.devices:
            epochs = sorted({said.epoch for said in self.of(device)})
            for epoch, following in pairwise(epochs):
                last = max(said.seq for said in self.of(device) if said.epoch == epoch)
                begun = min(said.ts for said in self.of(device) if said.epoch == following)
                gap = declared.get((device, epoch))
                if gap is None or gap["to_seq"] != last or not gap["from_ts"] <= gap["to_ts"] <= begun:
                    wrong.append(f"{device} {epoch} ended with {last}: {gap}")
        return wrong

    async def complete(self) -> None:
        """Wait until no number is open: a broker passes on a little later what it has acknowledged."""
        await eventually(lambda: not self.unaccounted(), what="every number is accounted for")

    async def check(self) -> None:
        """Nothing missing, nothing twice as if it were new, everything in its order."""
        await self.complete()
        assert self.two_faced == []
        assert self.disorder() == []
        assert self.without_snapshot() == []
        assert [str(finding) for finding in self.audit.findings()] == [], self.audit.line()
        assert self.unaccounted() == []
        assert "missing=0" in self.audit.line()
        assert "undeclared_gaps=0" in self.audit.line()
        assert self.audit.pending() == 0


C = TypeVar("C", bound=Consumer)


@asynccontextmanager
async def consuming(url: str) -> AsyncIterator[Consumer]:
    """Subscribe to everything before the body runs; directly at the broker, whatever becomes of the agent's own way."""
    async with subscribed(url, Consumer()) as consumer:
        yield consumer


@asynccontextmanager
async def subscribed(url: str, consumer: C) -> AsyncIterator[C]:
    """What `consuming` does, for any consumer."""
    subscriber = Subscriber(access_of(url), ["edge/#"], consumer.hear, on_interrupted=consumer.interrupted)
    consumer.subscribed = subscriber.subscribed
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        running = group.create_task(subscriber.run(), name="consumer")
        try:
            async with asyncio.timeout(PATIENCE):
                await consumer.subscribed.wait()
            yield consumer
        except Exception as error:  # noqa: BLE001 - raised again below, not wrapped in a group of one
            failure = error
        running.cancel()
    if failure is not None:
        raise failure
