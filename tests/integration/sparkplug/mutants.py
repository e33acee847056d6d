"""Edge nodes that are wrong in one thing each, made from the record of one that is right."""

from __future__ import annotations

from collections.abc import Callable

from agent.encoders.sparkplug.schema import Payload
from tests.integration.sparkplug.story import Call
from tests.support.sparkplug_wire import EdgeConnect, EdgeWill

Calls = list[Call]


def nth(calls: Calls, kind: str, which: int = 0) -> int:
    """Where the node publishes its `which`-th message of a kind."""
    found = [at for at, call in enumerate(calls) if call.name == "published" and f"/{kind}/" in call.args[0]]
    return found[which]


def payload(change: Callable[[Payload], None], kind: str, which: int = 0) -> Callable[[Calls], None]:
    """The payload of one message is another one."""

    def mutate(calls: Calls) -> None:
        at = nth(calls, kind, which)
        call = calls[at]
        message = Payload()
        message.ParseFromString(call.args[1])
        change(message)
        calls[at] = call._replace(args=(call.args[0], message.SerializeToString()))

    return mutate


def metric(name: str, kind: str, which: int = 0, /, **fields: object) -> Callable[[Calls], None]:
    """One metric of one message has other fields; None clears one. An empty name means the first metric."""

    def change(message: Payload) -> None:
        one = next(metric for metric in message.metrics if name in ("", metric.name))
        for key, value in fields.items():
            one.ClearField(key)
            if value is not None:
                setattr(one, key, value)

    return payload(change, kind, which)


def published(kind: str, which: int = 0, /, **keys: object) -> Callable[[Calls], None]:
    """One message goes out in another way."""

    def mutate(calls: Calls) -> None:
        at = nth(calls, kind, which)
        topic = keys.get("topic", calls[at].args[0])
        others = {**calls[at].keys, **{key: value for key, value in keys.items() if key != "topic"}}
        calls[at] = calls[at]._replace(args=(topic, calls[at].args[1]), keys=others)

    return mutate


def connect(**fields: object) -> Callable[[Calls], None]:
    """CONNECT says something else."""

    def mutate(calls: Calls) -> None:
        at = next(at for at, call in enumerate(calls) if call.name == "connected")
        link, was, server = calls[at].args
        calls[at] = calls[at]._replace(args=(link, EdgeConnect(**{**vars(was), **fields}), server))

    return mutate


def will(**fields: object) -> Callable[[Calls], None]:
    """The will is another one."""

    def mutate(calls: Calls) -> None:
        was = next(call.args[1].will for call in calls if call.name == "connected")
        connect(will=EdgeWill(**{**vars(was), **fields}))(calls)

    return mutate


def will_payload(change: Callable[[Payload], None]) -> Callable[[Calls], None]:
    """The will says something else."""

    def mutate(calls: Calls) -> None:
        message = Payload()
        message.ParseFromString(next(call.args[1].will.payload for call in calls if call.name == "connected"))
        change(message)
        will(payload=message.SerializeToString())(calls)

    return mutate


def without(kind: str, which: int = 0) -> Callable[[Calls], None]:
    """One message is never sent, and its number goes to nobody."""

    def mutate(calls: Calls) -> None:
        del calls[nth(calls, kind, which)]

    return mutate


def swapped(first: str, second: str) -> Callable[[Calls], None]:
    """Two messages change places."""

    def mutate(calls: Calls) -> None:
        one, other = nth(calls, first), nth(calls, second)
        calls[one], calls[other] = calls[other], calls[one]

    return mutate


def forgotten(name: str, text: str = "") -> Callable[[Calls], None]:
    """Something never happens."""

    def mutate(calls: Calls) -> None:
        calls[:] = [call for call in calls if not (call.name == name and text in str(call.args))]

    return mutate


def subscribed_at_qos_0(calls: Calls) -> None:
    """Subscriptions ask for QoS 0."""
    for at, call in enumerate(calls):
        if call.name == "subscribed":
            calls[at] = call._replace(args=(call.args[0], dict.fromkeys(call.args[1], 0)))


