"""The outbox."""

from __future__ import annotations

from agent.telemetry.events.event import Event

EVENTS: dict[str, Event] = {
    # outbox
    "outbox.upgraded": Event("info", "A `file` written by an older version has the present format (`version`) now."),
    "outbox.opened": Event("info", "The outbox is open: epoch, records waiting from earlier runs."),
    "outbox.filling": Event(
        "warning",
        "An outbox has passed 70 or 90 % of what it may hold; `full_in_s` is the time left at the present rate.",
        "Bring the broker back, or raise `max_bytes` where the disk has room, before records are lost.",
    ),
    "outbox.eased": Event("info", "An outbox that was filling has room again."),
    "disk.low": Event(
        "warning",
        "Less than twice `min_free_disk` is free, or (`below` true) less than that, and outboxes stop growing; "
        "`floor_in_s` is the time until then at the present rate. Or no inodes are left (`no_inodes`).",
        "Free space on the disk of `data_dir`, before records are lost.",
    ),
    "disk.ok": Event("info", "Enough of the disk is free again."),
    "outbox.orphaned": Event(
        "warning",
        "An outbox (`file`) belongs to no publisher any more: the `records` in it are kept, and not sent.",
        "Write `was: NAME`, its former name, under the publisher that succeeds it, or configure it once more; "
        "delete the file where nobody needs them.",
    ),
    "outbox.taken_over": Event("info", "A publisher has the outbox of its former name (`was`) now, and all in it."),
    "outbox.dropped": Event(
        "error",
        "The outbox is full (`bound`) and records are lost, and declared. At once, then every minute with totals.",
        "Bring the broker back, free the disk, or raise `max_bytes`. What was lost is declared to the consumer.",
    ),
    "outbox.expired": Event(
        "error",
        "Records were older than max_age, and are lost and declared. At once, then every minute with totals.",
        "Bring the broker back, or raise `max_age`. What was lost is declared to the consumer.",
    ),
    "outbox.overflow": Event(
        "error",
        "Memory overflowed while the disk refused; records are lost, and declared. At once, then every minute.",
        "Records are being lost, and declared: do what the `hint` of `outbox.disk_refused` says.",
    ),
    "outbox.loss_over": Event(
        "error",
        "Nothing is lost any more for this `cause`: `records` of `device`, `from` … `to`, were, since it began.",
        "What was lost is declared to the consumer. Where it is too much, raise the bound that `reason` names.",
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
        "info", "The clock is set: records read before that and not yet sent have the right times now."
    ),
    "outbox.down_declared": Event("info", "What happened before this start was declared to the consumer."),
}
