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

#: A version and its catalogue.
Version = tuple[int, tuple[TagInfo, ...]]


class _Kept(Struct):
    cat: int
    tags: tuple[TagInfo, ...]


class Catalogues:
    """The catalogue of each device as last published. A damaged file only costs numbers: they go on higher up.

    Any thread may ask: the disk may be slow, so a reload does.
    """

    def __init__(self, path: Path, *, first: int = 1) -> None:
        self._path = path
        self._first = first
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._unwritten: dict[str, _Kept] = {}
        try:
            self._kept = msgspec.json.decode(path.read_bytes(), type=dict[str, _Kept])
        except FileNotFoundError:
            pass
        except (OSError, ValueError):  # msgspec's errors, and half characters
            # A version must never come back with another meaning: start above anything plausible.
            self._first = max(first, int(path.stat().st_mtime)) if path.exists() else first

    def versions(self, configured: Mapping[str, Sequence[TagInfo]], now_ms: int) -> dict[str, Version]:
        """Version and catalogue (with types learned earlier) of each device as it is configured now; remembered."""
        with self._lock:
            wanted = {device: _Kept(*self._version(device, tags)) for device, tags in configured.items()}
            self._keep(wanted, now_ms)
            return {device: (kept.cat, kept.tags) for device, kept in wanted.items()}

    def keep(self, device: DeviceImage, now_ms: int) -> None:
        """Remember what is published from now on, where it is new; `device.cat` is another one afterwards where the
        disk refuses.
        """
        kept = _Kept(device.cat, device.tags)
        if (self._unwritten.get(device.name) or self._kept.get(device.name)) == kept:
            return
        with self._lock:
            self._keep({device.name: kept}, now_ms)
            device.cat = kept.cat

    def _version(self, device: str, configured: Sequence[TagInfo]) -> Version:
        kept = self._unwritten.get(device) or self._kept.get(device)
        if kept is None:
            return self._first, tuple(configured)
        known = {info.tag: info for info in kept.tags}
        tags = tuple(learned(known.get(info.tag), info) for info in configured)
        return (kept.cat if tags == kept.tags else kept.cat + 1), tags

    def _keep(self, wanted: dict[str, _Kept], now_ms: int) -> None:
        """Write what is new, at once.

        Where the disk refuses, the next start would not know of these versions and give them another meaning: then
        they are taken from the time, far above those that are counted.
        """
        news = {device: kept for device, kept in wanted.items() if self._kept.get(device) != kept}
        self._kept.update((device, kept) for device, kept in wanted.items() if device not in news)  # equal: one of two
        if not news:
            return
        reason = self._write({**self._kept, **news})
        if reason is None:
            self._kept.update(news)
            for device in news:
                self._unwritten.pop(device, None)
            return
        for device, kept in news.items():
            if self._unwritten.get(device) == kept:
                continue
            kept.cat = max(kept.cat, now_ms // 1000)
            self._unwritten[device] = _Kept(kept.cat, kept.tags)
            log.warning("catalogue.not_kept", device=device, version=kept.cat, reason=reason)

    def _write(self, catalogues: Mapping[str, _Kept]) -> str | None:
        """Why it could not be written; None where it was."""
        fresh = self._path.with_suffix(".new")
        try:
            data = msgspec.json.encode(catalogues)
            with create_private(fresh) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except (OSError, ValueError, TypeError) as error:  # the disk, or something in a catalogue that is no text
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return str(error)
        return None


def learned(kept: TagInfo | None, configured: TagInfo) -> TagInfo:
    """What is configured, with the type learned earlier where nothing else has changed."""
    if kept is not None and configured.type is None and structs.replace(kept, type=None) == configured:
        return kept
    return configured
