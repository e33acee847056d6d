"""Floor 2: the durable store-and-forward queue in front of one publisher.

    append ─▶ ring ─▶ commit (one thread, one SQLite file) ─▶ lanes ─▶ reader ─▶ ack ─▶ gone with the next commit

`outbox.py` is the port. `commit.py` decides what one transaction holds, `store.py` writes it; everything else is pure:
`pack` and `cut` (bytes of a batch), `gaps` (declarations and their merging), `streams` (epoch, seq, low), `ring` (what
waits for its commit), `lanes` (what a reader hands out), `bounds` (what has to go), `start` (what a start declares).

`edge-agent outbox` asks (`ask`) at the `door`, and the `clerk` answers; at the `desk` while no agent runs. Both use the
`shelves`.
"""

from __future__ import annotations

from agent.outbox.outbox import SqliteOutbox, open_outbox, outbox_path

__all__ = ["SqliteOutbox", "open_outbox", "outbox_path"]
