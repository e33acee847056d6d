"""How much one request may ask for. Pure.

A server's OperationLimits are taken where it tells them; what it refuses as too large is halved and remembered for the
connection. One answer is decoded in one go while nothing else runs: a chunk stays small even where a server takes more.
"""

from __future__ import annotations

MOST = 500  #: per request: some 5 ms of decoding
UNTOLD = 100  #: where a server does not tell its limits: small controllers are many times slower above that


def chunk_limit(told: int | None) -> int:
    """Size of a chunk for a limit as the server told it: None not told, 0 no limit."""
    if told is None:
        return UNTOLD
    return min(told, MOST) if told > 0 else MOST


class ChunkLimit:
    """The limit of one service on one connection."""

    def __init__(self, told: int | None) -> None:
        self.size = chunk_limit(told)

    def told(self, limit: int | None) -> None:
        """What the server says about it."""
        self.size = chunk_limit(limit)

    def refused(self, tried: int) -> bool:
        """A request for `tried` was too large: ask for half from now on. False where it cannot become smaller."""
        if tried <= 1:
            return False
        self.size = min(self.size, tried // 2)
        return True
