"""The agent's socket, `data_dir/agent.sock`: how commands reach the agent while it runs.

Who may use the agent's files as its user may ask; nobody else reaches the socket (mode 0600). What crosses it is in
asking.py, the command's side. Whoever has something to answer registers a verb (:meth:`Control.serve`), and gets the
undo for it. A disk on which no socket can be made costs the commands, nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from asyncio import StreamReader, StreamWriter, TaskGroup
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import msgspec
from msgspec import Raw, Struct

from agent.core.clock import Clock
from agent.core.errors import AgentError
from agent.runtime.asking import ANSWER_BYTES, QUESTION_BYTES, Question, Reply, socket_path
from agent.telemetry.bugs import Bugs
from agent.telemetry.logging import get_logger

#: A client that does not finish its question within this, or take its answer, is disconnected, seconds.
PATIENCE = 5.0
#: So many questions are answered at a time; further ones are refused at once.
MOST_AT_ONCE = 16
#: Where no socket can be made, it is tried again this often, seconds.
RETRY = 60.0
#: What the name of a socket may take (unix(7)), less the zero behind it.
_NAME_BYTES = 107

T = TypeVar("T")

log = get_logger("control")


class Nothing(Struct):
    """The question of a verb that needs none."""


class _Served(Struct, Generic[T]):
    handler: Callable[[T], Awaitable[object]]
    question: type[T]


@contextmanager
def _reachable(folder: Path, name: str) -> Iterator[str]:
    """A name of the file in `folder` that fits a socket's, however deep the folder lies."""
    if len(os.fsencode(folder / name)) <= _NAME_BYTES:
        yield str(folder / name)
        return
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{name}"
    finally:
        os.close(handle)


class Control:
    """Answers questions on one socket. Belongs to the event loop."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._path = socket_path(data_dir)
        self._clock = clock
        self._served: dict[str, _Served[Any]] = {}
        self._bugs = Bugs("control")
        self._busy = 0
        self._open = False

    @overload
    def serve(self, verb: str, handler: Callable[[Nothing], Awaitable[object]]) -> Callable[[], None]: ...
    @overload
    def serve(self, verb: str, handler: Callable[[T], Awaitable[object]], question: type[T]) -> Callable[[], None]: ...
    def serve(
        self, verb: str, handler: Callable[[Any], Awaitable[object]], question: type[Any] = Nothing
    ) -> Callable[[], None]:
        """Let `handler` answer `verb` until the undo that is returned is called.

        What arrives is decoded as a `question`; what the handler returns must be something msgspec encodes. An
        AgentError it raises is the answer; anything else is a bug, logged, and the answer says so. A handler runs to
        its end although the one who asked may have gone.
        """
        served = self._served[verb] = _Served(handler, question)

        def undo() -> None:
            if self._served.get(verb) is served:
                del self._served[verb]

        return undo

    async def run(self) -> None:
        """Answer until cancelled. Where no socket can be made that is logged once, and tried again."""
        told = False
        while True:
            try:
                listening = _listen(self._path)
            except OSError as error:
                if not told:
                    log.warning("agent.no_socket", file=str(self._path), reason=error.strerror or str(error))
                told = True
                await self._clock.sleep(RETRY)
                continue
            mine = _identity(self._path)
            self._open = True
            try:
                async with TaskGroup() as group:
                    server = await asyncio.start_unix_server(
                        partial(self._accepted, group), sock=listening, limit=QUESTION_BYTES
                    )
                    try:
                        await asyncio.Event().wait()
                    finally:
                        self._open = False
                        server.close()
            finally:
                with suppress(OSError):
                    if _identity(self._path) == mine:
                        self._path.unlink()

    def _accepted(self, group: TaskGroup, reader: StreamReader, writer: StreamWriter) -> None:
        if self._busy >= MOST_AT_ONCE or not self._open:
            writer.transport.abort()
            return
        self._busy += 1
        task = group.create_task(self._talk(reader, writer), name="control")
        task.add_done_callback(self._done)

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._busy -= 1

    async def _talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            line = await _question(reader)
            if line:
                writer.transport.set_write_buffer_limits(0)
                writer.write(_encoded(await self._answer(line)))
                async with asyncio.timeout(PATIENCE):
                    await writer.drain()
            writer.close()
        except (OSError, TimeoutError):
            pass  # whoever asked is gone, or asks nothing
        finally:
            if not writer.is_closing():
                writer.transport.abort()

    async def _answer(self, line: bytes) -> Reply:
        try:
            asked = msgspec.json.decode(line, type=Question)
            served = self._served.get(asked.verb)
            if served is None:
                known = ", ".join(sorted(self._served))
                return Reply(error=f"unknown verb {asked.verb!r}, known are: {known}", unknown=True)
            question = msgspec.json.decode(asked.question, type=served.question)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return Reply(error=f"not understood: {error}")
        try:
            return Reply(answer=Raw(msgspec.json.encode(await served.handler(question))))
        except AgentError as error:
            return Reply(error=str(error))
        except Exception as bug:  # noqa: BLE001 - whoever answers must not end the socket for the others
            self._bugs.met(bug)
            return Reply(error=f"a bug in the agent, see its log: {type(bug).__name__}: {bug}")


async def _question(reader: StreamReader) -> bytes:
    """One line; empty where it does not come whole. Raises TimeoutError or OSError."""
    async with asyncio.timeout(PATIENCE):
        try:
            line = await reader.readline()
        except ValueError:  # longer than the limit
            return b""
    return line if line.endswith(b"\n") else b""


def _encoded(answer: Reply) -> bytes:
    line = msgspec.json.encode(answer) + b"\n"
    if len(line) > ANSWER_BYTES:
        mib = ANSWER_BYTES >> 20
        return msgspec.json.encode(Reply(error=f"the answer is larger than {mib} MiB: ask for less")) + b"\n"
    return line


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _listen(path: Path) -> socket.socket:
    """A socket under `path` that only the agent's user reaches. Raises OSError."""
    with suppress(FileNotFoundError):
        standing = path.lstat().st_mode
        if not (stat.S_ISSOCK(standing) or stat.S_ISLNK(standing)):
            raise FileExistsError(0, "something else stands there: move it away")
        path.unlink()  # of a run that was killed: whoever holds the data directory is the only one
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(listening.fileno(), 0o600)  # before it has a name: there is no moment in which others reach it
        with _reachable(path.parent, path.name) as name:
            listening.bind(name)  # never through a link: what stands there is an error
        listening.listen(MOST_AT_ONCE)
    except BaseException:
        listening.close()
        raise
    return listening
