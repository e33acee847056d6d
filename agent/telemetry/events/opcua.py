"""OPC UA."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    # opc ua
    "opcua.listening": Event("info", "The agent listens for servers that call (reverse connect)."),
    "opcua.call_refused": Event("warning", "A connection to the port for reverse connect was refused: `reason`."),
    "opcua.call_taken_over": Event(
        "warning",
        "A server called while a connection in its name (`before`) waited; the newer one (`peer`) took its place.",
        "If `peer` and `before` are not the same machine, somebody pretends to be it: `security:` makes it prove "
        "who it is, `allow:` says where it may call from.",
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
        "What the previous run left to be filled from history: `tags` with a known last time, `spans` still to be "
        "read; for `lost` tags nothing is known.",
    ),
    "opcua.logbook_refused": Event(
        "warning",
        "The disk refuses the logbook of `backfill`: what is missed from now on is not filled after a restart.",
    ),
    "opcua.logbook_damaged": Event(
        "warning",
        "The logbook of `backfill` could not be used (`reason`) and begins anew: the last stop is not filled.",
    ),
    "opcua.clock_off": Event(
        "warning", "The server's clock is off by `skew_s`, more than `max_skew`; its times are published unchanged."
    ),
    "opcua.namespaces_moved": Event(
        "warning",
        "The server numbers its namespaces otherwise than before. Tags by index (`ns=2;…`) are read in the namespaces "
        "they `meant`, and are bad where such a one is gone, also after a restart of the agent.",
        "Write `nsu=URI;…` instead: `edge-agent browse` prints it.",
    ),
    "opcua.namespaces_not_kept": Event(
        "warning",
        "What indexes (`ns=2;…`) mean could not be read from the disk, or written to it (`path`, `reason`): after the "
        "next restart they mean what the server has then.",
    ),
    "opcua.clock_right": Event("info", "The server's clock is within `max_skew` of this computer's."),
    "opcua.failover": Event("warning", "A redundant server is not well (`service_level`); another takes over."),
    "opcua.selection": Event(
        "info", "What browsing chose has changed: `added`, `removed`; `cut` where there would have been more."
    ),
    "opcua.nodes_left_out": Event(
        "warning", "Browsing did not make tags of all that was chosen: `reason`; raise `max_nodes`, or name tags."
    ),
    "opcua.browse_cut": Event(
        "warning",
        "The server has more references below a few nodes than the agent reads (`references`); the rest is left.",
    ),
    "opcua.no_conditions": Event("debug", "The server has no conditions to repeat."),
    "opcua.filter_refused": Event(
        "warning", "The server takes no deadband or trigger for these nodes; it reports every change of them."
    ),
    "opcua.items_lost": Event(
        "warning", "The server monitors nodes no longer that it should; monitored anew, declared as a gap."
    ),
    "opcua.items_silent": Event(
        "warning",
        "The server does not report changes of tags that a Read shows; they are monitored anew, declared as a gap.",
    ),
    "opcua.meaning_changed": Event(
        "info", "The server told that the type of these values changed (`tags`); its definition was read again."
    ),
    "opcua.subscriptions_merged": Event(
        "warning", "The server allows `count` subscriptions only; tags of slower intervals share the slowest of them."
    ),
    "opcua.resubscribed": Event("info", "There is a subscription for `count` tags that were polled."),
    "opcua.polled": Event(
        "warning", "There is no (further) subscription for `count` tags (`reason`): they are polled."
    ),
    "opcua.overflow": Event("warning", "The server's queue overflowed: values were lost there, declared as a gap."),
    "opcua.gap": Event(
        "warning",
        "Notifications of a subscription were `missing`; asked for again, `lost` of them are declared as a gap.",
    ),
    "opcua.publish_refused": Event(
        "warning",
        "The server refuses a Publish request (`reason`); it is asked again every second, the session stands.",
    ),
    "opcua.audit_disbelieved": Event(
        "warning", "What the server lists as monitored contradicts itself (`reason`); its list is not asked for again."
    ),
    "opcua.keepalive_missed": Event(
        "warning", "The server stopped publishing without an error; the session is opened anew."
    ),
    "opcua.certificate_created": Event(
        "info", "The agent made its own certificate; servers with security have to be told to trust `thumbprint`."
    ),
    "opcua.certificate_rejected": Event(
        "warning",
        "A server showed a certificate that is not accepted (`reason`); `command`: what to do if it is the right one.",
        "Compare `thumbprint` with the one on the server's own screen. If they are the same, do what `command` says; "
        "if not, somebody else answers at the device's address.",
    ),
    "opcua.certificate_mismatch": Event(
        "warning", "A server calls itself `server`, its certificate says `certificate`; it is accepted all the same."
    ),
    "opcua.certificate_expiring": Event(
        "warning",
        "A `certificate` (own, user or the server's) runs out in `days`; below zero: it has.",
        "Renew it before that day. A new one of the server has to be trusted here, the agent's new one there "
        "(docs/opcua.md).",
    ),
    "opcua.types_unknown": Event("warning", "The server did not tell what its data types mean: `reason`."),
    "opcua.undecodable": Event("warning", "A message of the server could not be decoded."),
}
