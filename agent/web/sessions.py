"""Who is logged in. Pure: the caller passes monotonic seconds and the digest of the token that is valid now.

A session is worth what the token was that opened it: with another token in the file it is none. All of them live in
memory, so a restart ends them as well.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

LASTS = 12 * 3600.0  #: seconds from the login
MOST_SESSIONS = 256  #: beyond, the oldest ends


def digest(secret: str | bytes) -> bytes:
    """What is kept and compared in the place of a secret."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def same(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal, in the same time wherever they differ."""
    return hmac.compare_digest(one, other)


@dataclass(frozen=True)
class WebSession:
    """One person's login."""

    key: bytes  #: digest of what the cookie holds
    token: bytes  #: digest of the token that opened it
    until: float

    def holds(self, token: bytes, now: float) -> bool:
        """Whether it is valid while this is the digest of the token."""
        return now < self.until and same(self.token, token)


class WebSessions:
    """Those that were opened and neither ended nor ran out."""

    def __init__(self) -> None:
        self._open: dict[bytes, WebSession] = {}  # oldest first

    def open(self, token: bytes, now: float) -> tuple[str, WebSession]:
        """What the cookie is to hold, and the session."""
        self._open = {key: one for key, one in self._open.items() if now < one.until}
        if len(self._open) >= MOST_SESSIONS:
            del self._open[next(iter(self._open))]
        cookie = secrets.token_urlsafe(32)
        session = WebSession(digest(cookie), token, now + LASTS)
        self._open[session.key] = session
        return cookie, session

    def find(self, cookie: str, token: bytes, now: float) -> WebSession | None:
        """The session of a cookie where it is valid. One of another token has ended."""
        session = self._open.get(digest(cookie.encode("utf-8", "surrogateescape")))
        if session is None or session.holds(token, now):
            return session
        self.end(session)
        return None

    def is_open(self, session: WebSession) -> bool:
        """Whether it was neither ended nor pushed out."""
        return session.key in self._open

    def end(self, session: WebSession) -> None:
        """Logged out."""
        self._open.pop(session.key, None)

    def __len__(self) -> int:
        return len(self._open)
