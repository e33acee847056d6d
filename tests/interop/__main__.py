"""Meets every foreign server with every security and user, and carries a load; prints what happened.

    python -m tests.interop [node-opcua] [python-opcua] [o6] [many] [load]

Runs itself in a network namespace that has loopback and nothing else where the machine lets it: o6 binds every address.
Exit 1 where something that a server offers did not work.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agent.collectors.opcua.plan import ConnectionPace
from agent.core.errors import AgentError
from agent.telemetry.logging import configure
from agent.testing.context import SimpleContext
from tests.integration.opcua.support import BRISK, Notebook, config
from tests.integration.opcua_security.fort import POLICIES, inside, trusting
from tests.interop.foreign import PASSWORD, URN, Foreign, foreign, node_modules, venv
from tests.interop.load import load
from tests.support.opcua_pki import make_pair
from tests.support.ports import free_port

SECURED = [(policy, mode) for policy in POLICIES for mode in ("Sign", "SignAndEncrypt")]
DEADLINE = 15.0
NOT_OFFERED = ("does not take", "no endpoint", "wants the password readable", "names no policy")


async def meet(server: Foreign, folder: Path) -> bool:
    """The matrix. False where something went wrong that the server offers."""
    user = make_pair(folder, "user", uri=None)
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    users: dict[str, dict[str, Any]] = {
        "anonymous": {},
        "name": {"username": "agent", "password_file": str(folder / "password")},
        "certificate": {"user_certificate": str(user.der), "user_private_key": str(user.pem)},
    }
    data_dir = trusting(folder / "agent", server.pair)
    fine = True
    for policy, mode in [("None", "None"), *SECURED]:
        for name, keys in users.items():
            security = {"policy": policy, "mode": mode, "server_certificate": str(server.pair.der)}
            began = time.monotonic()
            try:
                async with (
                    asyncio.timeout(DEADLINE),
                    inside(server.url, data_dir, tags={"a": server.node + "0"}, security=security, **keys) as notebook,
                ):
                    said = notebook.said["a"]
                    await notebook.until(lambda said=said: len({value for value, *_ in said}) >= 2)
                result = f"ok {time.monotonic() - began:.2f} s"
            except (AgentError, TimeoutError) as error:
                expected = any(words in str(error) for words in NOT_OFFERED)
                fine = fine and expected
                result = f"{'not offered' if expected else 'FAILED'}: {str(error) or type(error).__name__}"[:110]
            print(f"  {policy:24}{mode:16}{name:12}{result}", flush=True)  # noqa: T201
    return fine


async def described(server: Foreign, folder: Path) -> bool:
    """A structure that the server describes by a dictionary only, as before OPC UA 1.04."""
    tool = {"Name": "drill", "Wear": 0.5}
    wanted = {"Number": 7, "Tools": [tool, tool], "Sizes": [1, -2, 3]}
    try:
        async with (
            asyncio.timeout(DEADLINE),
            inside(server.url, folder, tags={"a": f"nsu={URN};s=order"}) as notebook,
        ):
            await notebook.until(lambda: notebook.said["a"] and notebook.newest("a"))
        value = notebook.newest("a")
    except (AgentError, TimeoutError) as error:
        value = f"{str(error) or type(error).__name__}"
    print(f"  structure by dictionary: {'ok' if value == wanted else f'FAILED: {value}'}"[:150], flush=True)  # noqa: T201
    return bool(value == wanted)


async def called(server: Foreign, folder: Path, port: int) -> bool:
    """The server calls (reverse connect): a secured session, and after it has ended another one."""
    reverse = {"listen": f"127.0.0.1:{port}", "server_uri": "urn:test:server"}
    tags = {"a": server.node + "0"}
    made = config(None, tags, reverse=reverse, security={"policy": "Basic256Sha256"}, timeout="5s")
    async with SimpleContext(data_dir=trusting(folder / "caller", server.pair), agent="gw-01") as context:
        collector = made.build("dev", context, BRISK)
        for which in ("first", "second"):
            began = time.monotonic()
            try:
                async with asyncio.timeout(60), collector.open() as samples:
                    notebook = Notebook(["a"], samples, context)
                    said = notebook.said["a"]
                    await notebook.until(lambda said=said: len({value for value, *_ in said}) >= 2)
            except (AgentError, TimeoutError) as error:
                print(f"  calls: {which} session FAILED: {error}"[:150], flush=True)  # noqa: T201
                return False
            print(f"  calls: {which} session ok {time.monotonic() - began:.2f} s", flush=True)  # noqa: T201
    return True


async def many(server: Foreign, folder: Path, nodes: int, seconds: float, mode: str) -> bool:
    """`nodes` nodes at 1 s: every one in every cycle or every change of it, none bad, no cycle skipped."""
    tags = {f"t{number}": {"node": f"{server.node}{number}", "sampling_interval": "0ms"} for number in range(nodes)}
    began = time.monotonic()
    cpu = time.process_time()
    async with inside(
        server.url, folder, tags=tags, mode=mode, interval="1s", timeout="20s", pace=ConnectionPace()
    ) as notebook:
        notebook._names = list(tags)
        notebook.said = {name: [] for name in tags}
        await notebook.heard()
        first, since, before = time.monotonic() - began, time.monotonic(), time.process_time() - cpu
        counts = {name: len(said) for name, said in notebook.said.items()}
        notebook.samples.clear()  # the first cycle waits for the connection
        while time.monotonic() - since < seconds:
            await notebook.turn()
    rounds = {len(said) - counts[name] for name, said in notebook.said.items()}
    bad = sum(status != 0 for said in notebook.said.values() for _, status, _, _ in said)
    jumps = sum(other[0] - one[0] > 1 for said in notebook.said.values() for one, other in pairwise(said))
    skipped = sum(sample.skipped for sample in notebook.samples)
    used = time.process_time() - cpu - before
    what = f"cycles skipped {skipped}" if mode == "poll" else f"changes lost {jumps}"
    print(  # noqa: T201
        f"  {mode} {nodes} nodes at 1 s for {seconds:g} s: first complete after {first:.1f} s; readings per node "
        f"{sorted(rounds)}; bad {bad}; {what}; CPU {used / seconds:.0%}",
        flush=True,
    )
    return not bad and not (skipped if mode == "poll" else jumps) and max(rounds) - min(rounds) <= 1


def main(wanted: list[str]) -> int:
    """Run what is wanted, or all."""
    configure(level="error", style="console")
    fine = True
    with TemporaryDirectory() as place:
        for kind in ("node-opcua", "python-opcua", "o6"):
            if not wanted or kind in wanted:
                print(kind, flush=True)  # noqa: T201
                port = free_port()
                with foreign(kind, Path(place), calls=f"opc.tcp://127.0.0.1:{port}") as server:
                    fine = asyncio.run(meet(server, Path(place) / kind)) and fine
                    if kind == "python-opcua":  # it calls nobody
                        fine = asyncio.run(described(server, Path(place) / kind)) and fine
                    else:
                        fine = asyncio.run(called(server, Path(place) / kind, port)) and fine
        if not wanted or "many" in wanted:
            print("many", flush=True)  # noqa: T201
            with foreign("node-opcua", Path(place) / "many", nodes=10_000, every=1000, fastest=0) as server:
                for mode in ("poll", "subscribe"):
                    fine = asyncio.run(many(server, Path(place), 10_000, 20.0, mode)) and fine
        if not wanted or "load" in wanted:
            print("load", flush=True)  # noqa: T201
            fine = asyncio.run(load(Path(place) / "load")) and fine
    return 0 if fine else 1


def alone() -> int:
    """The same once more, where there is no network but loopback."""
    inner = 'ip link set lo up 2>/dev/null; exec "$0" -m tests.interop "$@"'
    argv = ["unshare", "--net", "--map-root-user", "sh", "-c", inner, sys.executable, *sys.argv[1:]]
    return subprocess.run(argv, env={**os.environ, "INTEROP_ALONE": "1"}, check=False).returncode


if __name__ == "__main__":
    if os.environ.get("INTEROP_ALONE"):
        sys.exit(main(sys.argv[1:]))
    node_modules()
    venv("opcua==0.98.13", "cryptography==50.0.2")
    venv("o6==2.2.0")
    sys.exit(alone())
