"""A secured asyncua server in the hall, and a collector that wants to go in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.crypto import uacrypto
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager

from agent.collectors.opcua.collector import OpcUaCollector
from agent.collectors.opcua.plan import ConnectionPace
from agent.core.clock import Clock
from agent.testing.context import SimpleContext
from tests.integration.opcua.server import URN, Hall, Plant
from tests.integration.opcua.support import BRISK, Notebook, config
from tests.support.opcua_pki import Pair

TAGS = {"a": f"nsu={URN};s=a"}
PASSWORD = "open sesame ü"
POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
ALL = [ua.SecurityPolicyType.NoSecurity] + [
    ua.SecurityPolicyType[f"{policy.replace('_', '')}_{mode}"]
    for policy in POLICIES
    for mode in ("Sign", "SignAndEncrypt")
]


class Doorman(UserManager):
    """Lets in who has the password or any certificate; notes who came."""

    def __init__(self) -> None:
        self.came: list[str] = []

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        by_name = certificate and uacrypto.x509_from_der(certificate).subject.rfc4514_string()
        self.came.append(username or ("certificate" if by_name == "CN=user" else "anonymous"))
        if username is not None and password != PASSWORD:
            return None
        return User(role=UserRole.User)


class Fort:
    """One server. `doorman.came`: users of its sessions."""

    def __init__(self, hall: Hall, plant: Plant, doorman: Doorman) -> None:
        self.hall, self.plant, self.doorman = hall, plant, doorman

    @property
    def url(self) -> str:
        return self.plant.url

    @classmethod
    async def build(
        cls, hall: Hall, pair: Pair, policies: Sequence[ua.SecurityPolicyType] = tuple(ALL), port: int = 0
    ) -> Fort:
        """A server that listens. It has a certificate whatever its policies are."""
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(cls._build(hall, pair, policies, port), hall._loop)
        )

    @classmethod
    def build_sync(cls, hall: Hall, pair: Pair) -> Fort:
        return asyncio.run_coroutine_threadsafe(cls._build(hall, pair, tuple(ALL), 0), hall._loop).result(30)

    @classmethod
    async def _build(cls, hall: Hall, pair: Pair, policies: Sequence[ua.SecurityPolicyType], port: int) -> Fort:
        doorman = Doorman()
        plant = Plant(Server(user_manager=doorman), hall._loop, f"opc.tcp://127.0.0.1:{port}")
        server = plant.server
        server.iserver.disabled_clock = True
        await server.init()
        server.set_endpoint(plant.url)
        await server.set_application_uri("urn:test:server")
        await server.load_certificate(pair.der)
        await server.load_private_key(pair.pem)
        server.set_security_policy(list(policies))
        plant.indexes[URN] = await server.register_namespace(URN)
        await server.start()
        plant.listens = True
        assert server.bserver is not None
        plant.url = f"opc.tcp://127.0.0.1:{server.bserver.port}"
        hall._plants.append(plant)
        await plant.add("a", 1.5)
        return cls(hall, plant, doorman)

    async def stop(self) -> None:
        """It is gone."""
        await self.hall.stop(self.plant)


def trusting(pki: Path, pair: Pair) -> Path:
    """The data directory of an agent that trusts this certificate."""
    folder = pki / "pki" / "trusted"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.der").write_bytes(pair.raw)
    return pki


def collector(
    url: str, data_dir: Path, *, pace: ConnectionPace = BRISK, clock: Clock | None = None, **more: Any
) -> OpcUaCollector:
    """A collector for tag `a`. The agent is called `gw-01`."""
    more = {"tags": TAGS, **more}
    made = config(url, more.pop("tags"), **more)
    built = made.build("dev", SimpleContext(data_dir=data_dir, agent="gw-01", clock=clock), pace)
    assert isinstance(built, OpcUaCollector)
    return built


@asynccontextmanager
async def inside(url: str, data_dir: Path, **more: Any) -> AsyncIterator[Notebook]:
    """A collector that is open and read into a notebook."""
    made = collector(url, data_dir, **more)
    async with made.open() as samples:
        yield Notebook(["a"], samples, made._context)  # type: ignore[arg-type]
