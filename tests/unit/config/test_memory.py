from __future__ import annotations

import pytest

from agent.config.loader import load
from agent.config.memory import warnings

GIB = 1 << 30


@pytest.mark.parametrize(
    ("outbox", "memory", "said"),
    [
        ("durability: memory, max_bytes: 1GiB", 4 * GIB, ["may fill 1024 MiB of this machine's 4096 MiB"]),
        ("durability: memory, max_bytes: 64MiB", 4 * GIB, []),
        ("durability: commit, max_bytes: 8GiB", GIB, []),
        ("durability: memory, max_bytes: 1MiB, disk: on_outage", GIB, ["there is no disk to spare"]),
    ],
)
def test_an_outbox_in_memory_has_to_fit_it(tmp_path, outbox, memory, said):
    """What a machine cannot hold is said by `check`, with what to write."""
    file = tmp_path / "agent.yaml"
    file.write_text(f"agent: {{id: gw}}\noutbox: {{{outbox}}}\npublishers:\n  plant: {{type: mqtt, url: 'mqtt://h'}}\n")
    found = list(warnings(load(file, {}).config, memory))
    assert len(found) == len(said)
    assert all(word in one for word, one in zip(said, found, strict=True))
