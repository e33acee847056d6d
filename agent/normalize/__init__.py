"""Samples → batches of readings: scale, unit, range, sentinels, deadband; `ts`, `src` and `why` (docs/messages.md).

`normalize = compile_normalizer(name, config.tag_table, cat=..., clock=...)`, then `batch = normalize(sample)` for each.
"""

from __future__ import annotations

from agent.normalize.normalizer import compile_normalizer

__all__ = ["compile_normalizer"]
