"""The door of an outbox: a Unix socket beside its file, for `edge-agent outbox` while the agent runs.

Who may read the data directory's files as the agent's user may ask; nobody else reaches the socket (mode 0600). One
line of JSON each way, then it is closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec

from agent.outbox.operator.protocol import Answer, Ask
from agent.telemetry.logging import get_logger

#: A question is short; an answer may name a thousand records.
QUESTION_BYTES = 1 << 20
#: Whoever does not finish its question within this is hung up on, seconds.
PATIENCE = 5.0

log = get_logger("outbox")


def socket_path(file: Path) -> Path:
    """Where the door of an outbox file is."""
    return file.with_suffix(".sock")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of `path` that fits the 108 bytes a socket's name may have, however deep the data directory lies."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        path.unlink(missing_ok=True)  # of a run that was killed: the file's lock says that there is no other
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                listening.bind(name)
        finally:
            os.umask(before)
        listening.listen(4)
    except BaseException:
        listening.close()
        raise
    return listening


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


@asynccontextmanager
async def door(
    path: Path, answer: Callable[[Ask], Awaitable[Answer]], group: asyncio.TaskGroup, *, publisher: str
) -> AsyncIterator[None]:
    """Answer questions while the body runs. A disk on which no socket can be made costs the door, nothing else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(PATIENCE):
                line = await reader.readline()
            try:
                reply = await answer(msgspec.json.decode(line, type=Ask))
            except msgspec.MsgspecError as error:
                reply = Answer(error=f"not understood: {error}")
            writer.write(msgspec.json.encode(reply) + b"\n")
            await writer.drain()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def talk() -> None:
            try:
                await serve(reader, writer)
            finally:
                writer.close()

        talks.add(task := group.create_task(talk(), name=f"outbox door {publisher}"))
        task.add_done_callback(talks.discard)

    talks: set[asyncio.Task[None]] = set()
    try:
        listening = _listen(path)
    except OSError as error:
        log.warning("outbox.no_door", publisher=publisher, reason=str(error))
        yield
        return
    server = await asyncio.start_unix_server(accepted, sock=listening, limit=QUESTION_BYTES)
    try:
        yield
    finally:
        server.close()
        for task in talks:
            task.cancel()
        _remove(path)


def ask(path: Path, question: Ask, timeout: float = 60.0) -> Answer | None:
    """Knock; None where nobody is in. Blocks. Raises OSError where the answer breaks off."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout)
        try:
            with _short(path) as name:
                line.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        line.sendall(msgspec.json.encode(question) + b"\n")
        with line.makefile("rb") as answers:
            text = answers.readline()
    if not text.endswith(b"\n"):
        raise OSError("the agent broke off")
    return msgspec.json.decode(text, type=Answer)
