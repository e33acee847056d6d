"""Versions of the tag catalogues, kept over restarts: a consumer that knows version 3 must be right about its meaning.

One small JSON file under `data_dir`. Types learned from a device (OPC UA) are kept with it, so that a restart does not
make two new versions of a catalogue that never changed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from agent.core.image import DeviceImage, TagInfo
from agent.core.private import create_private
from agent.telemetry.logging import get_logger

log = get_logger("catalogue")

#: Numbers of one device that may be published before the disk has them. A device tells its types in a few answers.
RESERVED = 10

#: A version and its catalogue.
Version = tuple[int, tuple[TagInfo, ...]]


class _Kept(Struct):
    cat: int
    tags: tuple[TagInfo, ...]


class _Filed(_Kept):
    """As it stands in the file."""

    up_to: int = 0  #: numbers that may have been published before their catalogue was written


class Catalogues:
    """The catalogue of each device as last published. A damaged file only costs numbers: they go on higher up.

    Any thread may ask: the disk may be slow, so a reload does. What devices tell of themselves is written beside the
    loop, and published meanwhile: the file reserves numbers for it. A process that finds numbers reserved does not know
    what they meant, and goes on above them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = 1
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._later: dict[str, _Kept] = {}  #: with reserved numbers, about to be written
        self._unwritten: dict[str, _Kept] = {}  #: the disk refused them: with numbers taken from the time
        self._reserved: dict[str, int] = {}  #: up to here, by this process
        self._used: dict[str, int] = {}  #: up to here, perhaps, by those before it
        self._writer: threading.Thread | None = None
        try:
            filed = msgspec.json.decode(path.read_bytes(), type=dict[str, _Filed])
        except FileNotFoundError:
            pass
        except (OSError, ValueError):  # msgspec's errors, and half characters
            # A version must never come back with another meaning: start above anything plausible.
            self._first = max(1, int(path.stat().st_mtime)) if path.exists() else 1
        else:
            self._kept = {device: _Kept(one.cat, one.tags) for device, one in filed.items()}
            self._used = {device: one.up_to for device, one in filed.items()}

    def versions(self, configured: Mapping[str, Sequence[TagInfo]], now_ms: int) -> dict[str, Version]:
        """Version and catalogue (with types learned earlier) of each device as it is configured now; remembered."""
        with self._lock:
            wanted = {device: _Kept(*self._version(device, tags)) for device, tags in configured.items()}
            self._keep(wanted, now_ms)
            return {device: (kept.cat, kept.tags) for device, kept in wanted.items()}

    def keep(self, device: DeviceImage, now_ms: int) -> None:
        """Remember what is published from now on, where it is new; `device.cat` is another one afterwards where this
        number is used up, or the disk refuses.
        """
        name, kept = device.name, _Kept(device.cat, device.tags)
        if self._known(name) == kept:
            return
        if name not in self._unwritten and kept.cat <= self._reserved.get(name, 0):
            self._later[name] = kept
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_later, name="catalogues", daemon=True)
                self._writer.start()
            return
        with self._lock:
            kept.cat = max(kept.cat, self._used.get(name, 0) + 1)
            self._keep({name: kept}, now_ms)
            device.cat = kept.cat

    def flush(self) -> None:
        """Return when nothing waits to be written. Takes its time."""
        if self._writer is not None or self._later:
            self._write_later()

    def _known(self, device: str) -> _Kept | None:
        return self._unwritten.get(device) or self._later.get(device) or self._kept.get(device)

    def _version(self, device: str, configured: Sequence[TagInfo]) -> Version:
        kept = self._known(device)
        if kept is None:
            return self._first, tuple(configured)
        known = {info.tag: info for info in kept.tags}
        tags = tuple(learned(known.get(info.tag), info) for info in configured)
        return (kept.cat if tags == kept.tags else max(kept.cat, self._used.get(device, 0)) + 1), tags

    def _keep(self, wanted: dict[str, _Kept], now_ms: int) -> None:
        """Write what is new, at once.

        Where the disk refuses, the next start would not know of these versions and give them another meaning: then
        they are taken from the time, far above those that are counted.
        """
        news = {device: kept for device, kept in wanted.items() if self._kept.get(device) != kept}
        self._kept.update((device, kept) for device, kept in wanted.items() if device not in news)  # equal: one of two
        if not news:
            return
        reason = self._write(news)
        if reason is None:
            for device in news:
                self._unwritten.pop(device, None)
            return
        for device, kept in news.items():
            if self._unwritten.get(device) == kept:
                continue
            kept.cat = max(kept.cat, now_ms // 1000)
            self._unwritten[device] = _Kept(kept.cat, kept.tags)
            log.warning("catalogue.not_kept", device=device, version=kept.cat, reason=reason)

    def _write_later(self) -> None:
        """In a thread: all that waits at once. What the disk refuses is learned anew after a restart, above these."""
        with self._lock:
            self._writer = None  # what comes from now on is another one's
            self._write({})

    def _write(self, news: Mapping[str, _Kept]) -> str | None:
        """These, and what waits. Why they could not be written; None where they were."""
        later = dict(self._later)
        catalogues = {**self._kept, **later, **news}
        fresh = self._path.with_suffix(".new")
        try:
            data = msgspec.json.encode({name: self._filed(name, one) for name, one in catalogues.items()})
            with create_private(fresh) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except (OSError, ValueError, TypeError) as error:  # the disk, or something in a catalogue that is no text
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return str(error)
        self._kept = catalogues
        for device, one in later.items():
            if self._later.get(device) is one:  # no newer one may come before more numbers are reserved, below
                del self._later[device]
        self._reserved = {name: one.cat + RESERVED for name, one in catalogues.items() if self._counts(name, one)}
        return None

    def _counts(self, device: str, one: _Kept) -> bool:
        """Whether this process knows what the numbers above this one mean: nothing yet."""
        return one.cat > self._used.get(device, 0)

    def _filed(self, device: str, one: _Kept) -> _Filed:
        up_to = one.cat + RESERVED if self._counts(device, one) else self._used[device]
        return _Filed(one.cat, one.tags, up_to)


def learned(kept: TagInfo | None, configured: TagInfo) -> TagInfo:
    """What is configured, with the type learned earlier where nothing else has changed."""
    if kept is not None and configured.type is None and structs.replace(kept, type=None) == configured:
        return kept
    return configured
