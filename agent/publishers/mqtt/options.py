"""What a configuration says of a publisher, ready for use."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from agent.publishers.mqtt.access import Access
from agent.publishers.mqtt.oversize import MAX_INCOMING


class Options(Struct, frozen=True, kw_only=True):
    """What a configuration says, ready for use."""

    publisher: str
    access: Access
    version: Literal["auto", "5", "3.1.1"]
    client_id: str
    keep_alive: float
    connect_timeout: float
    window: int
    max_rate: float | None = None  #: messages per second of all kinds
    will: Literal["retained", "plain", "none"] = "retained"
    hold_unheard: bool = False
    max_incoming_bytes: int = MAX_INCOMING
