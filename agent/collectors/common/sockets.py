"""What long-lived connections need of their sockets: that the kernel notices a peer that is gone without a word."""

from __future__ import annotations

import contextlib
import socket
import struct

_NOTICED = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
#: Asked every second, so that silence shows at once; given up after half a minute only: others do so before.
_WATCHED = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 30}
_LAST_RECEIVED = struct.Struct("@52xII")  #: of Linux's `struct tcp_info`: since data, since an acknowledgement, ms


def keep_alive(connection: socket.socket, *, watched: bool = False) -> None:
    """So that a peer whose link died without a word is noticed, within a minute; `watched`: see :func:`quiet_for`."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (_WATCHED if watched else _NOTICED).items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def quiet_for(connection: socket.socket) -> float:
    """Seconds since the machine at the other end of a watched connection sent anything; 0: not known."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_RECEIVED.size)
        return float(min(_LAST_RECEIVED.unpack(info))) / 1000
    except (OSError, AttributeError, struct.error):
        return 0.0
