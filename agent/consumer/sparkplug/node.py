"""One edge node as a host application sees it: births, sequence, devices, metrics; every message is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agent.consumer.sparkplug.ledger import Scorecard
from agent.consumer.sparkplug.metrics import Known, check_birth_metric, check_data_metric, check_names, in_order
from agent.consumer.sparkplug.topics import Subject
from agent.consumer.sparkplug.wire import MalformedError, Payload, decode

REBIRTH = "Node Control/Rebirth"

#: Payload timestamps may differ from our clock by this much, milliseconds.
SKEW = 60_000


@dataclass
class EdgeDevice:
    """One device."""

    state: Literal["born", "dead"] = "born"
    names: dict[str, Known] = field(default_factory=dict)


class EdgeNode:
    """The state machine of one group/edge pair."""

    def __init__(self, ledger: Scorecard, group: str, edge_node: str) -> None:
        self.ledger = ledger
        self.where = f"{group}/{edge_node}"
        self.born = False
        self.will_bdseq: int | None = None  #: of the CONNECT in force, where we saw it
        self.bdseq: int | None = None  #: of the newest NBIRTH
        self.seq: int | None = None
        self.names: dict[str, Known] = {}
        self.aliases: dict[int, Known] = {}
        self.devices: dict[str, EdgeDevice] = {}
        self.aliased = False
        self.rebirth_asked = False  #: a rebirth was asked for and has not been answered
        self.expected: set[str] = set()  #: devices to be born again before any data
        self.messages = 0

    def feed(self, place: Subject, raw: bytes, now: int, *, wire: bool = False) -> None:
        """One message of this node; `wire`: as it sent it, else as a subscriber got it (wills among them)."""
        self.messages += 1
        kind, check = place.kind, self.ledger.check
        where = f"{kind} {self.where}" + ("" if place.device is None else f"/{place.device}")
        try:
            payload = decode(raw)
        except MalformedError as error:
            check(False, f"{where}: {error}", *_PAYLOAD.get(kind, _PAYLOAD["NBIRTH"]))
            return
        check(not payload.oddities, f"{where}: {payload.oddities}", *_PAYLOAD.get(kind, ()))
        self._time(kind, payload, where, now)
        if kind == "NDEATH":
            self._node_death(payload, where, wire=wire)
            return
        self._sequence(kind, payload, where)
        if kind == "NBIRTH":
            self._node_birth(payload, where)
        elif kind == "NDATA":
            self._data(None, payload, where)
        elif place.device is not None:
            if kind == "DBIRTH":
                self._device_birth(place.device, payload, where)
            elif kind == "DDATA":
                self._data(place.device, payload, where)
            elif kind == "DDEATH":
                self._device_death(place.device, where)

    # --- time and sequence --------------------------------------------------------------------------------------------

    def _time(self, kind: str, payload: Payload, where: str, now: int) -> None:
        if kind == "NDEATH":
            return
        given = payload.timestamp
        self.ledger.check(given is not None, f"{where}: no payload timestamp", *_TIMESTAMP[kind])
        near = given is not None and abs(given - now) <= SKEW
        self.ledger.check(near, f"{where}: payload timestamp {given}, it is {now}", "payloads-timestamp-in-UTC")

    def _sequence(self, kind: str, payload: Payload, where: str) -> None:
        check, seq = self.ledger.check, payload.seq
        check(seq is not None, f"{where}: no seq", "payloads-sequence-num-always-included", *_HAS_SEQ[kind])
        if seq is None:
            return
        if kind == "NBIRTH":
            check(seq == 0, f"{where}: seq {seq}", "topics-nbirth-seq-num")
            said = f"{where}: seq {seq}"
            check(
                0 <= seq <= 255, said, "payloads-nbirth-seq", "payloads-sequence-num-req-nbirth",
                "message-flow-edge-node-birth-publish-nbirth-payload-seq",
            )  # fmt: skip
        elif self.seq is not None:
            right = seq == (self.seq + 1) % 256
            check(right, f"{where}: seq {seq} after {self.seq}", "payloads-sequence-num-incrementing", *_SEQ_INC[kind])
        self.seq = seq

    # --- the node -----------------------------------------------------------------------------------------------------

    def _node_birth(self, payload: Payload, where: str) -> None:
        check = self.ledger.check
        bdseq = next((metric for metric in payload.metrics if metric.name == "bdSeq"), None)
        said = f"{where}: bdSeq {bdseq}"
        check(bdseq is not None, said, "topics-nbirth-bdseq-included", "payloads-nbirth-bdseq")
        if bdseq is not None:
            right = bdseq.datatype in (4, 8) and bdseq.value_field == "long_value" and bdseq.alias is None
            matching = self.will_bdseq is None or bdseq.value == self.will_bdseq
            check(
                right and matching, f"{said}, will {self.will_bdseq}",
                "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq", "topics-nbirth-bdseq-matching",
                "payloads-nbirth-bdseq-repeat", "payloads-ndeath-bdseq",
            )  # fmt: skip
            if self.rebirth_asked:
                same = bdseq.value == self.bdseq
                check(same, f"{said} after {self.bdseq}", "operational-behavior-data-commands-rebirth-action-3")
            self.bdseq = bdseq.value if isinstance(bdseq.value, int) else None
        self._rebirth_metric(payload, where)
        if self.rebirth_asked:
            check(True, "", "operational-behavior-data-commands-rebirth-action-2")
        self.rebirth_asked = False
        # a rebirth without a death says every device again that was born
        self.expected = {name for name, one in self.devices.items() if self.born and one.state == "born"}
        self.born = True
        self.names, self.aliases = {}, {}
        self.devices = {name: EdgeDevice("dead") for name in self.devices}
        self.aliased = False
        self._metrics("NBIRTH", None, payload, where)
        check_names(self.ledger, payload, where)
        check(in_order(payload), f"{where}: times not in order", "operational-behavior-data-publish-nbirth-order")

    def _rebirth_metric(self, payload: Payload, where: str) -> None:
        check = self.ledger.check
        control = next((metric for metric in payload.metrics if metric.name == REBIRTH), None)
        said = f"{where}: {REBIRTH} {control}"
        right = control is not None and control.datatype == 11 and control.value is False
        check(right, said, "topics-nbirth-rebirth-metric", "payloads-nbirth-rebirth-req")
        prefix = "operational-behavior-data-commands-rebirth-"
        check(control is not None, said, prefix + "name")
        if control is not None:
            check(control.alias is None, said, prefix + "name-aliases")
            check(control.datatype == 11, said, prefix + "datatype")
            check(control.value is False, said, prefix + "value")

    def _node_death(self, payload: Payload, where: str, *, wire: bool) -> None:
        check = self.ledger.check
        check(payload.seq is None, f"{where}: seq {payload.seq}", "topics-ndeath-seq", "payloads-ndeath-seq")
        bdseq = [metric for metric in payload.metrics if metric.name == "bdSeq"]
        check(len(payload.metrics) == len(bdseq) == 1, f"{where}: {payload.metrics}", "topics-ndeath-payload")
        if bdseq and self.bdseq is not None and self.born:
            right = bdseq[0].value == self.bdseq
            if right or wire:
                check(right, f"{where}: bdSeq {bdseq[0].value}, born with {self.bdseq}", "payloads-ndeath-bdseq")
            if not right:
                return  # the will of an earlier session: hosts ignore it
        self.born = False
        self.seq = None
        for device in self.devices.values():
            device.state = "dead"

    # --- devices ------------------------------------------------------------------------------------------------------

    def _device_birth(self, name: str, payload: Payload, where: str) -> None:
        check = self.ledger.check
        check(
            self.born, f"{where} before NBIRTH", "message-flow-device-birth-publish-nbirth-wait",
            "message-flow-device-birth-publish-dbirth-match-edge-node-topic",
        )  # fmt: skip
        if name not in self.devices:
            cased = [one for one in self.devices if one.casefold() == name.casefold()]
            check(not cased, f"{where}: {cased}", "case-sensitivity-sparkplug-ids")
            check(True, "", "topic-structure-namespace-unique-device-id")
        self.expected.discard(name)
        self.devices[name] = EdgeDevice()
        for alias in [alias for alias, known in self.aliases.items() if known.device == name]:
            del self.aliases[alias]
        self._metrics("DBIRTH", name, payload, where)
        check_names(self.ledger, payload, where)
        check(in_order(payload), f"{where}: times not in order", "operational-behavior-data-publish-dbirth-order")

    def _device_death(self, name: str, where: str) -> None:
        device = self.devices.get(name)
        alive = device is not None and device.state == "born"
        self.ledger.check(alive, f"{where}: the device is not born", "operational-behavior-device-ddeath")
        self.expected.discard(name)
        if device is not None:
            device.state = "dead"

    def _metrics(self, kind: str, device: str | None, payload: Payload, where: str) -> None:
        names = self.names if device is None else self.devices[device].names
        self.aliased = self.aliased or any(metric.alias is not None for metric in payload.metrics)
        for metric in payload.metrics:
            check_birth_metric(self.ledger, kind, metric, where, aliased=self.aliased)
            newest = metric.timestamp or 0
            known = Known(metric.name or "", metric.datatype or 0, device, metric.alias, newest, metric.value)
            names[known.name] = known
            if metric.alias is not None:
                said = f"{where}: alias {metric.alias} of {metric.name} and {self.aliases.get(metric.alias)}"
                self.ledger.check(metric.alias not in self.aliases, said, "payloads-alias-uniqueness")
                self.aliases[metric.alias] = known

    # --- data ---------------------------------------------------------------------------------------------------------

    def _data(self, device: str | None, payload: Payload, where: str) -> None:
        check, side = self.ledger.check, "ndata" if device is None else "ddata"
        check(self.born, f"{where} before NBIRTH", f"payloads-{side}-order")
        if device is not None:
            state = self.devices[device].state if device in self.devices else "absent"
            check(state == "born", f"{where}: the device is {state}", "payloads-ddata-order")
        check(payload.metrics, f"{where}: no metrics", f"topics-{side}-payload")
        action = "operational-behavior-data-commands-rebirth-action-1"
        check(not self.rebirth_asked, f"{where}: data between the command and NBIRTH", action)
        said = f"{where} while {', '.join(sorted(self.expected))} is to be born again"
        check(not self.expected, said, "payloads-dbirth-order", f"payloads-{side}-order")
        self.expected.clear()
        birth = "nbirth" if device is None else "dbirth"
        ordered = f"operational-behavior-data-publish-{birth}-order"
        check(in_order(payload), f"{where}: times not in order", ordered)
        for metric in payload.metrics:
            known = self._resolve(device, metric.alias, metric.name)
            check_data_metric(self.ledger, metric, known, where, aliased=self.aliased)
            if known is None or metric.is_historical:
                continue
            check((metric.timestamp or 0) >= known.newest, f"{where}: {known.name} goes back in time", ordered)
            known.newest, known.value = metric.timestamp or 0, metric.value

    def _resolve(self, device: str | None, alias: int | None, name: str | None) -> Known | None:
        if alias is not None:
            known = self.aliases.get(alias)
            return known if known is not None and known.device == device else None
        names = self.names if device is None else self.devices[device].names if device in self.devices else {}
        return names.get(name or "")


_FLOW = "message-flow-edge-node-birth-publish-nbirth-"
_PAYLOAD: dict[str, tuple[str, ...]] = {
    "NBIRTH": (_FLOW + "payload",),
    "DBIRTH": ("message-flow-device-birth-publish-dbirth-payload",),
    "NDEATH": ("message-flow-edge-node-birth-publish-will-message-payload",),
}
_TIMESTAMP: dict[str, tuple[str, ...]] = {
    "NBIRTH": ("topics-nbirth-timestamp", "payloads-nbirth-timestamp"),
    "DBIRTH": ("topics-dbirth-timestamp", "payloads-dbirth-timestamp"),
    "NDATA": ("topics-ndata-timestamp", "payloads-ndata-timestamp"),
    "DDATA": ("topics-ddata-timestamp", "payloads-ddata-timestamp"),
    "DDEATH": ("payloads-ddeath-timestamp",),
}
_HAS_SEQ: dict[str, tuple[str, ...]] = {
    "NBIRTH": (),
    "DBIRTH": ("payloads-dbirth-seq",),
    "NDATA": ("payloads-ndata-seq",),
    "DDATA": ("payloads-ddata-seq",),
    "DDEATH": ("payloads-ddeath-seq", "payloads-ddeath-seq-number"),
}
_SEQ_INC: dict[str, tuple[str, ...]] = {
    "DBIRTH": (
        "message-flow-device-birth-publish-dbirth-payload-seq", "topics-dbirth-seq", "payloads-dbirth-seq-inc"
    ),
    "NDATA": ("topics-ndata-seq-num", "payloads-ndata-seq-inc"),
    "DDATA": ("topics-ddata-seq-num", "payloads-ddata-seq-inc"),
    "DDEATH": ("topics-ddeath-seq-num", "payloads-ddeath-seq-inc"),
}  # fmt: skip
