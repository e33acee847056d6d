from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.collectors.opcua.connect.endpoints import ANONYMOUS, CERTIFICATE, USER_NAME, Token, matching, token_for
from agent.collectors.opcua.trust.security import ServerAccess
from agent.core.errors import TransientError

URI = "http://opcfoundation.org/UA/SecurityPolicy#"
SIGNED = ServerAccess("Basic256Sha256", "Sign", username="agent", password_file=Path("secret"))
ENCRYPTED = SIGNED._replace(mode="SignAndEncrypt")
OPEN = SIGNED._replace(policy="None", mode="None")


def endpoint(
    policy: str = "None", mode: int = 1, *tokens: tuple[int, str | None], level: int = 0, url: str = "opc.tcp://h"
) -> Any:
    """As the library decodes it; a token is its kind and the name of its policy."""
    return SimpleNamespace(
        EndpointUrl=url,
        SecurityPolicyUri=URI + policy,
        SecurityMode=mode,
        SecurityLevel=level,
        UserIdentityTokens=[
            SimpleNamespace(PolicyId=f"{kind} {name}", TokenType=kind, SecurityPolicyUri=name and URI + name)
            for kind, name in tokens
        ],
    )


def test_only_exactly_what_is_configured_matches() -> None:
    """Policy and mode both, over TCP; of several the one the server rates highest."""
    wanted = endpoint("Basic256Sha256", 2, level=7)
    others = [
        endpoint("Basic256Sha256", 3, level=9),
        endpoint("Aes256_Sha256_RsaPss", 2, level=9),
        endpoint("Basic256Sha256", 2, level=9, url="https://h"),
        endpoint("Basic256Sha256", 2, level=3),
    ]
    assert matching([*others, wanted], SIGNED)[0] is wanted


@pytest.mark.parametrize("endpoints", [None, [], [endpoint(url="https://h")]])
def test_a_server_that_offers_nothing_is_said_so(endpoints: Any) -> None:
    """Nothing is assumed."""
    with pytest.raises(TransientError, match="it offers nothing"):
        matching(endpoints, SIGNED)


@pytest.mark.parametrize(
    ("access", "offered", "chosen"),
    [
        (ENCRYPTED, [None], "Basic256Sha256"),  # an empty policy is the channel's
        (ENCRYPTED, ["None"], None),  # the channel encrypts
        (ENCRYPTED, ["None", "Aes128_Sha256_RsaOaep"], "Aes128_Sha256_RsaOaep"),
        (SIGNED, [None], "Basic256Sha256"),
        (SIGNED, ["None", "Basic256"], "Basic256"),
        (OPEN, ["None", "Basic256Sha256", "Aes256_Sha256_RsaPss"], "Aes256_Sha256_RsaPss"),
        (OPEN._replace(allow_plain_password=True), ["None", "Basic256Sha256"], "Basic256Sha256"),
        (OPEN._replace(allow_plain_password=True), [None], None),
    ],
)
def test_a_password_is_encrypted_as_well_as_the_server_can(
    access: ServerAccess, offered: list[str | None], chosen: str | None
) -> None:
    """The strongest offer is taken; none only over an encrypted channel, or where it is allowed."""
    found = token_for(USER_NAME, [endpoint("x", 1, *((1, name) for name in offered))], access)
    assert found.policy_uri == (chosen and URI + chosen)


@pytest.mark.parametrize("access", [SIGNED, OPEN])
@pytest.mark.parametrize("offered", ["None", "Basic128Rsa15", "SomethingNew"])
def test_a_password_that_nothing_good_encrypts_is_not_said(access: ServerAccess, offered: str) -> None:
    """Neither readable, nor by a way that gives it away, nor by one we do not know."""
    with pytest.raises(TransientError, match="allow_plain_password"):
        token_for(USER_NAME, [endpoint("x", 1, (1, offered))], access)


def test_a_kind_of_user_that_is_not_taken_is_named() -> None:
    """With those that are."""
    with pytest.raises(TransientError, match="does not take anonymous users here; it takes user name, certificate"):
        token_for(ANONYMOUS, [endpoint("None", 1, (1, None), (2, None))], OPEN)


def test_a_user_certificate_always_signs() -> None:
    """Without a policy for its signature it would prove nothing."""
    assert token_for(CERTIFICATE, [endpoint("x", 1, (2, None))], SIGNED) == Token("2 None", URI + "Basic256Sha256")
    with pytest.raises(TransientError, match="could sign with"):
        token_for(CERTIFICATE, [endpoint("x", 1, (2, None))], OPEN)
