"""A broker by its URL alone, as people write it on a command line."""

from __future__ import annotations

from urllib.parse import urlsplit

from agent.core.errors import PermanentError
from agent.publishers.mqtt.access import Access, Server
from agent.publishers.mqtt.urls import split_url, websocket_path
from agent.settings.tls import BrokerTLS


def access_of(url: str, *, tls: BrokerTLS | None = None) -> Access:
    """Out of `mqtt://[user:password@]host[:port]`, `mqtts://…`, `ws://…` or `wss://…`; `tls` None: the system's.

    Raises PermanentError where the URL is none.
    """
    try:
        parts = urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        scheme, host, port = split_url(bare)
    except ValueError as error:
        reason, _, hint = str(error).partition("; ")
        raise PermanentError(reason, hint or "write mqtt://host:1883 or mqtts://host:8883") from None
    encrypted = (tls or BrokerTLS()) if scheme in ("mqtts", "wss") else None
    return Access(
        servers=(Server(host, port, encrypted, websocket_path(bare)),),
        username=parts.username,
        password=parts.password,
    )
