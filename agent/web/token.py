"""The token of `http.auth`: read at every request, so that it may be rotated."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.core.errors import TransientError, exhausted
from agent.core.threads import run_in_thread
from agent.settings.values import read_secret
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats
from agent.web.sessions import digest

WITHIN = 1.0  #: seconds a read may take
log = get_logger("web")


class TokenFile:
    """Belongs to the event loop; the disk is read in a thread, and by one thread at most however long it hangs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reading: asyncio.Future[bytes | None] | None = None
        self._repeats = Repeats()

    async def digest(self) -> bytes | None:
        """Of the token; None where the file holds none. TransientError where that cannot be known just now."""
        if self._reading is None or self._reading.done():
            self._reading = run_in_thread(self._read, "web token")
        try:
            async with asyncio.timeout(WITHIN):
                found = await asyncio.shield(self._reading)
        except TimeoutError:
            self._say(f"no answer from the disk within {WITHIN:g} s")
            raise TransientError("the token file cannot be read: no answer from the disk", retry_after=1) from None
        except (OSError, ValueError) as error:
            reason = _words(error)
            self._say(reason)
            if exhausted(error):
                raise TransientError(f"the token file cannot be read: {reason}", retry_after=1) from None
            return None
        if found is None:
            self._say("it is empty")
        else:
            self._repeats.over("unusable")
        return found

    def _read(self) -> bytes | None:
        token = read_secret(self._file)
        return digest(token) if token else None

    def _say(self, reason: str) -> None:
        if (repeats := self._repeats.due("unusable", asyncio.get_running_loop().time())) is not None:
            log.warning("http.token_unusable", file=str(self._file), reason=reason, repeats=repeats)


def _words(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"  # its own words quote the secret
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
