"""The certificate of the HTTP port. Looked at before each handshake, so that a renewed one needs no restart."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from agent.core.errors import TransientError
from agent.core.threads import run_in_thread
from agent.settings.tls import in_words, load_own
from agent.telemetry.logging import get_logger
from agent.telemetry.repeats import Repeats

WITHIN = 1.0  #: seconds a look at the files may take
RETRY = 5.0  #: where there is no certificate yet

_Marks = tuple[tuple[int, int, int], ...]

log = get_logger("web")


class Certificate:
    """Belongs to the event loop; files are read in a thread, by one at most however long the disk hangs."""

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        self._files = (cert_file, key_file)
        self._context: ssl.SSLContext | None = None
        self._marks: _Marks = ()
        self._looking: asyncio.Future[None] | None = None
        self._repeats = Repeats()

    async def context(self) -> ssl.SSLContext:
        """What the next handshake uses: the newest that can be used. TransientError where there never was one."""
        reason = ""
        if self._looking is None or self._looking.done():
            self._looking = run_in_thread(self._look, "web certificate")
        try:
            async with asyncio.timeout(WITHIN):
                await asyncio.shield(self._looking)
        except (OSError, ValueError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            reason = _words(error)
            repeats = self._repeats.due("unusable", asyncio.get_running_loop().time())
            if repeats is not None and self._context is not None:
                log.warning("http.certificate_unusable", file=str(self._files[0]), reason=reason, repeats=repeats)
        else:
            self._repeats.over("unusable")
        if self._context is None:
            cert, key = self._files
            raise TransientError(f"http.tls.cert_file {cert}, http.tls.key_file {key}: {reason}", retry_after=RETRY)
        return self._context

    def _look(self) -> None:
        marks = tuple((about.st_ino, about.st_size, about.st_mtime_ns) for about in (f.stat() for f in self._files))
        if marks == self._marks:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        load_own(context, *self._files)
        self._context, self._marks = context, marks


def _words(error: OSError | ValueError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer from the disk within {WITHIN:g} s"
    return in_words(error)
