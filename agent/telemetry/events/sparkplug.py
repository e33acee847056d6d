"""Sparkplug."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    # sparkplug
    "sparkplug.born": Event("info", "The edge node has published its birth: `reason`, devices, metrics."),
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
        "MQTT 3.1.1 is used: with it a broker cannot tell that it refuses a message (access rules, size) or why it "
        "disconnects.",
    ),
    "mqtt.taken_over": Event(
        "error",
        "The broker reports it (0x8E), or disconnects soon after each connect: another client probably uses our "
        "`client_id`, and each displaces the other. The agent stays away for a minute at a time.",
        "Find the other one, often a copied gateway, and give every agent and publisher its own `client_id`.",
    ),
    "mqtt.limit_learned": Event(
        "warning",
        "The broker disconnected at larger packets, three times without a reason (two of them with nothing on "
        "another topic under way) or once with one (0x95, also where it refuses a message): from now on none is larger "
        "than this. Kept over a restart, and forgotten after a week.",
    ),
    "mqtt.incoming_too_large": Event(
        "warning",
        "A message to the agent is larger than it takes; it was not read, and is counted.",
        "Find out who publishes so much on `topic`. `max_incoming_bytes` of the publisher is the limit.",
    ),
    "mqtt.incoming_crowded": Event(
        "warning",
        "More messages come to the agent than anybody has to say to it; the oldest are not looked at, and counted.",
        "Find out who publishes on `topic`, and let the broker's access rules refuse it.",
    ),
    "mqtt.will_not_retained": Event(
        "warning",
        "The broker closes the connection without a reason where the will is retained; the agent connects without "
        "that.",
        "Who connects later sees the agent online after it died. Write `will: {retain: false}` to say that you know.",
    ),
    "mqtt.rate_learned": Event(
        "warning",
        "The broker finds our message rate too high: at most `per_second` messages. For an hour where it ended the "
        "session (0x96) or threw messages away; after a refusal (0x97) a tenth faster every 10 s without another.",
        "Nothing is lost. Where the outbox fills, have the broker's limit raised, or publish less: a longer "
        "`interval`, `report: on_change`.",
    ),
    "mqtt.qos_lowered": Event(
        "warning",
        "The broker takes nothing above QoS 0. A record counts as delivered once a later round trip proves that the "
        "broker has read it; whether it accepted it cannot be known.",
    ),
    "mqtt.subscribe_refused": Event(
        "warning", "The broker refuses a subscription to `topics`: messages to them are not received."
    ),
    "mqtt.no_subscriber": Event("info", "The broker accepted messages that nobody subscribes to (PUBACK 0x10)."),
}
