"""What a configuration says of a publisher, ready for use."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from agent.publishers.mqtt.proxy import Proxy
from agent.settings.tls import TLSSettings


class Server(Struct, frozen=True):
    """One broker. `tls` None: not encrypted; `path`: over WebSocket."""

    host: str
    port: int
    tls: TLSSettings | None = None
    path: str | None = None

    @property
    def name(self) -> str:
        """What is learned of it is kept under this."""
        return f"{self.host}:{self.port}"


class Options(Struct, frozen=True, kw_only=True):
    """What a configuration says, ready for use."""

    publisher: str
    servers: tuple[Server, ...]
    version: Literal["auto", "5", "3.1.1"]
    client_id: str
    username: str | None
    password: str | None
    password_file: Path | None
    keep_alive: float
    connect_timeout: float
    window: int
    hold_unheard: bool = False
    proxy: Proxy | None = None
