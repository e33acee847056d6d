"""How PostgreSQL is reached: password, TLS, and what ends a connection that hangs."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from agent.historian.config import HistorianSettings
from agent.historian.stores.away import StoreAway
from agent.settings.values import read_secret

CONNECT_TIMEOUT = 5  #: seconds
_PROCESS = "SELECT pg_backend_pid()"
_SESSION = "SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET timezone = 'UTC'; SET synchronous_commit = on"


def connect(settings: HistorianSettings) -> psycopg.Connection:
    """Another connection. Raises psycopg.Error, and StoreAway where the password cannot be read."""
    tls = settings.tls
    given: dict[str, str | int | None] = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "edge-historian"}
    given |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
    if tls is not None:
        given |= {"sslmode": "verify-full", "sslrootcert": str(tls.ca_file) if tls.ca_file else "system"}
        given |= {"sslcert": str(tls.cert_file), "sslkey": str(tls.key_file)} if tls.cert_file else {}
    if settings.password_file is not None:
        try:
            given["password"] = read_secret(settings.password_file)
        except (OSError, ValueError) as error:
            raise StoreAway(f"password_file {settings.password_file} cannot be read: {error}") from None
    elif settings.password is not None:
        given["password"] = settings.password.get_secret_value()
    written = {key: value for key, value in conninfo_to_dict(settings.database).items() if value is not None}
    if tls is not None and tls.server_name is not None:
        written = _named(written, tls.server_name)
    return psycopg.connect(autocommit=True, **(given | written))  # type: ignore[arg-type]


def _named(written: dict[str, Any], name: str) -> dict[str, Any]:
    """`host` is what the certificate must name; where it is, `hostaddr` says."""
    host, port = str(written.get("host", "localhost")), int(written.get("port", 5432))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StoreAway(f"{host} has no address: {error.strerror}") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    return written | {"host": ",".join([name] * len(addresses)), "hostaddr": ",".join(addresses)}


def prepare(connection: psycopg.Connection) -> None:
    """Bounds of a statement, and its time zone."""
    connection.execute(_SESSION)


def is_shared(connection: psycopg.Connection, another: Callable[[], psycopg.Connection]) -> bool:
    """Whether a pooler stands in between and pools transactions: what we set and lock would be anybody's then.

    Told by the server's process: it is not the one that answered, and a second connection gets it, too.
    """
    own = connection.execute(_PROCESS).fetchone()
    if own == (connection.info.backend_pid,):
        return False
    with contextlib.closing(another()) as other:
        return bool(other.execute(_PROCESS).fetchone() == own)


def cut(connection: psycopg.Connection) -> None:
    """End it from another thread: whatever waits for its answer there breaks off. Never waits."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
