"""How a command asks the agent that runs: one line of JSON each way over its socket, `data_dir/agent.sock`.

    {"verb": "outbox plant", "question": {"verb": "list"}}  ─▶  {"answer": …}  or  {"error": "why not"}

The agent's side is control.py.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from agent.core.errors import AgentError

#: A question is short (a thousand ids at most); an answer may list every device, or every record in quarantine.
QUESTION_BYTES = 1 << 20
ANSWER_BYTES = 16 << 20

T = TypeVar("T")


class ControlError(AgentError):
    """The agent could not be asked, or has answered with a reason why not."""


class NoAgent(ControlError):
    """No agent runs on this data directory."""


class UnknownVerb(ControlError):
    """An agent runs, but nobody in it answers this verb."""


class Question(Struct):
    """A question: which verb, and what of it."""

    verb: str
    question: Raw = Raw(b"{}")


class Reply(Struct, omit_defaults=True):
    """An answer, or an `error` and none."""

    answer: Raw = Raw(b"null")
    error: str | None = None
    unknown: bool = False  #: the verb is


def socket_path(data_dir: Path) -> Path:
    """Where the agent's socket is."""
    return data_dir / "agent.sock"


def data_dirs() -> list[Path]:
    """Those of all agents that run on this machine, as far as the names of their sockets tell."""
    try:
        lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    named = {Path(fields[7]) for line in lines if len(fields := line.split(maxsplit=7)) > 7}
    return sorted(path.parent for path in named if path == socket_path(path.parent) and path.is_socket())


def call(data_dir: Path, verb: str, question: object, answer: type[T], *, timeout: float = 60.0) -> T:
    """Ask the agent that runs on `data_dir`, and wait `timeout` seconds at most. Blocks.

    `question` is what the verb is registered with, None where it needs nothing; the answer is decoded as `answer`.

    Raises NoAgent where none runs, UnknownVerb, or ControlError: it refuses, breaks off, or does not answer in time.
    """
    deadline = time.monotonic() + timeout
    asked = Question(verb) if question is None else Question(verb, Raw(msgspec.json.encode(question)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, _foreign(data_dir, timeout):
        line.settimeout(timeout)
        _connect(line, data_dir)
        line.settimeout(max(deadline - time.monotonic(), 0.001))
        line.sendall(msgspec.json.encode(asked) + b"\n")
        received = bytearray()
        while not received.endswith(b"\n"):
            line.settimeout(max(deadline - time.monotonic(), 0.001))
            portion = line.recv(1 << 16)
            received += portion
            if not portion or len(received) > ANSWER_BYTES:
                raise ControlError("the agent broke off: it may be stopping, or too many ask it at once")
    try:
        reply = msgspec.json.decode(bytes(received), type=Reply)
        if reply.error is not None:
            raise (UnknownVerb if reply.unknown else ControlError)(reply.error)
        return msgspec.json.decode(reply.answer, type=answer)
    except msgspec.MsgspecError as error:
        raise ControlError(f"the agent's answer is not understood, it may be another version: {error}") from error


def _connect(line: socket.socket, data_dir: Path) -> None:
    """Connect to the socket itself: a link that stands in its place is not followed. Raises OSError."""
    handle = os.open(socket_path(data_dir), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(handle).st_mode):
            raise FileNotFoundError
        line.connect(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


@contextmanager
def _foreign(data_dir: Path, timeout: float) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise NoAgent(f"no agent runs on {data_dir}") from error
    except TimeoutError as error:
        raise ControlError(
            f"the agent does not answer (waited {timeout:g} s); is it stopped, or overloaded? -> look at its process "
            "and its log; once it goes on it may still do what was asked"
        ) from error
    except PermissionError as error:
        where = socket_path(data_dir)
        raise ControlError(f"{where}: {error.strerror} -> run this command as root or as the agent's user") from error
    except OSError as error:
        raise ControlError(f"the agent broke off: {error.strerror or error}") from error
