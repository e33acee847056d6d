"""Standard output: names of every language on a terminal, in a file and in a pipe, and one that takes no more."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agent.cli import unicode_safe, unwritten
from agent.cli.mistakes import show
from agent.core.errors import Mistake
from tests.support.processes import agent_command

ROOT = Path(__file__).parents[3]


class _Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_a_locale_that_has_no_such_letters_ends_no_command() -> None:
    """A file is UTF-8, as the commands read it; a terminal keeps its own encoding."""
    for raw, said in ((io.BytesIO(), "Öl 温度".encode()), (_Terminal(), b"\\xd6l " + "温度".encode("gbk"))):
        stream = io.TextIOWrapper(raw, encoding="gbk")
        unicode_safe(stream)
        stream.write("Öl 温度")
        stream.flush()
        assert raw.getvalue() == said


@pytest.mark.parametrize(("term", "coloured"), [("linux", True), ("dumb", False)])
def test_a_terminal_without_colours_gets_none(term: str, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor's console or a log of a build calls itself dumb."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("NO_COLOR", raising=False)
    raw = _Terminal()
    stream = io.TextIOWrapper(raw)
    show([Mistake("a.yaml", 1, "this", "that")], stream)
    stream.flush()
    assert (b"\x1b" in raw.getvalue()) is coloured


@pytest.mark.parametrize("arguments", [("schema", "config"), ("check", "-c", str(ROOT / "configs" / "demo.yaml"))])
def test_an_output_that_takes_no_more(arguments: tuple[str, ...]):
    """A full disk is one line and exit code 1; a reader that has enough (`| head`) is told nothing."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(agent_command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "standard output cannot be written: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(agent_command(*arguments), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_failed_write_deep_inside_is_found():
    """Out of groups of tasks; the error of a named file is none of standard output."""
    broken = BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert unwritten(ExceptionGroup("tasks", [ExceptionGroup("", [broken])])) is broken
    assert unwritten(OSError(errno.ENOSPC, "No space left on device", "x.yaml")) is None


def test_an_interrupt_while_modules_are_imported(tmp_path: Path):
    """Ctrl-C before the command has begun is the shell's 130, and no traceback."""
    (tmp_path / "typer.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor _ in range(10**8):\n    pass\n"
    )
    path = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        agent_command("plan"), env=path, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell ignores it in the background
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")
