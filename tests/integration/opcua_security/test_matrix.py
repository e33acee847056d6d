from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from agent.collectors.opcua.trust.certificates import own_certificate
from agent.core.errors import PermanentError, TransientError
from tests.integration.opcua.server import Hall
from tests.integration.opcua_security.fort import PASSWORD, POLICIES, Fort, inside, trusting
from tests.support.opcua_pki import Pair

SECURED = [(policy, mode) for policy in POLICIES for mode in ("Sign", "SignAndEncrypt")]


@pytest.fixture(scope="session")
def data_dir(papers: Path, server_pair: Pair) -> Path:
    """Of an agent that trusts the server; its own certificate is made by the first test."""
    return trusting(papers / "agent", server_pair)


@pytest.fixture(scope="session")
def users(papers: Path, user_pair: Pair) -> dict[str, dict[str, Any]]:
    """The keys of a device for each kind of user."""
    secret = papers / "password"
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    return {
        "anonymous": {},
        "agent": {"username": "agent", "password_file": str(secret)},
        "certificate": {"user_certificate": str(user_pair.der), "user_private_key": str(user_pair.pem)},
    }


@pytest.mark.parametrize("user", ["anonymous", "agent", "certificate"])
@pytest.mark.parametrize(("policy", "mode"), SECURED)
async def test_every_security_with_every_user(
    fort: Fort, data_dir: Path, users: dict[str, dict[str, Any]], policy: str, mode: str, user: str
) -> None:
    """Values arrive with each policy, mode and kind of user, and the session is closed behind us."""
    fort.doorman.came.clear()
    async with inside(fort.url, data_dir, security={"policy": policy, "mode": mode}, **users[user]) as notebook:
        await notebook.heard()
        assert notebook.newest("a") == 1.5
        assert fort.doorman.came == [user]
    assert fort.plant.sessions() == 0


@pytest.mark.parametrize("user", ["anonymous", "certificate"])
async def test_without_security_the_users_without_a_secret(
    fort: Fort, tmp_path: Path, users: dict[str, dict[str, Any]], user: str
) -> None:
    """An open channel takes anonymous users, and those who sign with a certificate; nothing is written for it."""
    fort.doorman.came.clear()
    async with inside(fort.url, tmp_path, **users[user]) as notebook:
        await notebook.heard()
        assert fort.doorman.came == [user]
    assert not (tmp_path / "pki").exists()


async def test_a_pinned_server_gets_the_password_encrypted_over_an_open_channel(
    fort: Fort, tmp_path: Path, server_pair: Pair, users: dict[str, dict[str, Any]]
) -> None:
    """The channel is open, the password is not: it is encrypted for the certificate that is pinned."""
    fort.doorman.came.clear()
    security = {"server_certificate": str(server_pair.der)}
    async with inside(fort.url, tmp_path, security=security, **users["agent"]) as notebook:
        await notebook.heard()
        assert fort.doorman.came == ["agent"]


async def test_a_password_for_another_server_is_not_sent(
    fort: Fort, tmp_path: Path, user_pair: Pair, users: dict[str, dict[str, Any]]
) -> None:
    """Who shows another certificate than the pinned one never sees a password, open channel or not."""
    fort.doorman.came.clear()
    with pytest.raises(TransientError, match="another one is pinned"):
        async with inside(fort.url, tmp_path, security={"server_certificate": str(user_pair.der)}, **users["agent"]):
            pass
    assert fort.doorman.came == []
    assert fort.plant.sessions() == 0


async def test_a_plain_password_needs_to_be_allowed(
    hall: Hall, server_pair: Pair, tmp_path: Path, users: dict[str, dict[str, Any]]
) -> None:
    """A server that wants it readable gets it only where the configuration says so in as many words."""
    plain = await Fort.build(hall, server_pair, [ua.SecurityPolicyType.NoSecurity])
    pinned = {"server_certificate": str(server_pair.der)}
    with pytest.raises(TransientError, match=r"password readable.*allow_plain_password"):
        async with inside(plain.url, tmp_path, security=pinned, **users["agent"]):
            pass
    assert plain.doorman.came == []
    async with inside(plain.url, tmp_path, security={"allow_plain_password": True}, **users["agent"]) as notebook:
        await notebook.heard()
        assert plain.doorman.came == ["agent"]
    await plain.stop()


