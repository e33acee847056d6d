"""Servers nobody here wrote, each a process on 127.0.0.1; what they need is installed under .venv/interop once.

Without npm or a registry such a test is left out at a desk and fails where CI=true.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization

from tests.support.opcua_pki import Pair, make_pair
from tests.support.ports import free_port
from tests.support.processes import ROOT, Process, process
from tests.support.waiting import eventually_sync

HERE = Path(__file__).parent
PLACE = ROOT / ".venv" / "interop"
PASSWORD = "open sesame ü"
URN = "urn:interop"


def _missing(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def _alone(name: str) -> Iterator[Path]:
    """The folder of that name, for one process at a time."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield PLACE / name


def _run(argv: Sequence[str], folder: Path) -> None:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    if done.returncode:
        _missing(f"{argv[0]} {argv[1]} failed: {done.stderr.strip()[-500:]}")


def node_modules() -> Path:
    """Where node-opcua and aedes are installed, as their lock wants it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _missing("node and npm are needed to meet node-opcua and aedes")
    wanted = (HERE / "package-lock.json").read_bytes()
    with _alone("node") as folder:
        stamp = folder / "installed.json"
        if not stamp.exists() or stamp.read_bytes() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder / name)
            _run([str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
            stamp.write_bytes(wanted)
        return folder


def venv(*requirements: str) -> str:
    """A Python of its own that has these."""
    with _alone("python-" + requirements[0].partition("=")[0]) as folder:
        stamp = folder / "installed"
        if not stamp.exists() or stamp.read_text() != " ".join(requirements):
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)], ROOT)
            _run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *requirements], ROOT)
            stamp.write_text(" ".join(requirements))
        return str(folder / "bin" / "python")


@contextmanager
def listening(argv: Sequence[str], settings: dict[str, Any]) -> Iterator[tuple[str, Process]]:
    """A server that has said `listening PORT`: its url and its process."""
    with process(*argv, json.dumps(settings)) as server:

        def port() -> str | None:
            assert server.returncode is None, server.stderr
            lines = [line for line in server.stdout.splitlines() if line.startswith("listening ")]
            return lines[0].split()[1] if lines else None

        found = eventually_sync(port, what="the server listens")
        yield f"opc.tcp://127.0.0.1:{found}", server


@contextmanager
def node_opcua(folder: Path, pair: Pair, **settings: Any) -> Iterator[tuple[str, Process]]:
    """node-opcua. `folder`: for its own certificates; settings as in node_server.js."""
    modules = node_modules()
    folder.mkdir(parents=True, exist_ok=True)
    certificate = folder / "server-certificate.pem"
    certificate.write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    given = {
        "modules": str(modules),
        "certificate": str(certificate),
        "key": str(pair.pem),
        "pki": str(folder / "pki"),
        **settings,
    }
    with listening(["node", str(HERE / "node_server.js")], given) as server:
        yield server


class Foreign(NamedTuple):
    """A server that runs. `node`: its counting nodes, without their number."""

    url: str
    node: str
    pair: Pair


@contextmanager
def foreign(kind: str, folder: Path, **settings: Any) -> Iterator[Foreign]:
    """One of the servers."""
    pair = make_pair(folder / kind, "server")
    server: tuple[str, Process]
    if kind == "node-opcua":
        with node_opcua(folder / kind, pair, **settings) as server:
            yield Foreign(server[0], f"nsu={URN};s=v", pair)
        return
    requirements, script, node = {
        "python-opcua": (("opcua==0.98.13", "cryptography==50.0.2"), "freeopcua_server.py", f"nsu={URN};s=v"),
        "o6": (("o6==2.2.0",), "o6_server.py", "ns=1;s=v"),
    }[kind]
    given = {"port": free_port(), "certificate": str(pair.der), "key": str(pair.pem), "password": PASSWORD, "nodes": 3}
    with listening([venv(*requirements), str(HERE / script)], {**given, **settings}) as server:
        yield Foreign(server[0], node, pair)
