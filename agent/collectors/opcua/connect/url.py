"""Addresses of OPC UA servers. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_PLACE = re.compile(r"([\w.-]+)(?::(\d{1,5}))?", re.ASCII)
USUAL_PORT = 4840  #: OPC 10000-6, 7.2
_WEB = (80, 443)  #: ports of an http:// address that is no server's


def check_url(value: str) -> str:
    """The address itself. ValueError says what to write instead."""
    try:
        parts = urlsplit(value)
        good = parts.scheme == "opc.tcp" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = None
    if not good:
        place = _PLACE.fullmatch(value.rpartition("://")[2].partition("/")[0])
        host, port = (place[1], int(place[2] or 0)) if place else ("HOST", 0)
        if port in _WEB or not 0 < port < 65536:
            port = USUAL_PORT
        raise ValueError(f"{value!r} is not the address of an OPC UA server; write opc.tcp://{host}:{port}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into the url; write username: and password_file:")
    return value


def with_port(url: str) -> str:
    """The address with its port said."""
    parts = urlsplit(url)
    return url if parts.port is not None else parts._replace(netloc=f"{parts.netloc}:{USUAL_PORT}").geturl()


def split_url(url: str) -> tuple[str, int]:
    """Host and port of an address that was checked."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or USUAL_PORT


def split_listen(value: str) -> tuple[str, int]:
    """Host and port of an address to listen on. ValueError says what to write instead."""
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or f"//{value}" != f"//{parts.netloc}" or "@" in value:
        raise ValueError(
            f"{value!r} is no address to listen on; write HOST:PORT, 127.0.0.1:4841 for calls from this machine, "
            "0.0.0.0:4841 for calls from any network"
        )
    return host, port
