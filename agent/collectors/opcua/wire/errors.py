"""What is wrong with what came off the wire."""

from __future__ import annotations

from asyncua.ua.uaerrors import UaError

from agent.core.errors import ConnectionLost


class WireViolation(ConnectionLost, UaError):
    """The server broke the protocol or what was agreed; the connection is closed at once.

    It is an error of the library's too, because the library wraps what it does not know.
    """


class LimitExceeded(UaError):
    """An answer holds more than one answer may hold; it is given up, and the connection stands."""
