"""What the API answers, as types: the OpenAPI document is made from them, and tests hold real answers against them.

Instants are milliseconds since 1970 (UTC). What is not known is null. Keys may be added later; none changes meaning.
"""

from __future__ import annotations

from agent.web.schema.answers import (
    Error,
    Events,
    History,
    LoggedIn,
    Minute,
    Probe,
    Reload,
    Reloads,
    Tag,
    Tags,
    Values,
)
from agent.web.schema.status import Device, Finding, Publisher, Status

__all__ = [
    "Device", "Error", "Events", "Finding", "History", "LoggedIn", "Minute", "Probe", "Publisher", "Reload", "Reloads",
    "Status", "Tag", "Tags", "Values",
]  # fmt: skip
