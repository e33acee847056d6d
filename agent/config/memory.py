"""Warnings about outboxes that live in memory. Pure but for a look at how much of that the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator

from agent.config.model import Config

#: An outbox in memory takes some three times its packed bytes; more than this share of the machine is not meant.
_SHARE = 8


def warnings(config: Config, memory: int | None = None) -> Iterator[str]:
    """What `durability: memory` would cost; `memory`: bytes of the machine, where they are not to be looked up."""
    if memory is None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name, publisher in config.publishers.items():
        outbox = publisher.outbox or config.outbox
        if outbox.durability != "memory":
            continue
        if outbox.max_bytes > memory // _SHARE:
            yield (
                f"publishers.{name}: with durability memory its outbox may fill {outbox.max_bytes >> 20} MiB of this"
                f" machine's {memory >> 20} MiB of memory; give it a smaller max_bytes"
            )
        if outbox.disk == "on_outage":
            yield f"publishers.{name}: with durability memory there is no disk to spare; leave out `disk: on_outage`"
