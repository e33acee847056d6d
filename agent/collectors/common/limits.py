"""How much one request may ask for. Pure.

A server's OperationLimits are taken where it tells them, and what is known of its kind; what it refuses as too large is
halved and remembered. Some servers do not refuse: they break off the answer, or the connection. A size that cost a
connection before it was ever answered, or two in a row, is halved too. An answer of the library's is decoded in one go
while nothing else runs: a chunk stays small even where a server takes more. Plain values cost a tenth of that, so they
may be asked for in wider ones, once the server has shown that it answers fast: each request wakes both processes.
"""

from __future__ import annotations

MOST = 500  #: per request: some 5 ms of decoding
WIDEST = 2_000  #: plain values per request: as long
UNTOLD = 100  #: where a server does not tell its limits: small controllers are many times slower above that
_PATIENCE = 2  #: connections lost at one size until it is to blame


def chunk_limit(told: int | None, known: int | None = None, most: int = MOST) -> int:
    """Size of a chunk for a limit as the server told it (None not told, 0 none) and as its kind is known to have it."""
    if told is None:
        return min(UNTOLD if known is None else known, most)
    return min(told if told > 0 else most, most if known is None else known, most)


class ChunkLimit:
    """The limit of one service, over all connections of a device."""

    def __init__(self, told: int | None = None) -> None:
        self._ceiling = self._takes = WIDEST
        self.proven = 0  #: largest request that was ever answered
        self._suspect = (0, 0)  # size, and how many connections in a row were lost at it
        self.told(told)

    def told(self, limit: int | None, known: int | None = None) -> None:
        """A new connection: what the server says about it, and what is known of its kind."""
        self.size = min(chunk_limit(limit, known), self._ceiling)
        self.wide = self.size  #: of plain values
        self._most = min(chunk_limit(limit, known, WIDEST), self._ceiling, self._takes)

    def refused(self, tried: int) -> bool:
        """A request for `tried` was too large: ask for half from now on. False where it cannot become smaller."""
        if tried <= 1:
            return False
        self._takes = self._most = min(self._takes, tried // 2)  # a wide one is not tried again by the next connection
        self.size, self.wide = min(self.size, tried // 2), min(self.wide, tried // 2)
        return True

    def answered(self, size: int) -> None:
        """A request of this size had an answer."""
        self.proven = max(self.proven, size)
        if size >= self._suspect[0]:
            self._suspect = (0, 0)

    def fast(self, size: int) -> None:
        """Its answer was small and came fast: twice as many may be asked for."""
        if size >= self.wide:
            self.wide = max(self.wide, min(2 * size, self._most))

    def lost(self, size: int) -> None:
        """The connection was lost while this was asked for."""
        if size <= 1:
            return
        before, times = self._suspect
        times = times + 1 if before == size else 1
        self._suspect = (size, times)
        if size > self.proven or times >= _PATIENCE:
            self._ceiling = max(1, size // 2)
            self.size = min(self.size, self._ceiling)
            self.proven = min(self.proven, self._ceiling)
            self._suspect = (0, 0)
