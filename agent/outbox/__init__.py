"""Floor 2: the durable store-and-forward queue in front of one publisher.

    append ─▶ ring ─▶ commit (one thread, one SQLite file) ─▶ lanes ─▶ reader ─▶ ack ─▶ gone with the next commit

`outbox.py` is the port. `commit.py` decides what one transaction holds; `file/` writes it, and is all that touches the
disk. Pure: `split` (bytes of a batch), `gaps` (declarations and their merging), `streams` (epoch, seq, low), `ring`
(what waits for its commit), `lanes` (what a reader hands out), `bounds` (what has to go), `declarations` (what a start
declares). `operator/` is what `edge-agent outbox` asks.
"""

from __future__ import annotations

from agent.outbox.outbox import SqliteOutbox, open_outbox, outbox_path

__all__ = ["SqliteOutbox", "open_outbox", "outbox_path"]
