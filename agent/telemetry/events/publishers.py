"""Publishers and their brokers."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    # routes
    "publisher.online": Event("info", "Connected to a broker: which, MQTT version, window, limits, backlog to send."),
    "publisher.held": Event("info", "Connected, but nothing may be published yet: `reason`. Data stays on disk."),
    "publisher.offline": Event(
        "warning",
        "Not connected to the broker: `reason`. Data stays on disk.",
        "Check what `reason` names: broker, network, certificate, password. `edge-agent outbox` lists what waits. "
        "When the broker is back it goes out by itself.",
    ),
    "publisher.quarantined": Event(
        "error",
        "A record the broker will never take went to quarantine; declared as a gap. Logged once a minute for a device.",
        "`edge-agent outbox quarantined` lists them with the broker's reason. Put that right, then "
        "`edge-agent outbox requeue --all`; or `edge-agent outbox discard --all`.",
    ),
    "publisher.refused": Event(
        "warning",
        "The broker refused a message for now: `reason`.",
        "Read `reason`, and ask who runs the broker. Records wait on disk, and are tried again.",
    ),
    "publisher.left_out": Event(
        "error",
        "The broker disconnects at messages of `topic`, even sent alone (`#/x`: all that end in /x): they are left "
        "out.",
        "Allow the topic in the broker's access rules, or turn it off with `status: false` or `catalogue: false`. It "
        "is tried again when the agent is restarted, and once a day.",
    ),
    "publisher.resend_asked": Event(
        "info",
        "A consumer lacks records of a device: `records` are sent once more, `lost` are not kept and declared so.",
    ),
    "publisher.cannot_resend": Event(
        "warning",
        "Records a consumer asked for cannot be read now: `reason`. It may ask again.",
        "Do what the outbox's own events say.",
    ),
    "publisher.backlog_done": Event("info", "The backlog of an outage is delivered: `records` in `seconds`."),
    "publisher.conflict": Event(
        "error",
        "Another agent (`session`) writes our status topic: two share an id. Logged rarely, `repeats` counted.",
        "Find the other one, often a copied gateway, and give it an `id` of its own.",
    ),
    "publisher.removed": Event(
        "info",
        "The publisher is no longer configured. What waits for it (`records`) stays in `file`; nothing is declared "
        "lost.",
    ),
    "publisher.drained": Event("info", "The outbox drained before the end."),
    "encoder.topic_marked": Event(
        "warning",
        "Of the tags a device was found to have, so many `tags` would share topics (`tag` the one `wanted`).",
        "They have a mark behind their level now (`topic`). Give them levels of your choice under `names:`.",
    ),
}
