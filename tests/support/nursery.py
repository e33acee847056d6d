"""Agents by fork: importing the agent takes most of a second of CPU, and the suite starts hundreds of them.

One process for each that runs tests imports everything once, and every agent is a fork of it: a process of its own, to
be signalled, stopped and killed like any other. It shares nothing but what importing left behind. What a user types is
still run as typed where that is what a test is about (tests/e2e).

A request is one packet on a socket pair: what to run, as JSON, with stdin, stdout and stderr beside it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

#: What the interpreter and the loader read before any code of ours runs.
_AT_START = ("PYTHON", "LD_", "FAKETIME", "MALLOC_", "GLIBC_", "EDGE_OWN_MEMORY")
_HARMLESS = ("PYTHONUNBUFFERED", "PYTHONPATH")
_OURS = dict(os.environ)


class Forked:
    """As much of `subprocess.Popen` as tests use."""

    def __init__(self, pid: int, nursery: _Nursery) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._ended = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            os.close(self._ended)
            self.returncode = self._nursery.ask({"ended": self.pid})
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def can_fork(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether `argv` is `python -m agent …`, and its environment nothing that works before the first import."""
    other = {key for key in {*env, *_OURS} if env.get(key) != _OURS.get(key)}
    return list(argv[:3]) == [sys.executable, "-m", "agent"] and not any(
        key.startswith(_AT_START) and key not in _HARMLESS for key in other
    )


def fork(argv: Sequence[str], *, stdin: int, stdout: int, stderr: int, cwd: Path, env: Mapping[str, str]) -> Forked:
    """Start `argv` (see `can_fork`) with these files, which stay the caller's."""
    nursery = _nursery()
    request = {"argv": [str(one) for one in argv[2:]], "cwd": str(cwd), "env": dict(env)}
    return Forked(nursery.ask(request, (stdin, stdout, stderr)), nursery)


class _Nursery:
    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd=ROOT,
                stdin=subprocess.DEVNULL, env=_OURS | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def ask(self, request: dict[str, Any], files: Sequence[int] = ()) -> int:
        with self._turn:
            socket.send_fds(self._ours, [json.dumps(request).encode()], files)
            return int(self._ours.recv(100))


@cache
def _nursery() -> _Nursery:
    return _Nursery()


def main() -> None:
    """Serve until whoever started us is gone. In the child: become what was asked for, and end as it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C of a test run reaches its whole group
    import agent

    for found in pkgutil.walk_packages(agent.__path__, "agent."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    gc.collect()
    gc.freeze()
    asked = socket.socket(fileno=int(sys.argv[1]))
    while True:
        text, files, *_ = socket.recv_fds(asked, 1 << 20, 3)
        if not text:
            return
        request = json.loads(text)
        if "ended" in request:
            asked.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1]))
            continue
        pid = os.fork()
        if pid == 0:
            asked.close()
            break
        for one in files:
            os.close(one)
        asked.send(b"%d" % pid)
    for number, one in enumerate(files):
        os.dup2(one, number)
        os.close(one)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = request["cwd"]
    sys.argv[:] = request["argv"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
