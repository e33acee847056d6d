"""The agent's socket: real connections, from a thread as a command's process would make them."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from agent.core.errors import TransientError
from agent.runtime import control as controls
from agent.runtime.asking import ControlError, NoAgent, UnknownVerb, call, data_dirs, socket_path
from agent.runtime.control import MOST_AT_ONCE, RETRY, Control, Nothing
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually


class Sum(Struct):
    numbers: list[int]


async def add(question: Sum) -> dict[str, int]:
    return {"sum": sum(question.numbers)}


@asynccontextmanager
async def running(data_dir, clock=None):
    """A control that answers `add`."""
    control = Control(data_dir, clock or ManualClock())
    control.serve("add", add, Sum)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(control.run())
        await eventually(lambda: task.done() or os.path.lexists(socket_path(data_dir)))
        try:
            yield control
        finally:
            task.cancel()


async def asked(data_dir, verb="add", question: object = None, **timeout) -> Any:
    """As a command asks."""
    question = Sum([1, 2]) if question is None else question
    return await asyncio.to_thread(partial(call, data_dir, verb, question, dict[str, Any], **timeout))


async def raw(data_dir, data):
    """What comes back for some bytes."""
    folder = os.open(data_dir, os.O_PATH)
    reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/agent.sock")
    os.close(folder)
    writer.write(data)
    try:
        return await reader.readline()
    finally:
        writer.close()


@pytest.fixture(params=["short", "deep"])
def data_dir(request, tmp_path):
    # deeper than a socket's name may be long
    folder = tmp_path / ("deep-" * 20 if request.param == "deep" else "data")
    folder.mkdir()
    return folder


async def test_sockets_tell_where_agents_run():
    """By their names, while they run."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # fits the name of a socket on any machine
        async with running(Path(name)):
            assert Path(name) in data_dirs()
        assert Path(name) not in data_dirs()


async def test_a_verb_is_answered_until_it_is_undone(data_dir):
    """Only for the agent's user; afterwards nothing is left of the socket."""
    async with running(data_dir) as control:
        assert await asked(data_dir) == {"sum": 3}
        assert stat.filemode(socket_path(data_dir).lstat().st_mode) == "srw-------"
        undo = control.serve("add", add, Sum)
        undo()
        undo()
        with pytest.raises(UnknownVerb, match="unknown verb 'add'"):
            await asked(data_dir)
    assert not os.path.lexists(socket_path(data_dir))
    with pytest.raises(NoAgent, match="no agent runs on"):
        await asked(data_dir)


async def test_the_undo_of_one_who_was_replaced_leaves_the_successor(data_dir):
    """A publisher that is built anew registers before its predecessor is gone."""

    async def later(_: Nothing) -> dict[str, str]:
        return {"who": "the other"}

    async with running(data_dir) as control:
        undo = control.serve("who", add, Sum)
        control.serve("who", later)
        undo()
        assert await asked(data_dir, "who", {}) == {"who": "the other"}


async def test_refusals_bugs_and_nonsense_are_answers(data_dir, caplog):
    """Each in words; the next question is answered as if nothing had been."""

    async def refuse(_: Nothing) -> None:
        raise TransientError("not while it starts")

    async def bug(_: Nothing) -> None:
        raise KeyError("oops")

    async with running(data_dir) as control:
        control.serve("refuse", refuse)
        control.serve("bug", bug)
        with pytest.raises(ControlError, match=r"^not while it starts$"):
            await asked(data_dir, "refuse", {})
        with pytest.raises(ControlError, match="a bug in the agent, see its log: KeyError"):
            await asked(data_dir, "bug", {})
        with pytest.raises(ControlError, match="not understood"):
            await asked(data_dir, "add", {"numbers": "many"})
        for nonsense in (b"{}\n", b"\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n"):
            assert b"not understood" in await raw(data_dir, nonsense)
        assert await asked(data_dir) == {"sum": 3}


async def test_an_answer_that_is_too_large_is_refused_and_a_question_too(data_dir, monkeypatch):
    """Neither side takes what is beyond its bound."""
    monkeypatch.setattr(controls, "ANSWER_BYTES", 64)

    async def much(_: Nothing) -> dict[str, str]:
        return {"text": "x" * 100}

    async with running(data_dir) as control:
        control.serve("much", much)
        with pytest.raises(ControlError, match="the answer is larger than"):
            await asked(data_dir, "much", {})
        with pytest.raises(ControlError, match="broke off"):
            await asked(data_dir, "add", Sum([1] * (1 << 20)))
        assert await asked(data_dir) == {"sum": 3}


