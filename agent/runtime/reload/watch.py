"""Notices that files changed while the agent runs: those of the configuration (`reload: watch`), secrets, certificates.

A look takes names, sizes, inodes and times; only where those changed the contents are compared, and only once they have
been left alone for a moment. What was delivered again as it was, half an editor's rename and a file that is not there
just now are no change. Directories are not watched but names, so that it makes no difference how a new file gets its
name: written in place, renamed, or behind the symbolic link of a ConfigMap (`..data`).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from agent.config.files import Reads, digest_of, matching
from agent.core.clock import Clock, to_beat
from agent.core.threads import run_in_thread
from agent.telemetry.logging import get_logger

#: Seconds between looks; a look is some microseconds a file.
EVERY = 2.0
#: The same while something changes.
CLOSER = 0.5
#: Files that were left alone for this long are complete, seconds.
SETTLED = 1.0

#: Of the thread that looks at the disk.
THREAD = "watch"

Marks = tuple[object, ...]

log = get_logger("config")


def verdict(read: Reads, now: Reads) -> Literal["same", "missing", "changed"]:
    """Whether reading again is worth while. Pure.

    `missing`: something is not there that was, and nothing else tells that this is meant.
    """
    if (read.yaml, read.tables, read.globs) == (now.yaml, now.tables, now.globs):
        return "same"
    main = next(iter(read.yaml))
    if read.yaml[main] and not now.yaml[main]:
        return "missing"
    if any(names and not now.globs[glob] for glob, names in read.globs.items()):
        return "missing"
    written = (read.yaml, read.globs) == (now.yaml, now.globs)
    if written and any(seen and not now.tables[table] for table, seen in read.tables.items()):
        return "missing"
    return "changed"


class _Settling:
    """Tells when marks have changed and then stayed as they are for :data:`SETTLED`."""

    def __init__(self) -> None:
        self._marks: Marks | None = None
        self._since: float | None = None

    @property
    def moving(self) -> bool:
        return self._since is not None

    def settled(self, marks: Marks, now: float) -> bool:
        """Whether contents are to be compared now: once for each change."""
        if marks != self._marks:
            self._marks, self._since = marks, now
        if self._since is None or now - self._since < SETTLED:
            return False
        self._since = None
        return True


class Watch:
    """Belongs to the event loop; the disk is looked at in a thread."""

    def __init__(
        self,
        clock: Clock,
        *,
        reload: Callable[[], Awaitable[object]],
        renewed: Callable[[frozenset[Path]], None],
        missing: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """`reload()` is awaited when the configuration is worth reading again, and calls :meth:`attempted`.

        `renewed(files)` is called when secret or certificate files have other contents than before, or are there again;
        `missing(files)` when files of the configuration are not there, and with none when they are back as they were.
        """
        self._clock = clock
        self._reload = reload
        self._renewed = renewed
        self._tell_missing = missing or (lambda _files: None)
        self._reads = Reads()
        self._files = False
        self._settling = (_Settling(), _Settling())
        self._missing = False

    def attempted(self, reads: Reads, *, applied: bool, files: bool) -> None:
        """A configuration was read, whoever asked for it: from now on changes count from there.

        `reads` as filled by `agent.config.loader.load`. Where it was not applied, the secrets of the one that runs stay
        those that count. `files`: whether the configuration's own files are watched (`reload: watch`).
        """
        secrets = reads.secrets if applied else self._reads.secrets
        self._reads = Reads(reads.yaml, reads.tables, reads.globs, dict(secrets))
        self._files = files
        self._settling = (_Settling(), _Settling())
        self._missing = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            moving = any(settling.moving for settling in self._settling)
            await self._clock.sleep(to_beat(self._clock.monotonic(), CLOSER if moving else EVERY))
            await self.look()

    async def look(self) -> None:
        """Look once, and act on what has settled."""
        reads, (files, secrets) = self._reads, self._settling
        marks = await run_in_thread(partial(_marks, reads, files=self._files), THREAD)
        now = self._clock.monotonic()
        if secrets.settled(marks[1], now):
            contents = await run_in_thread(partial(_contents, reads.secrets), THREAD)
            if self._reads is reads:
                self._compare_secrets(reads.secrets, contents)
        if files.settled(marks[0], now) and self._files:
            found = await run_in_thread(partial(_read, reads), THREAD)
            if self._reads is reads:
                await self._compare(reads, found)

    def _compare_secrets(self, known: dict[Path, str], contents: Mapping[Path, str]) -> None:
        renewed = frozenset(file for file, seen in contents.items() if seen and seen != known[file])
        known.update(contents)
        if renewed:
            log.info("config.secrets_changed", files=sorted(map(str, renewed)))
            self._renewed(renewed)

    async def _compare(self, reads: Reads, found: Reads) -> None:
        judged = verdict(reads, found)
        if judged == "missing" and not self._missing:
            gone = [str(file) for file, seen in (reads.yaml | reads.tables).items() if seen and not _seen(found, file)]
            log.warning("config.files_missing", files=gone)
            self._tell_missing(gone)
        elif judged == "same" and self._missing:
            self._tell_missing(())
        self._missing = judged == "missing"
        if judged == "changed":
            log.info("config.files_changed", files=_changed(reads, found))
            await self._reload()


def _seen(reads: Reads, file: Path) -> str:
    return reads.yaml.get(file) or reads.tables.get(file) or ""


def _changed(reads: Reads, found: Reads) -> list[str]:
    """The files that are new, gone or not as they were, for people."""
    files = [file for file in (reads.yaml | reads.tables) if _seen(reads, file) != _seen(found, file)]
    for (_, base), names in found.globs.items():
        files += [base / name for name in names if base / name not in reads.yaml]
    return sorted({str(file) for file in files})


# --- the disk: in a thread --------------------------------------------------------------------------------------------


def _marks(reads: Reads, *, files: bool) -> tuple[Marks, Marks]:
    """What would differ, were a file of the configuration, or a secret, another one."""
    own: Marks = ()
    if files:
        names = {glob: matching(*glob) or () for glob in reads.globs}
        matched = [base / name for (_, base), found in names.items() for name in found]
        own = tuple(_stat(file) for file in (*reads.yaml, *reads.tables, *matched))
        own = (*own, *(tuple(found) for found in names.values()))
    return own, tuple(_stat(file) for file in reads.secrets)


def _stat(file: Path) -> object:
    try:
        found = os.stat(file)  # noqa: PTH116 - of what a link leads to, whatever that is
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _contents(files: Iterable[Path]) -> dict[Path, str]:
    return {file: digest_of(file) for file in files}


def _read(reads: Reads) -> Reads:
    globs = {glob: tuple(matching(*glob) or ()) for glob in reads.globs}
    return Reads(_contents(reads.yaml), _contents(reads.tables), globs)
