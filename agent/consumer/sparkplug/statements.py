"""Every statement of the Sparkplug specification 3.0 that binds an edge node, in our own words.

Ids without their common prefix `tck-id-`. `receive:` binds who sends us commands; we only have to cope.
"""

from __future__ import annotations

_TABLE = """
intro-group-id-string: Group ID is a UTF-8 string used as topic level 2
intro-group-id-chars: Group ID has only characters MQTT allows in a topic
intro-edge-node-id-string: Edge Node ID is a UTF-8 string used as topic level 4
intro-edge-node-id-chars: Edge Node ID has only characters MQTT allows in a topic
intro-device-id-string: Device ID is a UTF-8 string used as topic level 5
intro-device-id-chars: Device ID has only characters MQTT allows in a topic
intro-edge-node-id-uniqueness: group/edge pair is unique in the whole infrastructure
topic-structure: every topic is namespace/group/type/edge[/device]
topic-structure-namespace-a: namespace level is the constant spBv1.0
topic-structure-namespace-valid-group-id: Group ID: UTF-8 without + / #
topic-structure-namespace-valid-edge-node-id: Edge Node ID: UTF-8 without + / #
topic-structure-namespace-valid-device-id: Device ID: UTF-8 without + / #
topic-structure-namespace-unique-edge-node-descriptor: no two MQTT clients use one group/edge pair
topic-structure-namespace-unique-device-id: device ids are unique under one edge node
topic-structure-namespace-duplicate-device-id-across-edge-node: MAY: the same device id under another edge node is
  allowed
topic-structure-namespace-device-id-associated-message-types: device level present in DBIRTH DDEATH DDATA DCMD topics
topic-structure-namespace-device-id-non-associated-message-types: no device level in NBIRTH NDEATH NDATA NCMD STATE
  topics
payloads-nbirth-edge-node-descriptor: edge node descriptor unique in the system
case-sensitivity-sparkplug-ids: SHOULD: ids must not differ only by letter case
case-sensitivity-metric-names: SHOULD: metric names of a node/device must not differ only by case
topics-nbirth-topic: NBIRTH topic spBv1.0/G/NBIRTH/E
topics-ndata-topic: NDATA topic spBv1.0/G/NDATA/E
topics-ndeath-topic: NDEATH topic spBv1.0/G/NDEATH/E
topics-dbirth-topic: DBIRTH topic spBv1.0/G/DBIRTH/E/D
topics-ddata-topic: DDATA topic spBv1.0/G/DDATA/E/D
topics-ddeath-topic: DDEATH topic spBv1.0/G/DDEATH/E/D
topics-ncmd-topic: NCMD topic spBv1.0/G/NCMD/E (what we subscribe to)
topics-dcmd-topic: DCMD topic spBv1.0/G/DCMD/E/D (what we subscribe to)
principles-persistence-clean-session-311: 3.1.1: CONNECT has Clean Session = 1
principles-persistence-clean-session-50: 5.0: CONNECT has Clean Start = 1 and Session Expiry = 0
message-flow-edge-node-birth-publish-connect: an MQTT session exists before NBIRTH/DBIRTH are sent
message-flow-edge-node-birth-publish-will-message: CONNECT carries a will
message-flow-edge-node-birth-publish-will-message-topic: will topic is our NDEATH topic
message-flow-edge-node-birth-publish-will-message-payload: will payload is a Sparkplug protobuf
message-flow-edge-node-birth-publish-will-message-payload-bdSeq: will has metric bdSeq, INT64, previous CONNECT + 1,
  255 wraps to 0
message-flow-edge-node-birth-publish-will-message-qos: will QoS 1
message-flow-edge-node-birth-publish-will-message-will-retained: will retain false
payloads-ndeath-will-message: NDEATH is the registered will
payloads-ndeath-will-message-qos: will QoS 1
payloads-ndeath-will-message-retain: will retain false
topics-ndeath-payload: NDEATH has exactly one metric, bdSeq
topics-ndeath-seq: NDEATH has no seq
payloads-ndeath-seq: NDEATH has no seq
payloads-ndeath-bdseq: NDEATH bdSeq equals the one the matching NBIRTH will carry
topics-nbirth-bdseq-increment: bdSeq starts at 0 and grows by one with each CONNECT (persist it)
message-flow-edge-node-ncmd-subscribe: subscribe own NCMD topic with QoS 1 before NBIRTH
message-flow-device-dcmd-subscribe: if a device is writable: subscribe its DCMD topic with QoS 1 before its DBIRTH
  (TCK demands it always)
principles-birth-certificates-order: a birth is the first thing published in a session
message-flow-device-birth-publish-nbirth-wait: NBIRTH was sent in this MQTT session before any DBIRTH
payloads-dbirth-order: DBIRTHs follow NBIRTH at once, before any NDATA/DDATA
payloads-ndata-order: no NDATA before NBIRTH and all DBIRTHs
payloads-ddata-order: no DDATA before NBIRTH and all DBIRTHs
message-flow-device-birth-publish-dbirth-match-edge-node-topic: DBIRTH group/edge equal those of the NBIRTH
message-flow-edge-node-birth-publish-nbirth-topic: NBIRTH topic form
message-flow-edge-node-birth-publish-nbirth-payload: NBIRTH payload is a Sparkplug protobuf
message-flow-edge-node-birth-publish-nbirth-payload-bdSeq: metric bdSeq INT64 equal to the will of this CONNECT
message-flow-edge-node-birth-publish-nbirth-qos: QoS 0
message-flow-edge-node-birth-publish-nbirth-retained: retain false
message-flow-edge-node-birth-publish-nbirth-payload-seq: seq present, 0..255
topics-nbirth-mqtt: QoS 0, retain false
topics-nbirth-seq-num: seq is 0 (stricter twin; TCK and Ignition want 0)
topics-nbirth-timestamp: payload timestamp = send time
topics-nbirth-metric-reqs: holds every node metric that will ever be reported
topics-nbirth-metrics: each metric: name, datatype, current value
topics-nbirth-templates: holds all template definitions used by node or devices
topics-nbirth-bdseq-included: has a bdSeq metric
topics-nbirth-bdseq-matching: bdSeq equals the will's
topics-nbirth-rebirth-metric: has Node Control/Rebirth, Boolean, false
payloads-nbirth-timestamp: payload timestamp
payloads-nbirth-seq: seq 0..255
payloads-nbirth-bdseq: bdSeq metric
payloads-nbirth-bdseq-repeat: bdSeq equals will; also on every rebirth
payloads-nbirth-rebirth-req: Rebirth metric = false
payloads-nbirth-qos: QoS 0
payloads-nbirth-retain: retain false
operational-behavior-data-commands-rebirth-name: metric named Node Control/Rebirth present
operational-behavior-data-commands-rebirth-name-aliases: that metric never gets an alias
operational-behavior-data-commands-rebirth-datatype: its datatype is Boolean
operational-behavior-data-commands-rebirth-value: its value is false
operational-behavior-data-publish-nbirth: all node metrics of this Sparkplug session are in it
operational-behavior-data-publish-nbirth-values: value = current value, or is_null = true and no value field
message-flow-device-birth-publish-dbirth-topic: DBIRTH topic form
message-flow-device-birth-publish-dbirth-payload: DBIRTH payload is a Sparkplug protobuf
message-flow-device-birth-publish-dbirth-qos: QoS 0
message-flow-device-birth-publish-dbirth-retained: retain false
message-flow-device-birth-publish-dbirth-payload-seq: seq = previous message of the node + 1 (mod 256)
topics-dbirth-mqtt: QoS 0, retain false
topics-dbirth-seq: seq + 1
topics-dbirth-timestamp: payload timestamp = send time
topics-dbirth-metric-reqs: holds every metric of that device that will ever be reported
topics-dbirth-metrics: each metric: name, datatype, current value
payloads-dbirth-timestamp: payload timestamp
payloads-dbirth-seq: has seq
payloads-dbirth-seq-inc: seq + 1, never above 255
payloads-dbirth-qos: QoS 0
payloads-dbirth-retain: retain false
operational-behavior-data-publish-dbirth: all metrics of the device for this session are in it
operational-behavior-data-publish-dbirth-values: value = current value, or is_null = true and no value field
topics-ndata-mqtt: NDATA QoS 0, retain false
topics-ndata-seq-num: NDATA seq + 1 (mod 256)
topics-ndata-timestamp: NDATA payload timestamp = send time
topics-ndata-payload: NDATA carries the node metrics that changed
payloads-ndata-timestamp: payload timestamp
payloads-ndata-seq: has seq
payloads-ndata-seq-inc: seq + 1
payloads-ndata-qos: QoS 0
payloads-ndata-retain: retain false
topics-ddata-mqtt: DDATA QoS 0, retain false
topics-ddata-seq-num: DDATA seq + 1 (mod 256), one counter per edge node
topics-ddata-timestamp: DDATA payload timestamp = send time
topics-ddata-payload: DDATA carries the device metrics that changed
payloads-ddata-timestamp: payload timestamp
payloads-ddata-seq: has seq
payloads-ddata-seq-inc: seq + 1
payloads-ddata-qos: QoS 0
payloads-ddata-retain: retain false
principles-rbe-recommended: SHOULD: report by exception, not periodically
operational-behavior-data-publish-nbirth-change: SHOULD: NDATA only when a node metric changed
operational-behavior-data-publish-dbirth-change: SHOULD: DDATA only when a device metric changed
operational-behavior-data-publish-nbirth-order: NBIRTH/NDATA: non-historical metrics are in time order within the list
operational-behavior-data-publish-dbirth-order: DBIRTH/DDATA: non-historical metrics are in time order within the list
payloads-sequence-num-always-included: seq in every message of the edge node but NDEATH
payloads-sequence-num-req-nbirth: NBIRTH seq 0..255
payloads-sequence-num-incrementing: after NBIRTH each message + 1, after 255 comes 0
payloads-timestamp-in-UTC: payload timestamp is UTC ms since epoch
operational-behavior-device-ddeath: losing a device publishes its DDEATH
topics-ddeath-mqtt: DDEATH QoS 0, retain false
topics-ddeath-seq-num: DDEATH seq + 1 (mod 256)
payloads-ddeath-timestamp: DDEATH has a payload timestamp (hosts use it as offline time)
payloads-ddeath-seq: has seq
payloads-ddeath-seq-inc: seq + 1
payloads-ddeath-seq-number: has seq
operational-behavior-edge-node-intentional-disconnect-ndeath: an intentional disconnect publishes NDEATH first
operational-behavior-edge-node-intentional-disconnect-packet: MAY: DISCONNECT right after that NDEATH
payloads-ndeath-will-message-publisher: SHOULD: publish NDEATH before an intentional disconnect
payloads-ndeath-will-message-publisher-disconnect-mqtt311: 3.1.1: NDEATH published before any DISCONNECT packet
payloads-ndeath-will-message-publisher-disconnect-mqtt50: 5.0: DISCONNECT uses reason 0x04 Disconnect with Will
  Message
operational-behavior-data-commands-rebirth-action-1: on a rebirth request stop DATA at once
operational-behavior-data-commands-rebirth-action-2: then send the complete NBIRTH + all DBIRTHs
operational-behavior-data-commands-rebirth-action-3: that NBIRTH repeats the bdSeq of the will (no new CONNECT)
operational-behavior-data-commands-ncmd-rebirth-verb: receive: a rebirth request comes as NCMD
operational-behavior-data-commands-ncmd-rebirth-name: receive: it names Node Control/Rebirth (by name, never alias)
operational-behavior-data-commands-ncmd-rebirth-value: receive: its value is true (ignore false)
operational-behavior-data-commands-ncmd-verb: receive: node-level commands are NCMD
operational-behavior-data-commands-ncmd-metric-name: receive, SHOULD: names a metric of the NBIRTH; survive unknown
  names
operational-behavior-data-commands-ncmd-metric-value: receive: value fits the metric's type; reject otherwise
operational-behavior-data-commands-dcmd-verb: receive: device-level commands are DCMD
operational-behavior-data-commands-dcmd-metric-name: receive, SHOULD: names a metric of the DBIRTH; survive unknown
  names
operational-behavior-data-commands-dcmd-metric-value: receive: value fits the metric's type; reject otherwise
topics-ncmd-mqtt: receive: NCMD QoS 0, not retained (TCK itself sends QoS 1)
topics-ncmd-timestamp: receive: NCMD has a payload timestamp (TCK sends none: tolerate)
topics-ncmd-payload: receive: NCMD has the metrics to write
payloads-ncmd-timestamp: receive: NCMD timestamp
payloads-ncmd-seq: receive: NCMD has no seq
payloads-ncmd-qos: receive: QoS 0
payloads-ncmd-retain: receive: retain false
topics-dcmd-mqtt: receive: DCMD QoS 0, not retained
topics-dcmd-timestamp: receive: DCMD has a payload timestamp
topics-dcmd-payload: receive: DCMD has the metrics to write
payloads-dcmd-timestamp: receive: DCMD timestamp
payloads-dcmd-seq: receive: DCMD has no seq
payloads-dcmd-qos: receive: QoS 0
payloads-dcmd-retain: receive: retain false
message-flow-edge-node-birth-publish-phid-wait: with a primary host configured: no NBIRTH/DBIRTH before its STATE says
  online
message-flow-edge-node-birth-publish-phid-wait-id: the STATE topic's last level must equal the configured host id
message-flow-edge-node-birth-publish-phid-wait-online: its JSON "online" must be true
message-flow-edge-node-birth-publish-phid-wait-timestamp: its timestamp must be >= the previous STATE timestamp; the
  first one seen is valid
message-flow-edge-node-birth-publish-phid-offline: online=false with timestamp >= the last online one: publish NDEATH,
  disconnect, start over
operational-behavior-edge-node-termination-host-offline: disconnect on such a valid offline STATE
operational-behavior-edge-node-termination-host-offline-reconnect: after that connect to the next server of the list
operational-behavior-edge-node-termination-host-offline-timestamp: an offline STATE with an older timestamp is ignored
operational-behavior-primary-application-state-with-multiple-servers-state-subs: subscribe the primary host's STATE
  topic
operational-behavior-primary-application-state-with-multiple-servers-single-server: never connected to two servers at
  once
operational-behavior-primary-application-state-with-multiple-servers-walk: host offline on this server: leave it, try
  the next
operational-behavior-edge-node-birth-sequence-wait: births wait for online=true on the new server as well
payloads-name-requirement: every metric has a name unless aliases are used
payloads-alias-uniqueness: an alias is unique over the whole edge node, devices included
payloads-alias-birth-requirement: births carry name and alias
payloads-alias-data-cmd-requirement: with aliases: NDATA DDATA NCMD DCMD carry the alias and no name
payloads-name-birth-data-requirement: timestamp on every metric of NBIRTH DBIRTH NDATA DDATA
payloads-name-cmd-requirement: MAY: timestamp on command metrics
payloads-metric-timestamp-in-UTC: metric timestamps are UTC (time of capture)
payloads-metric-datatype-value-type: datatype is uint32
payloads-metric-datatype-value: datatype is one of the enumerated ones (not Unknown for TCK)
payloads-metric-datatype-req: datatype on every metric of NBIRTH/DBIRTH
payloads-metric-datatype-not-req: SHOULD NOT: datatype in NDATA DDATA NCMD DCMD
payloads-propertyset-keys-array-size: keys and values arrays have equal length
payloads-propertyset-values-array-size: values and keys have equal length
payloads-metric-propertyvalue-type-type: property type is uint32
payloads-metric-propertyvalue-type-value: property type is a basic type, PropertySet or PropertySetList
payloads-metric-propertyvalue-type-req: property type present in NBIRTH/DBIRTH
payloads-propertyset-quality-value-type: key "Quality": type is 3 (Int32)
payloads-propertyset-quality-value-value: key "Quality": int_value, one of 0 BAD, 192 GOOD, 500 STALE; only needed
  when not GOOD
payloads-dataset-column-size: num_of_columns is the column count
payloads-dataset-column-num-headers: columns and types have equal length
payloads-dataset-types-def: types are uint32
payloads-dataset-types-num: as many types as columns
payloads-dataset-types-type: types are uint32
payloads-dataset-types-value: types are basic types
payloads-dataset-parameter-type-req: types present in every DataSet
payloads-template-dataset-value: cell value is uint32 uint64 float double bool or string (no null)
payloads-template-definition-nbirth-only: definitions only in NBIRTH
payloads-template-definition-is-definition: definition: is_definition = true
payloads-template-definition-ref: definition: no template_ref
payloads-template-definition-members: definition lists every member its instances will have
payloads-template-definition-nbirth: every instance's definition is in the NBIRTH
payloads-template-definition-parameters: definition lists every parameter its instances use
payloads-template-definition-parameters-default: MAY: definition gives default parameter values
payloads-template-instance-is-definition: instance: is_definition = false
payloads-template-instance-ref: instance: template_ref = name of the definition metric
payloads-template-instance-members: instance has only members of the definition
payloads-template-instance-members-birth: instance in a birth has all members
payloads-template-instance-members-data: MAY: instance in DATA has a subset
payloads-template-instance-parameters: MAY: instance gives parameter values of the definition
payloads-template-version: version, if given, is UTF-8
payloads-template-ref-definition: no template_ref on a definition
payloads-template-ref-instance: template_ref is a UTF-8 name on an instance
payloads-template-is-definition: is_definition always present
payloads-template-is-definition-definition: true on a definition
payloads-template-is-definition-instance: false on an instance
payloads-template-parameter-name-required: definition parameter has a name
payloads-template-parameter-name-type: that name is UTF-8
payloads-template-parameter-value-type: parameter type is uint32
payloads-template-parameter-type-value: parameter type is a basic type
payloads-template-parameter-type-req: parameter type present in births
payloads-template-parameter-value: parameter value is uint32 uint64 float double bool or string
"""

