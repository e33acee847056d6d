"""Where the brokers are and who we are to them: what a publisher and a consumer of one configuration share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from agent.core.errors import TransientError
from agent.publishers.mqtt.dial import Dial
from agent.publishers.mqtt.hooks import upgrade
from agent.publishers.mqtt.proxy import Proxy
from agent.settings.tls import TLSSettings
from agent.settings.values import read_secret

#: A file that cannot be read is put right by people.
_RETRY = 30.0


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


class Access(Struct, frozen=True, kw_only=True):
    """Brokers of one plant, in the order in which they are tried. Secrets are read at every connection."""

    servers: tuple[Server, ...]
    username: str | None = None
    password: str | None = None
    password_file: Path | None = None
    proxy: Proxy | None = None

    def credentials(self) -> tuple[str | None, str | None]:
        """User name and password. TransientError names a file that cannot be read."""
        if self.password_file is None:
            return self.username, self.password
        try:
            return self.username, read_secret(self.password_file)
        except (OSError, ValueError) as error:
            raise TransientError(f"password_file {self.password_file}: {error}", retry_after=_RETRY) from None

    def dial(self, server: Server, *, timeout: float, synced: Callable[[], bool]) -> Dial:
        """An attempt to reach one of the servers."""
        encrypted = server.tls is not None
        return Dial(
            server.host,
            server.port,
            timeout=timeout,
            tls=server.tls,
            synced=synced,
            proxy=self.proxy,
            upgrade=upgrade(server.host, server.port, server.path, tls=encrypted) if server.path else None,
        )
