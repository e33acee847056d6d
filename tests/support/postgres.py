"""The real database: PostgreSQL from the distribution, one cluster a test process, on loopback, as a plain user.

    def test_x(postgres): ...            an empty database of its own: postgres.url, postgres.sql("SELECT …")
    def test_y(start_postgres):
        cluster = start_postgres()       a cluster of its own, for tests that kill it
        cluster.kill(); cluster.start()

Without PostgreSQL such a test is left out at a desk and fails where CI=true.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.support.ports import free_port
from tests.support.waiting import eventually_sync

MISSING = "PostgreSQL is not installed: apt-get install postgresql, or make test as root"
#: fsync off: a killed server loses nothing by it, only a machine would.
_CONFIG = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
max_connections = 40
shared_buffers = 32MB
timezone = 'Asia/Shanghai'
logging_collector = off
"""


def find_postgres() -> Path:
    """Folder of its programs; skips the test where there is none, fails it where CI=true."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).parent
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


class Cluster:
    """One server. PostgreSQL does not run as root: there it is the user `postgres`'."""

    def __init__(self) -> None:
        self._bin = find_postgres()
        self.folder = Path(tempfile.mkdtemp(prefix="edge-postgres-"))
        self._user: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(self.folder, **self._user)
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = free_port()
        self._run("initdb", "-D", str(self._data), "-U", "edge", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(_CONFIG)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([self._bin / program, *arguments], check=True, capture_output=True, cwd="/", **self._user)

    @property
    def log(self) -> str:
        """All the server has said."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-p", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self._user,
            )  # fmt: skip
        eventually_sync(self._answers, what="PostgreSQL answers")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start:\n{self.log}")
        try:
            psycopg.connect(f"postgresql://edge@127.0.0.1:{self.port}/postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """Kill -9 all of it: its children end when they notice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            eventually_sync(lambda: not self._holds_memory(), what="PostgreSQL's children are gone")

    def _holds_memory(self) -> bool:
        lock = self._data / "postmaster.pid"
        if not lock.exists():
            return False
        lines = lock.read_text().splitlines()
        pids = [path for path in Path("/proc").glob("[0-9]*/cmdline") if self._is_child(path)]
        return bool(pids) and len(lines) > 0

    def _is_child(self, path: Path) -> bool:
        try:
            environment = (path.parent / "cwd").readlink()
        except OSError:
            return False
        return environment == self._data

    def stop(self) -> None:
        """End it at once, in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def remove(self) -> None:
        """Stop and delete it."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def tls(self, certificate: Path, key: Path) -> Iterator[None]:
        """It takes TLS with this certificate, beside plain connections."""
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            shutil.copy(source, self._data / name)
            (self._data / name).chmod(0o600)
            if self._user:
                shutil.chown(self._data / name, **self._user)
        self._reload("ALTER SYSTEM SET ssl = on", "on")
        try:
            yield
        finally:
            self._reload("ALTER SYSTEM RESET ssl", "off")

    def _reload(self, change: str, wanted: str) -> None:
        def is_so() -> bool:
            with psycopg.connect(f"postgresql://edge@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
                return connection.execute("SHOW ssl").fetchone() == (wanted,)

        with psycopg.connect(f"postgresql://edge@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(change)
            connection.execute("SELECT pg_reload_conf()")
        eventually_sync(is_so, what=f"ssl is {wanted}")

    def database(self) -> Database:
        """A new, empty one."""
        self._databases += 1
        name = f"plant_{self._databases}"
        with psycopg.connect(f"postgresql://edge@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return Database(f"postgresql://edge@127.0.0.1:{self.port}/{name}")


class Database(NamedTuple):
    """One database of a cluster."""

    url: str

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """What a reader sees now, with the schema `edge` in his path."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET search_path = edge")
            return connection.execute(text).fetchall()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """The one of this test process."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def postgres(postgres_cluster: Cluster) -> Database:
    """An empty database of the test's own."""
    return postgres_cluster.database()


@pytest.fixture
def start_postgres() -> Iterator[Callable[[], Cluster]]:
    """Starts clusters of the test's own."""
    started: list[Cluster] = []

    def start() -> Cluster:
        cluster = Cluster()
        started.append(cluster)
        cluster.start()
        return cluster

    yield start
    for cluster in started:
        cluster.kill()
        cluster.remove()
