"""Versions of the tag catalogues, kept over restarts: a consumer that knows version 3 must be right about its meaning.

One small JSON file under `data_dir`. Types learned from a device (OPC UA) are kept with it, so that a restart does not
make two new versions of a catalogue that never changed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from agent.core.image import DeviceImage, TagInfo
from agent.telemetry.logging import get_logger

log = get_logger("catalogue")


class _Kept(Struct):
    cat: int
    tags: tuple[TagInfo, ...]


class Catalogues:
    """The catalogue of each device as last said. A damaged file only costs version numbers: they go on higher up."""

    def __init__(self, path: Path, *, first: int = 1) -> None:
        self._path = path
        self._first = first
        self._kept: dict[str, _Kept] = {}
        self._unwritten: dict[str, _Kept] = {}
        try:
            self._kept = msgspec.json.decode(path.read_bytes(), type=dict[str, _Kept])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError):
            # A version must never come back with another meaning: start above anything plausible.
            self._first = max(first, int(path.stat().st_mtime)) if path.exists() else first

    def version(self, device: str, configured: Sequence[TagInfo]) -> tuple[int, tuple[TagInfo, ...]]:
        """The version and the catalogue (with types learned earlier) for what is configured now."""
        kept = self._kept.get(device)
        if kept is None:
            return self._first, tuple(configured)
        if len(kept.tags) == len(configured) and all(map(_same, kept.tags, configured)):
            return kept.cat, kept.tags
        return kept.cat + 1, tuple(configured)

    def keep(self, device: DeviceImage, now_ms: int) -> None:
        """Remember what is said from now on; written at once where it is new.

        Where the disk refuses, the next start would not know of this version and give it another meaning: then it is
        taken from the time, far above those that are counted.
        """
        kept = _Kept(device.cat, device.tags)
        if self._kept.get(device.name) == kept:
            return
        reason = self._write({**self._kept, device.name: kept})
        if reason is None:
            self._kept[device.name] = kept
            self._unwritten.pop(device.name, None)
        elif self._unwritten.get(device.name) != kept:
            device.cat = max(device.cat, now_ms // 1000)
            self._unwritten[device.name] = _Kept(device.cat, device.tags)
            log.warning("catalogue.not_kept", device=device.name, version=device.cat, reason=reason)

    def _write(self, catalogues: dict[str, _Kept]) -> str | None:
        """Why it could not be written; None where it was."""
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(catalogues))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return str(error)
        return None


def _same(kept: TagInfo, configured: TagInfo) -> bool:
    return kept == configured or (configured.type is None and structs.replace(kept, type=None) == configured)
