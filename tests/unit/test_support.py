from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
import time
from pathlib import Path

import pytest

from tests.bench.figures import cpu_of
from tests.support.certs import make_certs
from tests.support.ports import accepts, free_port
from tests.support.processes import process, run_process
from tests.support.waiting import eventually

LEAKY = """
import asyncio, threading
from hypothesis import given, settings, strategies

async def test_task():
    asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="left-behind")

@settings(deadline=None)
@given(strategies.integers())
async def test_property(number):
    asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="left-by-an-example")

async def test_fine():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))

def test_sync():
    assert asyncio.run(asyncio.sleep(0, 1)) == 1

def test_thread():
    threading.Thread(target=threading.Event().wait, name="still-there", daemon=True).start()
"""


def test_leaks_fail_the_test(tmp_path: Path) -> None:
    """A test that leaves a task or a thread behind fails and is told its name; others do not."""
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    result = run_process(
        sys.executable, "-m", "pytest", "-q", "-c", str(pyproject), "--rootdir", str(tmp_path),
        "-p", "no:cacheprovider", "-p", "tests.support.leaks", "-p", "no:xdist", str(tmp_path),
    )  # fmt: skip
    assert result.returncode == 1, result.stdout
    assert "leaked tasks: left-behind" in result.stdout
    assert "leaked threads: still-there" in result.stdout
    assert "left-by-an-example" in result.stdout
    assert "5 passed, 3 errors" in result.stdout


def test_a_hanging_test_ends(tmp_path: Path) -> None:
    """On the agent's loop too, which waits in C: it is said where it stands, and the run goes red."""
    (tmp_path / "test_hanging.py").write_text(
        "import asyncio\n\nasync def test_hangs():\n    await asyncio.Event().wait()\n"
    )
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_asyncio_loop_factories\n")
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    result = run_process(
        sys.executable, "-m", "pytest", "-q", "-c", str(pyproject), "--rootdir", str(tmp_path),
        "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout", "0.5", str(tmp_path),
    )  # fmt: skip
    assert result.returncode == 1, result.stdout
    assert "Timeout" in result.stdout + result.stderr


async def test_eventually_waits_and_gives_up() -> None:
    """`eventually` returns what became true and fails with the last value seen."""
    seen = iter([0, 0, 7])
    assert await eventually(lambda: next(seen)) == 7
    with pytest.raises(AssertionError, match="last seen: 0"):
        await eventually(lambda: 0, timeout=0.02)


async def test_processes_are_signalled_and_ended() -> None:
    """A process is heard, signalled, and gone at the end of its block."""
    code = "import signal,sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); print('up'); signal.pause()"
    with process(sys.executable, "-c", code) as started:
        await eventually(lambda: "up" in started.stdout, 10)
        started.signal(signal.SIGTERM)
        assert await started.wait() == 3
    with process(sys.executable, "-c", code) as kept:
        pid = kept.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_certificates_verify_and_strangers_do_not(tmp_path: Path) -> None:
    """The server certificate is trusted through its CA for 127.0.0.1, and not through another."""
    certs = make_certs(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certs.server_cert, certs.server_key)

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0, ssl=server_side) as server:
        port = server.sockets[0].getsockname()[1]
        context = ssl.create_default_context(cafile=certs.ca)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context(cafile=certs.other_ca))


def test_mosquitto_lives_dies_and_comes_back(start_mosquitto) -> None:
    """The broker takes its configuration, can be killed, and returns on the same port; TLS included."""
    broker = start_mosquitto("max_packet_size 2000", persistent=True)
    port = broker.port
    assert accepts(port)
    broker.kill()
    assert not accepts(port)
    broker.start()
    broker.restart()
    assert (broker.port, accepts(port)) == (port, True)


def test_free_port_is_free() -> None:
    """Nobody listens on a free port."""
    assert not accepts(free_port())


def test_no_port_is_given_twice():
    """Forty servers of one test get forty ports, none that a client of this machine could be given meanwhile."""
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == 300
    assert max(ports) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])


def test_benchmarks_tell_the_cpu_of_a_process_exactly() -> None:
    """Of whatever process, by its number: here our own, which Python can tell, too."""
    before = time.process_time()
    told = cpu_of(os.getpid())
    assert before <= told <= time.process_time()