async def test_a_pinned_server_need_not_tell_its_endpoints(
    fort: Fort, tmp_path: Path, server_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that tell strangers nothing are reached with the certificate that is known; without it they are not."""
    tell = fort.plant.server.iserver.get_endpoints
    asked = 0

    async def refuse(*args: Any, **more: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked <= 2:  # both who ask before they connect; the third is told with its session
            raise ua.uaerrors.BadServiceUnsupported
        return await tell(*args, **more)

    monkeypatch.setattr(fort.plant.server.iserver, "get_endpoints", refuse)
    trusting(tmp_path, server_pair)
    with pytest.raises(TransientError, match="BadServiceUnsupported"):
        async with inside(fort.url, tmp_path, security={"policy": "Basic256Sha256"}):
            pass
    security = {"policy": "Basic256Sha256", "server_certificate": str(server_pair.der)}
    async with inside(fort.url, tmp_path, security=security) as notebook:
        await notebook.heard()
    assert asked == 3


async def test_nothing_weaker_is_taken_than_what_is_configured(hall: Hall, server_pair: Pair, tmp_path: Path) -> None:
    """A server without the wanted endpoint is a permanent failure that lists what it offers; no session is opened."""
    weak = await Fort.build(
        hall,
        server_pair,
        [ua.SecurityPolicyType.NoSecurity, ua.SecurityPolicyType.Basic256Sha256_Sign],
    )
    wanted = {"policy": "Basic256Sha256", "mode": "SignAndEncrypt"}
    with pytest.raises(TransientError, match="it offers no security, Basic256Sha256 Sign"):
        async with inside(weak.url, trusting(tmp_path, server_pair), security=wanted):
            pass
    assert weak.doorman.came == []
    await weak.stop()


async def test_a_server_that_wants_security_is_not_talked_to_without(
    hall: Hall, server_pair: Pair, tmp_path: Path
) -> None:
    """No endpoint without security: the failure names those it has."""
    strict = await Fort.build(hall, server_pair, [ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt])
    with pytest.raises(TransientError, match="Aes256_Sha256_RsaPss SignAndEncrypt"):
        async with inside(strict.url, tmp_path):
            pass
    await strict.stop()


async def test_a_wrong_password_leaves_no_session_behind(fort: Fort, data_dir: Path, tmp_path: Path) -> None:
    """Refused users close the session that was made for them; it is no matter of trying again at once."""
    secret = tmp_path / "password"
    secret.write_text("wrong", encoding="utf-8")
    security = {"policy": "Basic256Sha256"}
    with pytest.raises(TransientError, match="BadUserAccessDenied"):
        async with inside(fort.url, data_dir, security=security, username="agent", password_file=str(secret)):
            pass
    assert fort.plant.sessions() == 0


async def test_configured_certificates_are_used_instead_of_an_own_one(
    fort: Fort, server_pair: Pair, user_pair: Pair, tmp_path: Path
) -> None:
    """Certificate and key of the configuration stand in for the agent's; none is made."""
    security = {"policy": "Basic256Sha256", "certificate": str(user_pair.der), "private_key": str(user_pair.pem)}
    async with inside(fort.url, trusting(tmp_path, server_pair), security=security) as notebook:
        await notebook.heard()
    assert not (tmp_path / "pki" / "own").exists()


async def test_a_key_of_another_certificate_is_a_permanent_failure(
    fort: Fort, server_pair: Pair, user_pair: Pair, tmp_path: Path
) -> None:
    """It is said what does not belong together, before anything is sent."""
    security = {"policy": "Basic256Sha256", "certificate": str(user_pair.der), "private_key": str(server_pair.pem)}
    with pytest.raises(PermanentError, match="does not belong to"):
        async with inside(fort.url, tmp_path, security=security):
            pass


async def test_a_lost_half_of_the_own_certificate_is_not_replaced(
    fort: Fort, server_pair: Pair, tmp_path: Path
) -> None:
    """Servers trust exactly that one: what to do is said, nothing is made."""
    trusting(tmp_path, server_pair)
    own_certificate(tmp_path / "pki", "gw-01", dt.datetime.now(dt.UTC))
    (tmp_path / "pki" / "own" / "private_key.pem").unlink()
    with pytest.raises(PermanentError, match="restore it from a backup"):
        async with inside(fort.url, tmp_path, security={"policy": "Basic256Sha256"}):
            pass
    assert not (tmp_path / "pki" / "own" / "private_key.pem").exists()
