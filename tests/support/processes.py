"""Real processes for tests: run to the end, or kept, signalled and killed.

Output goes to files, so that nothing blocks on a full pipe and no reader task is needed. Popen, not asyncio's
subprocesses: what is killed with -9 here must not depend on a loop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.nursery import Forked, can_fork, fork
from tests.support.waiting import eventually, eventually_sync

ROOT = Path(__file__).resolve().parents[2]

Running = subprocess.Popen[bytes] | Forked


def popen(argv: Sequence[str], *, stdout: int, stderr: int, cwd: Path, env: Mapping[str, str]) -> Running:
    """Start `argv`, its input empty; the agent is forked where that makes no difference."""
    if not can_fork(argv, env):
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=cwd, env=env)
    with Path(os.devnull).open("rb") as nothing:
        return fork(argv, stdin=nothing.fileno(), stdout=stdout, stderr=stderr, cwd=cwd, env=env)


class Process:
    """One started process. `stdout` and `stderr` read what it has said so far."""

    def __init__(
        self, argv: Sequence[str], folder: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.argv = list(argv)
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._popen = popen(
                self.argv,
                stdout=out.fileno(),
                stderr=err.fileno(),
                cwd=cwd or ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **(env or {})},
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait(10)

    async def wait(self, timeout: float = 10.0) -> int:
        """Its exit code; AssertionError with its last words when it does not end in time."""
        try:
            await eventually(lambda: self.returncode is not None, timeout, f"end of {' '.join(self.argv)}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None
        code = self.returncode
        assert code is not None
        return code

    def end(self, timeout: float) -> int:
        """Its exit code; `subprocess.TimeoutExpired` when it does not end in time. Blocks."""
        return self._popen.wait(timeout)

    def wait_sync(self, timeout: float = 10.0) -> int:
        eventually_sync(lambda: self.returncode is not None, timeout, f"end of {' '.join(self.argv)}")
        return self._popen.wait()

    def tail(self, lines: int = 30) -> str:
        """The last lines of both outputs, for messages."""
        return "\n".join([*self.stdout.splitlines()[-lines:], *self.stderr.splitlines()[-lines:]])


@contextmanager
def process(*argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Iterator[Process]:
    """Start `argv`; whatever happens it is gone afterwards."""
    with TemporaryDirectory(prefix="edge-process-") as folder:
        started = Process(argv, Path(folder), env=env, cwd=cwd)
        try:
            yield started
        finally:
            if started.returncode is None:
                started.kill()


def agent_command(*arguments: str) -> tuple[str, ...]:
    """`edge-agent ARGUMENTS` with the interpreter that runs the tests."""
    return (sys.executable, "-m", "agent", *arguments)


def run_process(
    *argv: str, timeout: float = 30.0, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end; exit code and both outputs. Blocks: where the test serves on its own loop, use `process`."""
    with TemporaryDirectory(prefix="edge-process-") as folder:
        started = Process(argv, Path(folder), env=env, cwd=cwd)
        try:
            code = started.end(timeout)
        finally:
            if started.returncode is None:
                started.kill()
        return subprocess.CompletedProcess(argv, code, started.stdout, started.stderr)
