"""Which of a server's endpoints is the configured one, and how a user logs in to it. Pure: objects are looked at.

Nothing here ever chooses something weaker than what is asked for: it is there, or a TransientError lists what is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from agent.collectors.opcua.trust.security import ServerAccess, policy_name
from agent.core.errors import TransientError

_MODES = {1: "None", 2: "Sign", 3: "SignAndEncrypt"}  #: OPC 10000-4, 7.20
#: Another transport than this one has it in its address. Some leave that empty, in capitals, or without a scheme.
_ELSEWHERE = re.compile(r"(?!opc\.tcp:)[a-z0-9.+-]+://", re.IGNORECASE)

#: Policies a password may be encrypted with, best first. Basic128Rsa15 is left out: its padding gives secrets away.
_ENCRYPTING = ("Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Basic256")
#: Policies of a channel that the agent speaks, best first.
_CHANNELS = ("Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep")
_USERS = {0: "anonymous", 1: "user name", 2: "certificate", 3: "issued token"}  #: OPC 10000-4, 7.42
ANONYMOUS, USER_NAME, CERTIFICATE = 0, 1, 2
_UNLISTED = "anonymous"  #: policy of a user nobody has to be, where the server lists no policies at all


class Token(NamedTuple):
    """How the server wants a kind of user said."""

    policy_id: str | None
    policy_uri: str | None  #: what secret or signature is made with; None: the secret is not encrypted


def _mode(endpoint: Any) -> str:
    mode = _MODES.get(int(endpoint.SecurityMode), "?")
    return "None" if mode == "?" and policy_name(endpoint.SecurityPolicyUri) == "None" else mode


def matching(endpoints: Iterable[Any], access: ServerAccess) -> list[Any]:
    """The endpoints that are exactly what is configured, the one the server rates highest first.

    Raises TransientError with what the server offers: what is not there while it starts may be there later.
    """
    offered = [one for one in endpoints or () if not _ELSEWHERE.match((one.EndpointUrl or "").strip())]
    found = [
        one for one in offered if policy_name(one.SecurityPolicyUri) == access.policy and _mode(one) == access.mode
    ]
    if not found:
        raise TransientError(
            f"the server has no endpoint with {_both(access.policy, access.mode)}; it offers {offers(offered)} "
            "-> write one of these under security: or switch the wanted one on at the server"
        )
    return sorted(found, key=lambda one: -int(one.SecurityLevel or 0))


def _both(policy: str, mode: str) -> str:
    return "no security" if policy == "None" else f"{policy} {mode}"


def offers(endpoints: Iterable[Any]) -> str:
    """For people: `no security, Basic256Sha256 Sign, …`."""
    seen = {_both(policy_name(one.SecurityPolicyUri), _mode(one)): None for one in endpoints or ()}
    return ", ".join(seen) or "nothing"


def users(endpoints: Iterable[Any]) -> str:
    """Who may log in, for people: `anonymous, user name`."""
    seen = {_USERS.get(int(each.TokenType), "?"): None for one in endpoints for each in one.UserIdentityTokens or ()}
    return ", ".join(seen) or "nobody"


def secured(endpoints: Iterable[Any]) -> list[str]:
    """The policies with which a channel can be had encrypted, best first."""
    offered = {policy_name(one.SecurityPolicyUri) for one in endpoints if _mode(one) == "SignAndEncrypt"}
    return [policy for policy in _CHANNELS if policy in offered]


def token_for(kind: int, endpoints: Sequence[Any], access: ServerAccess) -> Token:
    """How a user of this kind is encoded for one of these endpoints (of one security). Raises TransientError.

    An empty policy means the channel's (OPC 10000-4, 7.41). For a password the strongest encryption that is offered is
    taken; without any, an encrypted channel will do, or the configuration's own word that it may be readable.
    """
    policies = [policy for endpoint in endpoints for policy in endpoint.UserIdentityTokens or ()]
    fitting = [
        Token(one.PolicyId, one.SecurityPolicyUri or access.policy_uri)
        for one in policies
        if int(one.TokenType) == kind
    ]
    if not policies and kind == ANONYMOUS:
        return Token(_UNLISTED, None)
    if not fitting:
        taken = ", ".join(dict.fromkeys(_USERS.get(int(one.TokenType), "?") for one in policies)) or "nobody"
        hint = "write username: and password_file:" if kind == ANONYMOUS else "switch it on at the server"
        raise TransientError(f"the server does not take {_USERS[kind]} users here; it takes {taken} -> {hint}")
    if kind == ANONYMOUS:
        return fitting[0]
    for name in _ENCRYPTING:
        for token in fitting:
            if policy_name(token.policy_uri) == name:
                return token
    if kind == CERTIFICATE:
        raise TransientError("the server names no policy that a user's certificate could sign with")
    if access.mode == "SignAndEncrypt" or access.allow_plain_password:
        plain = [token for token in fitting if policy_name(token.policy_uri) == "None"]
        if plain:
            return Token(plain[0].policy_id, None)
    raise TransientError(
        "the server wants the password readable over a channel that is not encrypted "
        "-> use security: {mode: SignAndEncrypt}; or, if you must, security: {allow_plain_password: true}"
    )
