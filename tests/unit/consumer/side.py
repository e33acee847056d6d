"""The side of an agent, for tests of what a consumer makes of it."""

from __future__ import annotations

import msgspec

from agent.consumer.audit import Audit


class Side:
    """Writes the contract's messages and feeds them to an audit."""

    def __init__(self):
        self.now = 1000.0
        self.audit = Audit(monotonic=lambda: self.now)

    def record(self, seq, *, low=1, device="press", epoch="E1", value=None, retained=False, **extra):
        readings = [{"tag": "t", "value": seq if value is None else value, "ts": 1, "quality": "good"}]
        body = {
            "schema": "edge.readings.v1", "agent": "gw", "device": device, "epoch": epoch, "seq": seq, "low": low,
            "ts": 1, "cat": 1, "readings": readings,
        }  # fmt: skip
        return self._feed(f"edge/site/{device}/readings", body | extra, retained=retained)

    def gap(self, kind="dropped", first=None, last=None, *, epoch="E1", device="press", retained=False, **extra):
        body = {
            "id": "G", "kind": kind, "agent": "gw", "device": device, "epoch": epoch, "from_seq": first,
            "to_seq": last, "from_ts": 1, "to_ts": 2, "tags": None, "records": None, "readings": None, "reason": "r",
        }  # fmt: skip
        return self._feed(f"edge/site/{device}/gaps", body | extra, retained=retained)

    def status(self, session, state="online", *, retained=False, **streams):
        claims = {
            device: {"epoch": epoch, "low": low, "next": following}
            for device, (epoch, low, following) in streams.items()
        }
        return self._feed(
            "edge/agents/gw/status", {"state": state, "session": session, "streams": claims}, retained=retained
        )

    def streams(self, session, part=(1, 1), **streams):
        """What the status has no room for; claims as they are on the wire."""
        body = {"session": session, "part": list(part), "streams": streams, "ts": 1}
        return self._feed(f"edge/agents/gw/streams/{part[0]}", body)

    def _feed(self, topic, body, *, retained=False):
        return self.audit.feed(topic, msgspec.json.encode(body), retained=retained)

    def found(self, kind=None):
        return [f for f in self.audit.findings() if kind is None or f.kind == kind]

    @property
    def missing(self):
        return [(f.device, f.first, f.last) for f in self.found("missing")]
