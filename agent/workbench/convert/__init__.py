"""Foreign configurations → ours: one file a format. Pure; `edge-agent convert` reads and writes.

A converter carries over what means the same here, and notes everything else: which item, what it was, why not.
"""

from __future__ import annotations

from agent.workbench.convert.formats import FORMATS, convert, recognised
from agent.workbench.convert.result import Converted, Note

__all__ = ["FORMATS", "Converted", "Note", "convert", "recognised"]
