"""What the indexes of a configuration (`ns=2`) mean, kept on disk: a restart of the agent must not change it.

One small file a device, `data_dir/opcua/<device>.namespaces.json`, read before the first connection and written when a
connection has learned something. Without it an index means what the server has today, as at the very first connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from pathlib import Path
from typing import TypeVar
from zlib import crc32

import msgspec

from agent.collectors.opcua.address.meanings import IndexMeanings, KeptMeanings
from agent.collectors.opcua.plan import ConnectionPlan, indexed, written_anew
from agent.core.ports import BuildContext
from agent.core.private import write_private
from agent.core.threads import run_in_thread
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

T = TypeVar("T")

_PATIENCE = 5.0  #: seconds the disk may take


class _File(msgspec.Struct, frozen=True):
    servers: tuple[str, ...]  #: with others all in it is void
    meanings: KeptMeanings
    written: frozenset[int]  #: a number for each tag with its address, see `written_anew`


class NamespaceMemory:
    """Of one device, over connections, reloads and restarts."""

    def __init__(self, meanings: IndexMeanings | None = None) -> None:
        self.meanings = meanings or IndexMeanings()
        self.recalled = meanings is not None  #: what the runs before knew is in here
        self._kept: tuple[ConnectionPlan, KeptMeanings] | None = None

    def inherited(self, before: ConnectionPlan, now: ConnectionPlan) -> NamespaceMemory:
        """For a configuration in the place of another. What was not read from disk yet is read by the new one's."""
        if not self.recalled:
            return NamespaceMemory()
        return NamespaceMemory(self.meanings.without(written_anew({use for _, use in indexed(before)}, indexed(now))))

    async def recall(self, plan: ConnectionPlan, context: BuildContext) -> None:
        """Take over what the runs before left."""
        if self.recalled:
            return
        self.recalled = True
        try:
            async with asyncio.timeout(_PATIENCE):
                meanings = await run_in_thread(lambda: _read(_path(plan, context), plan), "namespaces")
        except FileNotFoundError:
            return
        except (OSError, TimeoutError, msgspec.MsgspecError) as error:
            _say(plan, context, error)
        else:
            self.meanings = meanings

    async def keep(self, plan: ConnectionPlan, context: BuildContext) -> None:
        """Write down what is known, where that is news."""
        kept = self.meanings.kept
        if not context.recording or (self._kept is not None and self._kept[0] is plan and self._kept[1] == kept):
            return
        self._kept = plan, kept
        try:
            async with asyncio.timeout(_PATIENCE):
                await run_in_thread(lambda: _write(_path(plan, context), plan, kept), "namespaces")
        except (OSError, TimeoutError) as error:
            _say(plan, context, error)


def _path(plan: ConnectionPlan, context: BuildContext) -> Path:
    return context.data_dir / "opcua" / f"{plan.device}.namespaces.json"


def _say(plan: ConnectionPlan, context: BuildContext, error: Exception) -> None:
    reason = str(error) or f"no answer from the disk in {_PATIENCE:g} s"
    log.warning("opcua.namespaces_not_kept", device=plan.device, path=str(_path(plan, context)), reason=reason)


def _mark(use: Hashable) -> int:
    return crc32(repr(use).encode("utf-8", "backslashreplace"))


def _read(path: Path, plan: ConnectionPlan) -> IndexMeanings:
    file = msgspec.json.decode(path.read_bytes(), type=_File)
    if file.servers != plan.servers:
        return IndexMeanings()
    uses = ((index, _mark(use)) for index, use in indexed(plan))
    return IndexMeanings(file.meanings).without(written_anew(file.written, uses))


def _write(path: Path, plan: ConnectionPlan, kept: KeptMeanings) -> None:
    written = frozenset(_mark(use) for _, use in indexed(plan))
    if not written:  # nothing of this configuration rests on an index
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, msgspec.json.encode(_File(plan.servers, kept, written)))