def second_client(calls: Calls) -> None:
    """Somebody else connects under the same name."""
    at = next(at for at, call in enumerate(calls) if call.name == "connected")
    calls.insert(at + 1, calls[at]._replace(args=(-1, *calls[at].args[1:])))


def data_during_rebirth(calls: Calls) -> None:
    """Data goes on after the command."""
    at = nth(calls, "NBIRTH", 1)
    calls.insert(at, calls[nth(calls, "DDATA")])


def stays_with_the_host_away(calls: Calls) -> None:
    """The host says offline; the node neither says NDEATH nor leaves."""
    at = nth(calls, "NDEATH")
    del calls[at:]
    calls.append(Call(calls[-1].now, "end", (), {}))


def disconnect_reason(reason: int) -> Callable[[Calls], None]:
    """DISCONNECT with another reason."""

    def mutate(calls: Calls) -> None:
        at = next(at for at, call in enumerate(calls) if call.name == "disconnected")
        calls[at] = calls[at]._replace(args=(calls[at].args[0], reason))

    return mutate


def _case_of_next(message: Payload) -> None:
    message.metrics[1].name = message.metrics[0].name.upper()


def _alias_of_next(message: Payload) -> None:
    message.metrics[1].alias = message.metrics[0].alias


def _property(key: str, **fields: object) -> Callable[[Payload], None]:
    def change(message: Payload) -> None:
        properties = next(one for one in message.metrics if one.HasField("properties")).properties
        value = properties.values[list(properties.keys).index(key)]
        for name, content in fields.items():
            setattr(value, name, content)

    return change


def _untype(message: Payload) -> None:
    next(one for one in message.metrics if one.HasField("properties")).properties.values[0].ClearField("type")


def _more_keys(message: Payload) -> None:
    next(one for one in message.metrics if one.HasField("properties")).properties.keys.append("more")


def _cut_before_rebirth(calls: Calls) -> None:
    at = nth(calls, "NBIRTH", 1)
    del calls[at:]
    calls.append(Call(calls[-1].now, "end", (), {}))


def garbage(kind: str, which: int = 0) -> Callable[[Calls], None]:
    """One message is no payload at all."""

    def mutate(calls: Calls) -> None:
        at = nth(calls, kind, which)
        calls[at] = calls[at]._replace(args=(calls[at].args[0], b"\xff"))

    return mutate


def ends_after(name: str, text: str) -> Callable[[Calls], None]:
    """The connection breaks right after the first thing that was delivered and has this in it."""

    def mutate(calls: Calls) -> None:
        at = next(at for at, call in enumerate(calls) if call.name == name and text in str(call.args))
        now, link = calls[at].now, calls[at].args[0]
        calls[at + 1 :] = [Call(now, "closed", (link,), {}), Call(now, "end", (), {})]

    return mutate


def one_server(calls: Calls) -> None:
    """Every connection goes to the same server."""
    for at, call in enumerate(calls):
        if call.name == "connected":
            calls[at] = call._replace(args=(*call.args[:2], "a"))


def data_before_all_are_born_again(calls: Calls) -> None:
    """In a rebirth, data of the node comes before the devices."""
    calls.insert(nth(calls, "NBIRTH", 1) + 1, calls[nth(calls, "NDATA")])


def _later(message: Payload) -> None:
    message.metrics[0].timestamp += 1000


def _no_metrics(message: Payload) -> None:
    message.ClearField("metrics")


def _next_seq(message: Payload) -> None:
    message.seq = (message.seq + 1) % 256


def _no_seq(message: Payload) -> None:
    message.ClearField("seq")


def _no_time(message: Payload) -> None:
    message.ClearField("timestamp")