async def test_silent_and_slow_peers_cost_nothing(data_dir, monkeypatch):
    """So many at a time are waited for, and each not for long; then there is room again."""
    monkeypatch.setattr(controls, "PATIENCE", 0.3)
    async with running(data_dir) as control:

        async def much(_: Nothing) -> dict[str, str]:
            return {"text": "x" * (4 << 20)}

        control.serve("much", much)
        silent = [await asyncio.open_unix_connection(f"/proc/self/fd/{_folder(data_dir)}/agent.sock") for _ in range(8)]
        slow = []
        for _ in range(MOST_AT_ONCE - 8):
            line = socket.socket(socket.AF_UNIX)
            line.connect(f"/proc/self/fd/{_folder(data_dir)}/agent.sock")
            line.sendall(b'{"verb": "much"}\n')  # and never reads
            slow.append(line)

        async def room() -> bool:
            try:
                return bool(await asked(data_dir) == {"sum": 3})
            except ControlError:
                return False

        await eventually(room)
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()
        for line in slow:
            line.close()
        assert await asked(data_dir) == {"sum": 3}


_folders: list[int] = []


def _folder(path) -> int:
    _folders.append(os.open(path, os.O_PATH))
    return _folders[-1]


@pytest.fixture(autouse=True)
def _close_folders():
    yield
    while _folders:
        os.close(_folders.pop())


async def test_who_goes_before_the_answer_stops_nothing(data_dir):
    """The handler runs to its end: what was ordered is not half done."""
    done = asyncio.Event()
    begin = asyncio.Event()

    async def order(_: Nothing) -> dict[str, str]:
        begin.set()
        await asyncio.sleep(0)
        done.set()
        return {"text": "x" * (1 << 20)}

    async with running(data_dir) as control:
        control.serve("order", order)
        line = socket.socket(socket.AF_UNIX)
        line.connect(f"/proc/self/fd/{_folder(data_dir)}/agent.sock")
        line.sendall(b'{"verb": "order"}\n')
        line.close()
        await begin.wait()
        await done.wait()
        assert await asked(data_dir) == {"sum": 3}


async def test_the_socket_of_a_killed_agent_is_replaced(data_dir):
    """Before that nobody is there."""
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"/proc/self/fd/{_folder(data_dir)}/agent.sock")
    left.close()
    with pytest.raises(NoAgent):
        await asked(data_dir)

    async def answered() -> bool:
        try:
            return bool(await asked(data_dir) == {"sum": 3})
        except NoAgent:
            return False

    async with running(data_dir):
        await eventually(answered)


async def test_a_planted_link_is_followed_by_nobody(tmp_path):
    """The agent replaces it and leaves what it points to; a command does not talk to the socket behind it."""
    data_dir, other = tmp_path / "data", tmp_path / "other"
    data_dir.mkdir()
    other.mkdir()
    async with running(other):
        socket_path(data_dir).symlink_to(socket_path(other))
        with pytest.raises(NoAgent):
            await asked(data_dir)
        socket_path(data_dir).unlink()
        victim = tmp_path / "victim"
        victim.write_text("mine")
        socket_path(data_dir).symlink_to(victim)
        async with running(data_dir):
            await eventually(lambda: not socket_path(data_dir).is_symlink())
            assert await asked(data_dir) == {"sum": 3}
        assert victim.read_text() == "mine"
        assert await asked(other) == {"sum": 3}


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_what_is_no_socket_is_left_alone_and_tried_again(tmp_path, kind):
    """Somebody's file is not deleted; the commands do without, until it is moved away."""
    standing, clock = socket_path(tmp_path), ManualClock()
    if kind == "file":
        standing.write_text("mine")
    else:
        standing.mkdir()
    async with running(tmp_path, clock):
        with pytest.raises(NoAgent):
            await asked(tmp_path)
        await eventually(lambda: clock.sleepers)
        assert kind == "folder" or standing.read_text() == "mine"
        standing.rename(tmp_path / "aside")
        await clock.advance(RETRY)
        await eventually(standing.is_socket)
        assert await asked(tmp_path) == {"sum": 3}


async def test_an_agent_that_does_not_answer_in_time_is_told_apart_from_none(data_dir):
    """The command ends."""

    async def never_answers(_: Nothing) -> None:
        await asyncio.Event().wait()

    async with running(data_dir) as control:
        control.serve("hang", never_answers)
        with pytest.raises(ControlError, match="does not answer"):
            await asked(data_dir, "hang", {}, timeout=0.05)
