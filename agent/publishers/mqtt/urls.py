"""URLs of brokers and proxies, taken apart. Pure."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

_SCHEMES = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
ENCRYPTED = ("mqtts", "wss")
_PROXIES: dict[str, Literal["http", "socks5"]] = {"http": "http", "socks5": "socks5", "socks5h": "socks5"}
_PROXY_PORTS = {"http": 3128, "socks5": 1080}
_MEANT = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts", "mqtt+ssl": "mqtts", "http": "ws", "https": "wss"}


def split_url(url: str) -> tuple[str, str, int]:
    """Scheme, host, port of a broker's URL. ValueError says what to write instead."""
    example = "write mqtt://host:1883 or mqtts://host:8883"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not the URL of a broker: {error}; {example}") from None
    if parts.scheme in _MEANT:
        meant = f"write {_MEANT[parts.scheme]}://" + (
            " for MQTT over WebSocket, else mqtt://" if _MEANT[parts.scheme].startswith("ws") else ""
        )
        raise ValueError(f"{parts.scheme}:// is an unsupported scheme; {meant}")
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{url!r} is not the URL of a broker; {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into the URL; write username: and password_file:")
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host; {example}")
    if parts.fragment or (parts.scheme not in ("ws", "wss") and (parts.path not in ("", "/") or parts.query)):
        raise ValueError(f"nothing may follow host and port of a broker's URL; {example}")
    return parts.scheme, parts.hostname, port or _SCHEMES[parts.scheme]


def websocket_path(url: str) -> str | None:
    """Path and query of a ws:// or wss:// URL, /mqtt where it has none; None for the others."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss"):
        return None
    return (parts.path if parts.path not in ("", "/") else "/mqtt") + (f"?{parts.query}" if parts.query else "")


def split_proxy(url: str) -> tuple[Literal["http", "socks5"], str, int]:
    """Kind, host, port of a proxy's URL. ValueError says what to write instead."""
    example = "write http://host:3128 or socks5://host:1080"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not the URL of a proxy: {error}; {example}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into the URL; write proxy_username: and proxy_password_file:")
    if parts.scheme not in _PROXIES or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(f"{url!r} is not the URL of a proxy; {example}")
    kind = _PROXIES[parts.scheme]
    return kind, parts.hostname, port or _PROXY_PORTS[kind]
