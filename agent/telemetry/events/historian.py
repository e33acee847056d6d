"""The historian: brokers on one side, a database on the other."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    "historian.starting": Event("info", "Configuration accepted; database and brokers are being connected."),
    "historian.stopped": Event("info", "Clean end. What was not committed is kept by the brokers."),
    "historian.source_online": Event(
        "info", "Connected to a broker. `resumed`: it had kept the session and the messages of the time between."
    ),
    "historian.source_offline": Event(
        "warning",
        "The connection to a broker is lost, or none could be made: `reason`. The broker keeps what "
        "comes, as far as it can; what it cannot is asked for later.",
        "Check what `reason` names: broker, network, certificate, password. It connects again by itself.",
    ),
    "historian.database_online": Event("info", "The database is open; its tables are up to date."),
    "historian.database_offline": Event(
        "warning",
        "The database cannot be used now: `reason`. Nothing is acknowledged meanwhile: messages wait at the broker.",
        "Check what `reason` names: server, network, disk, password. It is tried again by itself, and what the broker "
        "could not keep is asked for afterwards.",
    ),
    "historian.database_left": Event(
        "warning",
        "The historian ends, and its database has not answered for `waited_s` seconds. Its last transaction was broken "
        "off; what is not committed was not acknowledged, and comes again.",
    ),
    "historian.database_unusable": Event(
        "error",
        "The database cannot be used as it is: `reason`. Tried again every 5 min.",
        "Do what `reason` says. Messages wait at the broker meanwhile.",
    ),
    "historian.refused": Event(
        "warning",
        "A message that gives no readings was left out: `reason` (`encoder`: not of the json encoder), `detail`. "
        "Counted in edge_agent_historian_refused_total.",
        "Find out who publishes on `topic`. A publisher with another encoder needs a second one with "
        "encoder: {type: json} for the historian.",
    ),
    "historian.kept_aside": Event(
        "warning",
        "Messages of a schema this version does not know were kept as they came, in the table `aside`: `detail`.",
        "Upgrade the historian; the messages stay there.",
    ),
    "historian.bad_item": Event(
        "error",
        "The database refuses what one message says: `reason`. It is left out; the others are stored.",
        "Report the message and the reason. The numbers of a record left out stay in the view `missing`.",
    ),
    "historian.second_way": Event(
        "warning",
        "A device of an agent comes by two sources: that of `source` is counted and not stored, the "
        "other is first in the file.",
        "Take the device out of one of the agent's two publishers (`devices:`), or one of the two sources out of this "
        "configuration.",
    ),
    "historian.no_repair": Event(
        "warning",
        "Records of this agent are missing, and it answers no requests for them.",
        "Paste `line` into the agent's configuration and reload it.",
    ),
    "historian.asked": Event("info", "Records are missing and were asked for: `from_seq` to `to_seq` of a stream."),
    "historian.repaired": Event("info", "Nothing is missing any more of what was asked for."),
    "historian.gave_up": Event(
        "warning",
        "Records were asked for during a day without success; see the view `missing`.",
        "`edge-agent outbox` at the agent shows what it still keeps. What it keeps no longer it declares lost when "
        "asked.",
    ),
    "historian.agent_gone": Event(
        "warning",
        "On an operator's word `records` that are missing of this agent count as lost (table `gap`). What comes of "
        "them later is stored all the same.",
    ),
    "historian.too_many_holes": Event(
        "warning",
        "A stream had more than 20,000 holes: the oldest, `holes` of them, count as lost (table `gap`) and are no "
        "longer asked for. What comes of them later is stored all the same.",
        "Look for what loses so many messages on their way to the historian: a queue of the broker that is too "
        "short, or somebody else who publishes under the agent's name.",
    ),
    "historian.swept": Event(
        "info", "Readings older than `retention` were thrown away: `rows` (of PostgreSQL partitions)."
    ),
}
