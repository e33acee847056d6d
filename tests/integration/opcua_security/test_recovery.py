from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from asyncua import ua

from agent.collectors.opcua.wire.session import BoundedSession
from agent.core.errors import TransientError
from agent.testing.context import SimpleContext
from tests.integration.opcua.support import BRISK, Notebook
from tests.integration.opcua_security.fort import Fort, collector, inside, trusting
from tests.support.opcua_pki import Pair, make_pair
from tests.support.waiting import eventually

POLICY_MODES = [("None", "None"), ("Basic256Sha256", "Sign"), ("Aes256_Sha256_RsaPss", "SignAndEncrypt")]


@pytest.fixture
def data_dir(tmp_path: Path, server_pair: Pair) -> Path:
    return trusting(tmp_path, server_pair)


@pytest.mark.parametrize(("policy", "mode"), POLICY_MODES)
async def test_a_channel_is_renewed_again_and_again_without_a_gap(
    fort: Fort, data_dir: Path, policy: str, mode: str
) -> None:
    """Tokens that live for a moment are renewed under way; values keep coming over the same session."""
    pace = BRISK._replace(channel=0.6)
    async with inside(
        fort.url, data_dir, security={"policy": policy, "mode": mode}, pace=pace, mode="poll"
    ) as notebook:
        (channel,) = fort.plant.channels()
        first = channel.security_token.TokenId
        await notebook.until(lambda: channel.security_token.TokenId >= first + 3)
        assert fort.plant.sessions() == 1
        heard = len(notebook.said["a"])
        await notebook.until(lambda: len(notebook.said["a"]) > heard)
    assert all(status == 0 for _, status, _, _ in notebook.said["a"])


@pytest.mark.parametrize(("policy", "mode"), POLICY_MODES)
async def test_cancelled_at_any_step_it_leaves_no_session(fort: Fort, data_dir: Path, policy: str, mode: str) -> None:
    """However far the connection was: a session that was made at the server is closed there."""
    made = collector(fort.url, data_dir, security={"policy": policy, "mode": mode})
    async with made.open():
        pass  # its certificate is made
    finished = False

    async def opening() -> None:
        nonlocal finished
        async with made.open():
            finished = True

    turns = 0
    while not finished and turns < 1000:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(opening())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        turns = turns + max(1, turns // 4)
    await eventually(lambda: fort.plant.sessions() == 0 and fort.plant.connections() == 0)


async def test_a_session_that_is_just_being_made_is_closed(
    fort: Fort, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled between CreateSession and its answer: the answer is awaited, then the session is closed."""
    asked, go = asyncio.Event(), asyncio.Event()
    original = BoundedSession.create_session

    async def slow(session: BoundedSession, request: ua.CreateSessionParameters) -> ua.CreateSessionResult:
        answer = await original(session, request)
        assert fort.plant.sessions() == 1
        asked.set()
        await go.wait()
        return answer

    monkeypatch.setattr(BoundedSession, "create_session", slow)
    made = collector(fort.url, data_dir, security={"policy": "Basic256Sha256"})

    async def opening() -> None:
        async with made.open():
            pass

    async with asyncio.TaskGroup() as group:
        task = group.create_task(opening())
        await asked.wait()
        task.cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.wait([task])
        assert task.cancelled()
    assert fort.plant.sessions() == 0


async def test_a_full_server_is_left_alone_for_the_life_of_a_session(
    fort: Fort, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BadTooManySessions, over a secured channel too: somebody's leaked session has to run out first."""

    def refuse(*_args: object, **_more: object) -> None:
        raise ua.uaerrors.BadTooManySessions

    with monkeypatch.context() as patch:
        patch.setattr(fort.plant.server.iserver, "create_session", refuse)
        with pytest.raises(TransientError, match="BadTooManySessions") as caught:
            async with inside(fort.url, data_dir, security={"policy": "Basic256Sha256"}):
                pass
    assert caught.value.retry_after == BRISK.session
    async with inside(fort.url, data_dir, security={"policy": "Basic256Sha256"}) as notebook:
        await notebook.heard()


async def test_a_server_that_does_not_trust_us_is_asked_again_soon(
    fort: Fort, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has to trust our certificate there: it is said so, and tried every half a minute."""

    def refuse(*_args: object, **_more: object) -> None:
        raise ua.uaerrors.BadCertificateUntrusted

    monkeypatch.setattr(fort.plant.server.iserver, "create_session", refuse)
    with pytest.raises(TransientError, match="trust the agent's certificate at the server") as caught:
        async with inside(fort.url, data_dir, security={"policy": "Basic256Sha256"}):
            pass
    assert caught.value.retry_after == 30


async def test_a_rotated_certificate_is_used_at_the_next_connection(fort: Fort, data_dir: Path, tmp_path: Path) -> None:
    """Files of the agent's own certificate are replaced under a connection: it stays, the next one shows the new."""
    first, second = (make_pair(tmp_path / name, "agent", uri="urn:test:agent") for name in ("first", "second"))
    security = {"policy": "Basic256Sha256", "certificate": str(first.der), "private_key": str(first.pem)}
    made = collector(fort.url, data_dir, security=security, mode="poll")

    def shown() -> list[bytes]:
        return [channel.security_policy.peer_certificate for channel in fort.plant.channels()]

    async with made.open() as samples:
        notebook = Notebook(["a"], samples, SimpleContext())
        await notebook.heard()
        assert shown() == [first.raw]
        for new, old in ((second.der, first.der), (second.pem, first.pem)):
            new.replace(old)
        heard = len(notebook.said["a"])
        await notebook.until(lambda: len(notebook.said["a"]) > heard + 2)
        assert shown() == [first.raw]
    async with made.open() as samples:
        await Notebook(["a"], samples, SimpleContext()).heard()
        assert shown() == [second.raw]
