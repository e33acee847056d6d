"""The catalogue of log events: name → level and meaning. Names are low-cardinality; what differs goes into fields.

State changes are said once; repeats are counted and said at most once a minute, later every ten (see `Repeats`).
A test holds every event named in the code against this table, and docs/events.md is made from it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["debug", "info", "warning", "error"]


class Event(NamedTuple):
    """What an operator must know about one event."""

    level: Level
    meaning: str
    #: What somebody can do about it; for every error, and for the warnings that wait for somebody.
    remedy: str = ""


EVENTS: dict[str, Event] = {
    # the process
    "agent.starting": Event("info", "Configuration accepted; parts are being opened."),
    "agent.started": Event("info", "Every part is open and supervised."),
    "agent.stopping": Event("info", "SIGTERM/SIGINT: devices are left, outboxes drain, then goodbye."),
    "agent.stopped": Event("info", "Clean end; `left` records wait on disk for the next start."),
    "agent.clock_stepped": Event("warning", "The wall clock was set forward or back by `seconds`."),
    "agent.clock_unsynced": Event(
        "warning",
        "The wall clock was never set; readings carry `clock: unsynced`.",
        "Let the gateway reach a time server. What waits unsent by then gets its right times.",
    ),
    "agent.loop_blocked": Event(
        "warning",
        "The event loop did not run for `seconds`: the machine is overloaded or a part is wrong.",
        "See what uses the processor. If it is the agent, read less often; on an idle machine, report it.",
    ),
    # configuration
    "config.loaded": Event("info", "A configuration was read: hash, counts."),
    "config.warning": Event("warning", "Something in the configuration is allowed, but probably not meant: `reason`."),
    "config.rejected": Event(
        "error",
        "The configuration has mistakes; `mistakes` lists them with file and line.",
        "Nothing was started, exit code 2. Correct the lines it names; `edge-agent check` says whether all are right.",
    ),
    # the log itself
    "log.lines_lost": Event(
        "warning",
        "Nobody read the log for a while; so many lines (`lines`) were left out.",
        "Whoever reads standard output is too slow or stuck: look at journald, or the container's log driver. "
        "No data is lost.",
    ),
    # supervised components
    "component.failed": Event(
        "error",
        "A component cannot work as configured; the others go on. Retried every 5 min.",
        "Read `reason`. A file or permission that was missing counts at the next try, a changed configuration "
        "after a restart.",
    ),
    "component.retry": Event(
        "warning", "A component without a state of its own failed (`reason`) and is opened again."
    ),
    "component.bug": Event(
        "error",
        "An error nobody translated: a bug in the agent. Traceback once; then as transient.",
        "Report the traceback. The part is opened again by itself. Where it never recovers, `component` says "
        "what to take out of the configuration.",
    ),
    "component.stop_slow": Event("warning", "A component needs long to stop."),
    # devices
    "device.online": Event("info", "A device answers (again); `down_for` s, `attempts` failed meanwhile."),
    "device.offline": Event(
        "warning",
        "A device is lost: `reason`. Its tags were published once as bad.",
        "Read `reason`: power, cable, address, unit, user. `edge-agent check --live` reads each tag once. "
        "When it answers it is read again by itself.",
    ),
    "device.degraded": Event("warning", "A device is read, but not as configured: `reason`."),
    "device.recovered": Event("info", "A degraded device is read as configured again."),
    "device.removed": Event("info", "A device is no longer configured; its retained topics were cleared."),
    "device.types_learned": Event("info", "The device told us data types; the catalogue has a new version."),
    "catalogue.not_kept": Event("warning", "The disk refuses a tag catalogue; its version is taken from the time."),
    # modbus
    "modbus.connected": Event("info", "A Modbus connection or bus is open, and somebody answers on it."),
    "modbus.disconnected": Event("warning", "A Modbus connection or bus is lost: `reason`."),
    "modbus.block_refused": Event(
        "warning", "A device refused a block with an exception; it is split to find the bad registers."
    ),
    "modbus.tags_quarantined": Event("warning", "Tags whose registers the device refuses; the others flow."),
    "modbus.tags_recovered": Event("info", "Tags the device refused earlier are readable again."),
    "modbus.learned": Event(
        "info", "What a device refuses has been found out; `yaml` may be pasted under it, and it is not searched again."
    ),
    "modbus.bad_reply": Event("warning", "A reply that does not fit its request was thrown away: `reason`."),
    "modbus.listening": Event("info", "The agent listens for DTUs that dial in."),
    "modbus.dtu_unknown": Event("warning", "Somebody dialled in who is not expected: `said` are its first bytes."),
    "modbus.unit_silent": Event("warning", "A unit does not answer; it is probed with back-off."),
    # opc ua
    "opcua.listening": Event("info", "The agent listens for servers that call (reverse connect)."),
    "opcua.call_refused": Event(
        "warning", "Somebody called where servers call (reverse connect) and was turned away: `reason`."
    ),
    "opcua.connected": Event("info", "A session with an OPC UA server stands; its limits."),
    "opcua.disconnected": Event("warning", "The session is gone: `reason`."),
    "opcua.subscribed": Event("info", "Monitored items are created: `active` of `configured`."),
    "opcua.items_rejected": Event("warning", "The server refuses nodes; they are bad until it accepts them."),
    "opcua.items_recovered": Event("info", "Nodes the server refused earlier are monitored now."),
    "opcua.limit_lowered": Event("info", "The server refused the size of a request; smaller ones from now on."),
    "opcua.backfilled": Event(
        "info", "History of an outage was read: `values` of `tags`; `failed` tags have none (`reason`)."
    ),
    "opcua.recalled": Event(
        "info",
        "What the run before left to be filled: `tags` it had said, `spans` not done; of `lost` tags nothing is known.",
    ),
    "opcua.logbook_refused": Event(
        "warning",
        "The disk refuses the logbook of `backfill`: what is missed from now on is not filled after a restart.",
    ),
    "opcua.logbook_damaged": Event(
        "warning", "The logbook of `backfill` was no use (`reason`) and begins anew: the last stop is not filled."
    ),
    "opcua.clock_off": Event(
        "warning", "The server's clock is off by `skew_s`, more than `max_skew`; its times are said as they stand."
    ),
    "opcua.clock_right": Event("info", "The server's clock is within `max_skew` of ours."),
    "opcua.failover": Event("warning", "A redundant server is not well (`service_level`); another takes over."),
    "opcua.selection": Event(
        "info", "What browsing chose has changed: `added`, `removed`; `cut` where there would have been more."
    ),
    "opcua.nodes_left_out": Event(
        "warning", "Browsing did not make tags of all that was chosen: `reason`; raise `max_nodes`, or name tags."
    ),
    "opcua.no_conditions": Event("debug", "The server has no conditions to repeat."),
    "opcua.filter_refused": Event(
        "warning", "The server takes no deadband or trigger for these nodes; it reports every change of them."
    ),
    "opcua.items_lost": Event(
        "warning", "The server monitors nodes no longer that it should; monitored anew, declared as a gap."
    ),
    "opcua.subscriptions_merged": Event(
        "warning", "The server allows `count` subscriptions only; tags of slower intervals share the slowest of them."
    ),
    "opcua.overflow": Event("warning", "The server's queue overflowed: values were lost there, declared as a gap."),
    "opcua.gap": Event(
        "warning",
        "Notifications of a subscription were `missing`; asked for again, `lost` of them are declared as a gap.",
    ),
    "opcua.keepalive_missed": Event("warning", "Publishing stopped without a word; the session is opened anew."),
    "opcua.certificate_created": Event(
        "info", "The agent made its own certificate; servers with security have to be told to trust `thumbprint`."
    ),
    "opcua.certificate_rejected": Event(
        "warning",
        "A server showed a certificate that is not trusted (`reason`); `command` trusts it.",
        "Compare `thumbprint` with the one on the server's own screen. If they are the same, run `command`.",
    ),
    "opcua.certificate_mismatch": Event(
        "warning", "A server calls itself `server`, its certificate says `certificate`; it is accepted all the same."
    ),
    "opcua.certificate_expiring": Event(
        "warning",
        "A `certificate` (own, user or the server's) runs out in `days`; below zero: it has.",
        "Renew it before that day. A new one of the server has to be trusted here, a new one of ours there "
        "(docs/opcua.md).",
    ),
    "opcua.types_unknown": Event("warning", "The server did not tell what its data types mean: `reason`."),
    "opcua.undecodable": Event("warning", "A message of the server could not be decoded."),
    # outbox
    "outbox.upgraded": Event("info", "A `file` written by an older version has the present format (`version`) now."),
    "outbox.opened": Event("info", "The outbox is open: epoch, records waiting from earlier runs."),
    "outbox.dropped": Event(
        "warning",
        "Records were dropped to stay within a bound; the gap is declared.",
        "Bring the broker back, free the disk, or raise `max_bytes`. What went is declared to the consumer.",
    ),
    "outbox.expired": Event(
        "warning",
        "Records were older than max_age; the gap is declared.",
        "Bring the broker back, or raise `max_age`. What went is declared to the consumer.",
    ),
    "outbox.overflow": Event(
        "error",
        "The ring in memory overflowed while the disk refused; the gap is declared.",
        "Records are being lost, and declared: do what the `hint` of `outbox.disk_refused` says.",
    ),
    "outbox.disk_refused": Event(
        "error",
        "The disk refuses to write `file` (`reason`, `hint`); `waiting` records are kept in memory, retried.",
        "Do what `hint` says; 10,000 records or 32 MiB fit memory meanwhile. A restart loses those: do "
        "without, unless `hint` asks for it.",
    ),
    "outbox.disk_ok": Event("info", "The disk takes writes again."),
    "outbox.file_removed": Event(
        "error",
        "The outbox file was removed or replaced while in use; it is written anew, the other one kept as `moved_to`.",
        "Nothing is lost. Find out who did it, and leave the file alone while the agent runs.",
    ),
    "outbox.salvaged": Event(
        "error",
        "The outbox file was damaged; what could be read was saved, the rest is declared lost.",
        "Check the disk. What may be missing is declared; the damaged file is kept as `moved_to`.",
    ),
    "outbox.ordered": Event("info", "Somebody ordered `records` to be sent again, or discarded (`order`)."),
    "outbox.no_door": Event(
        "warning", "The command `edge-agent outbox` cannot reach this outbox while the agent runs: `reason`."
    ),
    "outbox.restamped": Event(
        "info", "The clock is set: records that were read before and told nobody yet have their right times."
    ),
    "outbox.down_declared": Event("info", "What happened before this start was declared to the consumer."),
    # routes
    "publisher.online": Event("info", "A broker took us: which, MQTT version, window, limits, backlog to work off."),
    "publisher.held": Event("info", "The broker is there, but nothing may be said yet: `reason`. Data stays on disk."),
    "publisher.offline": Event(
        "warning",
        "The way to a broker is lost: `reason`. Data stays on disk.",
        "Read `reason`: broker, network, certificate, password. `edge-agent outbox` says what waits. When the "
        "broker is back it goes out by itself.",
    ),
    "publisher.quarantined": Event(
        "error",
        "A record the broker will never take went to quarantine; declared as a gap. Said of each device once a minute.",
        "`edge-agent outbox quarantined` lists them with the broker's reason. Put that right, then "
        "`edge-agent outbox requeue --all`; or `edge-agent outbox discard --all`.",
    ),
    "publisher.refused": Event(
        "warning",
        "The broker refused a message for now: `reason`.",
        "Read `reason`, often an access rule for that topic. The records wait on disk, and are tried again.",
    ),
    "publisher.backlog_done": Event("info", "The backlog of an outage is delivered: `records` in `seconds`."),
    "publisher.conflict": Event(
        "error",
        "Another agent (`session`) writes our status topic: two share an id. Said rarely, `repeats` counted.",
        "Find the other one, often a copied gateway, and give it an `id` of its own.",
    ),
    "publisher.drained": Event("info", "The outbox drained before the end."),
    "encoder.topic_marked": Event(
        "warning",
        "Of the tags a device was found to have, so many `tags` would share topics (`tag` the one `wanted`).",
        "They have a mark behind their level now (`topic`). Give them levels of your choice under `names:`.",
    ),
    # sparkplug
    "sparkplug.born": Event("info", "The edge node has said its birth: `reason`, devices, metrics."),
    "sparkplug.host": Event("info", "The primary host is `state`."),
    "sparkplug.host_ignored": Event("warning", "A STATE message does not count: `reason`."),
    "sparkplug.command_refused": Event("warning", "A command other than rebirth came; the agent only reads."),
    "sparkplug.type_learned": Event(
        "info", "Values did not fit the types of `tags` metrics: they have wider ones now."
    ),
    "sparkplug.unknown_metric": Event(
        "warning", "Readings have no metric in the birth, their tags are no longer configured: declared as a loss."
    ),
    "sparkplug.birth_too_large": Event(
        "error",
        "A birth exceeds the broker's limit: the device cannot be published.",
        "Let the broker take packets of `bytes`, or make two devices of this one.",
    ),
    "mqtt.version_fallback": Event(
        "warning",
        "MQTT 3.1.1 is spoken: it cannot tell when it refuses a message (access rules, size) or why it hangs up.",
    ),
    "mqtt.taken_over": Event(
        "error",
        "The broker says so (0x8E), or hangs up soon after each connect: another client probably uses our `client_id`, "
        "and each throws the other out. We keep away for a minute at a time.",
        "Find the other one, often a copied gateway, and give every agent and publisher its own `client_id`.",
    ),
    "mqtt.limit_learned": Event(
        "warning",
        "The broker hung up on larger packets, three times without a word or once saying so (0x95): from now on none "
        "is larger than this. Kept over a restart, and forgotten after a week.",
    ),
    "mqtt.rate_learned": Event(
        "warning", "The broker finds our message rate too high (0x96): for an hour at most `per_second` messages."
    ),
    "mqtt.qos_lowered": Event(
        "warning",
        "The broker takes nothing above QoS 0. A record counts as delivered once a later round trip proves that the "
        "broker has read it; whether it took it, nobody can tell.",
    ),
    "mqtt.subscribe_refused": Event(
        "warning", "The broker does not let us listen on `topics`; what comes there is not heard."
    ),
    "mqtt.no_subscriber": Event("info", "The broker took messages nobody subscribes to (PUBACK 0x10)."),
    # the web
    "http.listening": Event("info", "Health, metrics and status are served."),
    # bridged libraries
    "library.message": Event("info", "A line of a library's own logger."),
    # simulated plant, demo
    "simulator.listening": Event("info", "A simulated device listens."),
    "simulator.fault": Event("info", "A simulated device misbehaves on command."),
    "broker.listening": Event("info", "The embedded broker listens."),
}