#: what is wrong → how to make it so, and the statement that forbids it
MUTANTS: dict[str, tuple[Callable[[Calls], None], str]] = {
    "persistent session": (connect(expiry=3600), "principles-persistence-clean-session-50"),
    "not a clean start": (connect(clean=False), "principles-persistence-clean-session-50"),
    "no will": (connect(will=None), "message-flow-edge-node-birth-publish-will-message"),
    "will at QoS 0": (will(qos=0), "payloads-ndeath-will-message-qos"),
    "will retained": (will(retain=True), "payloads-ndeath-will-message-retain"),
    "will elsewhere": (will(topic="spBv1.0/plant/NDATA/gw-01"), "topics-ndeath-topic"),
    "will is garbage": (will(payload=b"\xff"), "message-flow-edge-node-birth-publish-will-message-payload"),
    "will with seq": (will_payload(lambda p: setattr(p, "seq", 0)), "topics-ndeath-seq"),
    "first bdSeq is 1": (
        will_payload(lambda p: setattr(p.metrics[0], "long_value", 1)), "topics-nbirth-bdseq-increment"
    ),
    "will with two metrics": (will_payload(lambda p: p.metrics.add(name="x")), "topics-ndeath-payload"),
    "bdSeq of another session": (metric("bdSeq", "NBIRTH", long_value=200), "topics-nbirth-bdseq-matching"),
    "no bdSeq": (metric("bdSeq", "NBIRTH", name="other"), "topics-nbirth-bdseq-included"),
    "bdSeq with an alias": (metric("bdSeq", "NBIRTH", alias=99), "payloads-nbirth-bdseq-repeat"),
    "NBIRTH starts at 1": (payload(lambda p: setattr(p, "seq", 1), "NBIRTH"), "topics-nbirth-seq-num"),
    "NBIRTH at QoS 1": (published("NBIRTH", qos=1), "payloads-nbirth-qos"),
    "NBIRTH retained": (published("NBIRTH", retain=True), "payloads-nbirth-retain"),
    "NBIRTH without a time": (payload(lambda p: p.ClearField("timestamp"), "NBIRTH"), "topics-nbirth-timestamp"),
    "time in seconds": (
        payload(lambda p: setattr(p, "timestamp", p.timestamp // 1000), "NBIRTH"), "payloads-timestamp-in-UTC"
    ),
    "no rebirth metric": (
        metric("Node Control/Rebirth", "NBIRTH", name="x"), "operational-behavior-data-commands-rebirth-name"
    ),
    "rebirth metric true": (
        metric("Node Control/Rebirth", "NBIRTH", boolean_value=True),
        "operational-behavior-data-commands-rebirth-value",
    ),
    "rebirth metric with an alias": (
        metric("Node Control/Rebirth", "NBIRTH", alias=77),
        "operational-behavior-data-commands-rebirth-name-aliases",
    ),
    "birth metric without a type": (metric("", "DBIRTH", datatype=None), "payloads-metric-datatype-req"),
    "birth metric of unknown type": (metric("", "DBIRTH", datatype=0), "payloads-metric-datatype-value"),
    "birth metric without a time": (metric("", "DBIRTH", timestamp=None), "payloads-name-birth-data-requirement"),
    "birth value in the wrong field": (metric("temperature", "DBIRTH", double_value=1.0), "topics-dbirth-metrics"),
    "birth value missing": (
        metric("temperature", "DBIRTH", float_value=None), "operational-behavior-data-publish-dbirth-values"
    ),
    "value beyond its type": (metric("delta", "DBIRTH", int_value=40_000), "topics-dbirth-metrics"),
    "alias used twice": (payload(_alias_of_next, "DBIRTH"), "payloads-alias-uniqueness"),
    "names that differ by case": (
        metric("Edge Agent/Gap", "NBIRTH", name="EDGE AGENT/VERSION"), "case-sensitivity-metric-names"
    ),
    "metric missing in the birth": (
        payload(lambda p: p.metrics.pop(0) and None, "DBIRTH"), "topics-dbirth-metric-reqs"
    ),
    "DBIRTH before NBIRTH": (swapped("NBIRTH", "DBIRTH"), "message-flow-device-birth-publish-nbirth-wait"),
    "data before DBIRTH": (swapped("DBIRTH", "DDATA"), "payloads-ddata-order"),
    "first message is data": (without("NBIRTH"), "principles-birth-certificates-order"),
    "DBIRTH left out": (without("DBIRTH"), "payloads-ddata-order"),
    "a message lost after its number": (without("DDATA", 1), "payloads-sequence-num-incrementing"),
    "seq for each device": (payload(lambda p: setattr(p, "seq", 0), "DDATA"), "topics-ddata-seq-num"),
    "no seq": (payload(lambda p: p.ClearField("seq"), "DDATA"), "payloads-sequence-num-always-included"),
    "data at QoS 1": (published("DDATA", qos=1), "topics-ddata-mqtt"),
    "data retained": (published("DDATA", retain=True), "payloads-ddata-retain"),
    "data without a time": (payload(lambda p: p.ClearField("timestamp"), "DDATA"), "topics-ddata-timestamp"),
    "metric without a time": (metric("", "DDATA", timestamp=None), "payloads-name-birth-data-requirement"),
    "names of a device that differ by case": (
        payload(_case_of_next, "DBIRTH"), "case-sensitivity-metric-names"
    ),
    "a birth with one alias missing": (metric("", "DBIRTH", alias=None), "payloads-alias-birth-requirement"),
    "name and alias in data": (metric("", "DDATA", name="temperature"), "payloads-alias-data-cmd-requirement"),
    "data type in data": (metric("", "DDATA", datatype=9), "payloads-metric-datatype-not-req"),
    "unknown alias": (metric("", "DDATA", alias=5000), "topics-dbirth-metric-reqs"),
    "data of no metric": (payload(lambda p: p.ClearField("metrics"), "DDATA"), "topics-ddata-payload"),
    "times out of order": (
        payload(lambda p: setattr(p.metrics[0], "timestamp", p.metrics[-1].timestamp + 1), "DDATA", 1),
        "operational-behavior-data-publish-dbirth-order",
    ),
    "quality of another type": (payload(_property("Quality", type=4), "DDATA", 1),
                                "payloads-propertyset-quality-value-type"),
    "quality of OPC UA": (payload(_property("Quality", int_value=64), "DDATA", 1),
                          "payloads-propertyset-quality-value-value"),
    "property without a type": (payload(_untype, "DBIRTH"), "payloads-metric-propertyvalue-type-req"),
    "keys and values differ": (payload(_more_keys, "DBIRTH"), "payloads-propertyset-keys-array-size"),
    "a topic without the device": (published("DDATA", topic="spBv1.0/plant/DDATA/gw-01"), "topic-structure"),
    "a topic of the old namespace": (published("DDATA", topic="spBv1.0/plant/gw-01/DDATA/x/y"),
                                     "topic-structure-namespace-a"),
    "DDEATH of a dead device": (published("DDEATH", 1, topic="spBv1.0/plant/DDEATH/gw-01/nobody"),
                                "operational-behavior-device-ddeath"),
    "DDEATH without a time": (payload(lambda p: p.ClearField("timestamp"), "DDEATH"), "payloads-ddeath-timestamp"),
    "NDEATH with another bdSeq": (metric("bdSeq", "NDEATH", long_value=77), "payloads-ndeath-bdseq"),
    "no NDEATH before DISCONNECT": (
        without("NDEATH"), "operational-behavior-edge-node-intentional-disconnect-ndeath"
    ),
    "DISCONNECT as if all were well": (
        disconnect_reason(0), "payloads-ndeath-will-message-publisher-disconnect-mqtt50"
    ),
    "commands are not subscribed": (forgotten("subscribed"), "message-flow-edge-node-ncmd-subscribe"),
    "commands at QoS 0": (subscribed_at_qos_0, "message-flow-device-dcmd-subscribe"),
    "two clients of one name": (second_client, "intro-edge-node-id-uniqueness"),
    "born without its host": (forgotten("delivered", "STATE"), "message-flow-edge-node-birth-publish-phid-wait"),
    "stays without its host": (stays_with_the_host_away, "message-flow-edge-node-birth-publish-phid-offline"),
    "data between command and rebirth": (
        data_during_rebirth, "operational-behavior-data-commands-rebirth-action-1"
    ),
    "rebirth with another bdSeq": (
        metric("bdSeq", "NBIRTH", 1, long_value=9), "operational-behavior-data-commands-rebirth-action-3"
    ),
    "3.1.1: persistent session": (connect(clean=False), "principles-persistence-clean-session-311"),
    "3.1.1: DISCONNECT without NDEATH": (
        without("NDEATH"), "payloads-ndeath-will-message-publisher-disconnect-mqtt311"
    ),
    "rebirth never comes": (
        _cut_before_rebirth, "operational-behavior-data-commands-rebirth-action-2"
    ),
    "before CONNACK": (forgotten("accepted"), "message-flow-edge-node-birth-publish-connect"),
    "NBIRTH is garbage": (garbage("NBIRTH"), "message-flow-edge-node-birth-publish-nbirth-payload"),
    "DBIRTH is garbage": (garbage("DBIRTH"), "message-flow-device-birth-publish-dbirth-payload"),
    "NBIRTH seq 256": (payload(lambda p: setattr(p, "seq", 256), "NBIRTH"), "payloads-nbirth-seq"),
    "node metric without a value": (metric("Edge Agent/Version", "NBIRTH", string_value=None), "topics-nbirth-metrics"),
    "rebirth metric of another type": (
        metric("Node Control/Rebirth", "NBIRTH", datatype=12),
        "operational-behavior-data-commands-rebirth-datatype",
    ),
    "times of node metrics out of order": (
        payload(_later, "NBIRTH"), "operational-behavior-data-publish-nbirth-order"
    ),
    "birth metric without a name": (metric("", "DBIRTH", name=None), "payloads-alias-birth-requirement"),
    "device ids that differ by case": (
        published("DBIRTH", 1, topic="spBv1.0/plant/DBIRTH/gw-01/PRESS"), "case-sensitivity-sparkplug-ids"
    ),
    "does not outlive a command": (ends_after("delivered", "/NCMD/"), "operational-behavior-data-commands-ncmd-verb"),
    "STATE is not subscribed": (
        forgotten("subscribed", "STATE"),
        "operational-behavior-primary-application-state-with-multiple-servers-state-subs",
    ),
    "comes back where the host is offline": (
        one_server, "operational-behavior-edge-node-termination-host-offline-reconnect"
    ),
    "leaves for an old offline": (
        ends_after("delivered", '"online": false'),
        "operational-behavior-edge-node-termination-host-offline-timestamp",
    ),
    "data before all devices are born again": (data_before_all_are_born_again, "payloads-dbirth-order"),
    "NDATA without metrics": (payload(_no_metrics, "NDATA"), "topics-ndata-payload"),
    **{
        f"{kind} {fault}": (mutate, f"{group}-{kind.lower()}-{end}")
        for kind in ("DBIRTH", "NDATA", "DDEATH")
        for fault, mutate, group, end in (
            ("at QoS 1", published(kind, qos=1), "topics", "mqtt"),
            ("retained", published(kind, retain=True), "topics", "mqtt"),
            ("without a time", payload(_no_time, kind), "payloads", "timestamp"),
            ("without seq", payload(_no_seq, kind), "payloads", "seq"),
            ("with a wrong seq", payload(_next_seq, kind), "payloads", "seq-inc"),
        )
    },
    **{
        f"{kind} with a level too many": (
            published(kind, topic=f"spBv1.0/plant/{kind}/gw-01/press/x"), f"topics-{kind.lower()}-topic"
        )
        for kind in ("NBIRTH", "NDATA", "DBIRTH", "DDATA", "DDEATH")
    },
}  # fmt: skip
