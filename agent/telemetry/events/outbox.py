"""The outbox."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
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
    "outbox.restamped": Event(
        "info", "The clock is set: records that were read before and told nobody yet have their right times."
    ),
    "outbox.down_declared": Event("info", "What happened before this start was declared to the consumer."),
}
