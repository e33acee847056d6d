"""Where to listen: a broker's address, credentials and TLS. Pure but for reading the files it names."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.core.errors import PermanentError
from agent.publishers.mqtt.config import websocket_path
from agent.settings.tls import TLSSettings
from agent.settings.values import read_secret

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


@dataclass(frozen=True)
class Target:
    """One broker. Secrets are read at every connection, so that they may be rotated."""

    host: str
    port: int
    tls: TLSSettings | None = None  #: None: not encrypted
    username: str | None = None
    password: str | None = None
    password_file: Path | None = None
    path: str | None = None  #: over WebSocket

    @classmethod
    def of(
        cls, url: str, *, tls: TLSSettings | None = None, username: str | None = None, password: str | None = None,
        password_file: Path | None = None,
    ) -> Target:  # fmt: skip
        """Out of `mqtt://host[:port]`, `mqtts://…`, `ws://…` or `wss://…`; without `tls` the system's authorities.

        Raises PermanentError where the URL is none.
        """
        hint = "write mqtt://host:1883 or mqtts://host:8883"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise PermanentError(f"{url!r} is no URL of a broker: {error}", hint) from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise PermanentError(f"{url!r} is no URL of a broker", hint)
        encrypted = (tls or TLSSettings()) if parts.scheme in ("mqtts", "wss") else None
        return cls(
            parts.hostname,
            port or _PORTS[parts.scheme],
            encrypted,
            username or parts.username,
            password or parts.password,
            password_file,
            websocket_path(url),
        )

    def secret(self) -> str | None:
        """The password, if there is one. Raises PermanentError where its file cannot be read."""
        if self.password_file is None:
            return self.password
        try:
            return read_secret(self.password_file)
        except (OSError, ValueError) as error:
            raise PermanentError(f"the password file cannot be read: {error}") from error

    def context(self) -> ssl.SSLContext | None:
        """TLS, always verified; None where the connection is not encrypted. Raises PermanentError for bad files."""
        if self.tls is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls.ca_file)
            if self.tls.cert_file is not None:
                context.load_cert_chain(self.tls.cert_file, self.tls.key_file)
        except (OSError, ssl.SSLError) as error:
            raise PermanentError(f"TLS files cannot be used: {error}") from error
        return context