#: id → what it asks
STATEMENTS: dict[str, str] = dict(
    line.split(": ", 1) for line in _TABLE.strip().replace("\n  ", " ").splitlines()
)  # fmt: skip

# What a message of each kind shows by its topic, its QoS and its retain flag.
_FLOW = "message-flow-edge-node-birth-publish-nbirth-"
_DFLOW = "message-flow-device-birth-publish-dbirth-"
ALSO_TOPIC = {"NBIRTH": (_FLOW + "topic",), "DBIRTH": (_DFLOW + "topic",)}
MQTT = {kind: (f"topics-{kind.lower()}-mqtt",) for kind in ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "DDEATH")}
QOS = {
    "NBIRTH": (_FLOW + "qos", "payloads-nbirth-qos"),
    "DBIRTH": (_DFLOW + "qos", "payloads-dbirth-qos"),
    "NDATA": ("payloads-ndata-qos",),
    "DDATA": ("payloads-ddata-qos",),
}
RETAIN = {
    "NBIRTH": (_FLOW + "retained", "payloads-nbirth-retain"),
    "DBIRTH": (_DFLOW + "retained", "payloads-dbirth-retain"),
    "NDATA": ("payloads-ndata-retain",),
    "DDATA": ("payloads-ddata-retain",),
}
