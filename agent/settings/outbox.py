"""`outbox:`, at the top or of one publisher."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from agent.settings.model import Model
from agent.settings.values import ByteSize, Interval


class KeepAcked(Model):
    """How much of what the broker has accepted is kept."""

    age: Interval = 600.0
    """How long."""
    max_bytes: ByteSize = 64 << 20
    """How much."""


class OutboxSettings(Model):
    """Defaults for every publisher's own outbox."""

    durability: Literal["memory", "commit", "fsync"] = "commit"
    """memory: lost with the process; commit: survives kill -9; fsync: survives power loss."""
    max_bytes: ByteSize = 1 << 30
    """Bound per publisher: bytes of the records as they are packed. Their file may take up to twice as much."""
    max_age: Interval = 30 * 86400.0
    """Older records expire (declared)."""
    min_free_disk: ByteSize = 200 << 20
    """Below this much free disk space the outbox stops growing."""
    disk: Literal["always", "on_outage"] = "always"
    """always: a record is on disk before it is published; on_outage spares the flash: only what no broker has
    acknowledged within 5 s gets there, so a crash may cost these seconds (declared as lost)."""
    compress: bool = False
    """Deflate records: less than half the bytes for 0.1 to 0.3 us of CPU a reading."""
    when_full: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    """What goes when a bound is met; every drop is declared."""
    keep_acked: KeepAcked | None = None
    """Keep acknowledged records for `edge-agent outbox resend`."""

    @model_validator(mode="after")
    def _fits_together(self) -> OutboxSettings:
        if self.disk == "on_outage" and self.keep_acked is not None:
            msg = "with `disk: on_outage` most records are never on disk, so none can be kept; leave out one of the two"
            raise ValueError(msg)
        return self
