"""A stack nobody here wrote: what works with our own library's server may be the same mistake on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.core.errors import TransientError
from agent.testing.context import SimpleContext
from tests.integration.opcua.support import BRISK, Notebook, config
from tests.integration.opcua_security.fort import POLICIES, inside, trusting
from tests.interop.foreign import PASSWORD, URN, node_opcua
from tests.support.opcua_pki import Pair, make_pair
from tests.support.ports import free_port

TAGS = {"a": f"nsu={URN};s=v0"}
SECURED = [(policy, mode) for policy in POLICIES for mode in ("Sign", "SignAndEncrypt")]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("papers")


@pytest.fixture(scope="module")
def pair(papers: Path) -> Pair:
    return make_pair(papers, "server")


@pytest.fixture(scope="module")
def server(papers: Path, pair: Pair) -> Iterator[str]:
    """One server for the matrix. The name it announces does not exist."""
    with node_opcua(papers / "node", pair, hostname="cnc.invalid") as (url, process):
        listening = [one for one in psutil.Process(process.pid).net_connections() if one.status == "LISTEN"]
        assert {one.laddr.ip for one in listening} == {"127.0.0.1"}
        yield url


@pytest.fixture(scope="module")
def data_dir(papers: Path, pair: Pair) -> Path:
    return trusting(papers / "agent", pair)


@pytest.fixture(scope="module")
def users(papers: Path) -> dict[str, dict[str, Any]]:
    user = make_pair(papers, "user", uri=None)
    (papers / "password").write_text(PASSWORD, encoding="utf-8")
    return {
        "anonymous": {},
        "name": {"username": "agent", "password_file": str(papers / "password")},
        "certificate": {"user_certificate": str(user.der), "user_private_key": str(user.pem)},
    }


@pytest.mark.parametrize("user", ["anonymous", "name", "certificate"])
@pytest.mark.parametrize(("policy", "mode"), [("None", "None"), *SECURED])
async def test_every_security_with_every_user(
    server: str, data_dir: Path, pair: Pair, users: dict[str, dict[str, Any]], policy: str, mode: str, user: str
) -> None:
    """Values change under our eyes, whatever the security and the user."""
    security: dict[str, Any] = {"policy": policy, "mode": mode}
    if policy == "None":
        security["server_certificate"] = str(pair.der)  # the password alone is encrypted, for this certificate
    async with inside(server, data_dir, tags=TAGS, security=security, **users[user]) as notebook:
        await notebook.until(lambda: len({value for value, *_ in notebook.said["a"]}) >= 2)
        assert all(status == 0 for _, status, _, _ in notebook.said["a"])


@pytest.mark.parametrize(("policy", "mode"), [("None", "None"), ("Aes256_Sha256_RsaPss", "SignAndEncrypt")])
async def test_polling_survives_renewed_channels(server: str, data_dir: Path, policy: str, mode: str) -> None:
    """This server's shortest token is renewed under way."""
    pace = BRISK._replace(channel=0.3)
    security = {"policy": policy, "mode": mode}
    async with inside(server, data_dir, tags=TAGS, security=security, pace=pace, mode="poll") as notebook:
        await notebook.until(lambda: len(notebook.said["a"]) >= 30)
        assert all(status == 0 for _, status, _, _ in notebook.said["a"])


async def test_it_heals_when_the_server_is_told_to_trust_us(papers: Path, pair: Pair, data_dir: Path) -> None:
    """A server that does not know our certificate refuses it; once it stands in its list, we are in."""
    folder = papers / "strict"
    security = {"policy": "Basic256Sha256"}
    with node_opcua(folder, pair, accept=False) as (url, _):
        with pytest.raises(TransientError):
            async with inside(url, data_dir, tags=TAGS, security=security):
                pass
        rejected = list((folder / "pki" / "server" / "rejected").iterdir())
        assert rejected
        for path in rejected:
            path.rename(folder / "pki" / "server" / "trusted" / "certs" / path.name)
    with node_opcua(folder, pair, accept=False) as (url, _):
        async with inside(url, data_dir, tags=TAGS, security=security) as notebook:
            await notebook.heard()


async def test_it_calls_and_is_read(papers: Path, pair: Pair, data_dir: Path) -> None:
    """Reverse connect: the server dials, first to show its certificate, then for the session; the same once more."""
    port = free_port()
    reverse = {"listen": f"127.0.0.1:{port}", "server_uri": "urn:test:server"}
    made = config(None, TAGS, reverse=reverse, security={"policy": "Basic256Sha256"}, timeout="5s")
    with node_opcua(papers / "caller", pair, hostname="cnc.invalid", calls=f"opc.tcp://127.0.0.1:{port}"):
        async with SimpleContext(data_dir=data_dir, agent="gw-01") as context:
            collector = made.build("dev", context, BRISK)
            for _ in range(2):
                async with collector.open() as samples:
                    notebook = Notebook(["a"], samples, context)
                    await notebook.until(lambda said=notebook.said["a"]: len({value for value, *_ in said}) >= 2)
