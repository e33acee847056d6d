"""Where the brokers are and who we are to them: what a publisher and a consumer of one configuration share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from agent.core.errors import TransientError, exhausted
from agent.publishers.mqtt.dial import Dial
from agent.publishers.mqtt.proxy import BrokerProxy
from agent.publishers.mqtt.websocket import upgrade
from agent.settings.tls import BrokerTLS
from agent.settings.values import read_secret

#: A file that cannot be read is put right by people.
_RETRY = 30.0


class Server(Struct, frozen=True):
    """One broker. `tls` None: not encrypted; `path`: over WebSocket."""

    host: str
    port: int
    tls: BrokerTLS | None = None
    path: str | None = None

    @property
    def name(self) -> str:
        """What is learned of it is kept under this."""
        return f"{self.host}:{self.port}"


class Access(Struct, frozen=True, kw_only=True):
    """Brokers of one plant, in the order in which they are tried. Secrets are read at every connection."""

    servers: tuple[Server, ...]
    username: str | None = None
    username_file: Path | None = None
    password: str | None = None
    password_file: Path | None = None
    proxy: BrokerProxy | None = None

    def credentials(self) -> tuple[str | None, str | None]:
        """User name and password. TransientError names a file that cannot be read."""
        username = _read("username_file", self.username_file, self.username)
        return username, _read("password_file", self.password_file, self.password)

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


def _read(key: str, path: Path | None, value: str | None) -> str | None:
    if path is None:
        return value
    try:
        return read_secret(path)
    except (OSError, ValueError) as error:
        wait = None if exhausted(error) else _RETRY
        raise TransientError(f"{key} {path}: {error}", retry_after=wait) from None
