"""How a device is reached: security of the channel, who we are, what is allowed. Configuration and its plan; no I/O.

What is asked for is what is done, or nothing: there is no fallback to a weaker policy, mode or way to say a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import SecretStr, model_validator

from agent.settings.model import Model
from agent.settings.values import FilePath

Policy = Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
Mode = Literal["None", "Sign", "SignAndEncrypt"]

_POLICY_URI = "http://opcfoundation.org/UA/SecurityPolicy#"  #: OPC 10000-7


class SecuritySettings(Model):
    """Security of the channel. Exactly what is written here is used, never less."""

    policy: Policy = "None"
    """Security policy; never another one than this."""
    mode: Mode | None = None
    """Message security mode; default: SignAndEncrypt, or None with policy None."""
    certificate: FilePath | None = None
    """Own certificate, DER or PEM (further ones in a PEM are its chain); default: one made once under `data_dir`."""
    private_key: FilePath | None = None
    """Its private key, PEM or DER, not encrypted."""
    server_certificate: FilePath | None = None
    """The server's certificate, pinned: no other is accepted; default: the trust list (`edge-agent trust`)."""
    allow_expired: bool = False
    """Accept a server certificate outside its dates, as controllers keep theirs for decades."""
    allow_plain_password: bool = False
    """Let the password cross the network readable where channel and server offer nothing better."""

    @model_validator(mode="after")
    def _fits_together(self) -> SecuritySettings:
        if self.policy == "None" and self.mode not in (None, "None"):
            raise ValueError(f"mode: {self.mode} needs a policy; write policy: Basic256Sha256, or take mode: away")
        if self.policy != "None" and self.mode == "None":
            raise ValueError(f"policy: {self.policy} needs mode: Sign or mode: SignAndEncrypt")
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key belong together; write both, or neither to have one made")
        if self.policy == "None" and self.certificate is not None:
            raise ValueError("certificate is not used with policy: None; choose a policy, or remove it")
        return self


class ServerAccess(NamedTuple):
    """The plan of the above for one device, and the user it logs in as."""

    policy: Policy = "None"
    mode: Mode = "None"
    certificate: Path | None = None
    private_key: Path | None = None
    server_certificate: Path | None = None
    allow_expired: bool = False
    allow_plain_password: bool = False
    endpoint_url: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    user_certificate: Path | None = None
    user_private_key: Path | None = None
    server_uri: str | None = None  #: what the server's certificate must call it; None: what the server calls itself
    server_name: str | None = None  #: the host it must name; None: that of the URL

    @property
    def secured(self) -> bool:
        """The channel is at least signed: the server has proved who it is."""
        return self.policy != "None"

    @property
    def policy_uri(self) -> str:
        """The policy's name on the wire."""
        return _POLICY_URI + self.policy

    @property
    def has_password(self) -> bool:
        """A secret would be sent."""
        return self.password is not None or self.password_file is not None


def policy_name(uri: str | None) -> str:
    """`Basic256Sha256` for the URI of a policy."""
    return (uri or "None").removeprefix(_POLICY_URI)


def access_of(given: Mapping[str, Any]) -> ServerAccess:
    """The plan for a device, from the keys of its configuration."""
    asked = given["security"] or SecuritySettings()
    return ServerAccess(
        policy=asked.policy,
        mode=asked.mode or ("None" if asked.policy == "None" else "SignAndEncrypt"),
        certificate=asked.certificate,
        private_key=asked.private_key,
        server_certificate=asked.server_certificate,
        allow_expired=asked.allow_expired,
        allow_plain_password=asked.allow_plain_password,
        endpoint_url=given["endpoint_url"],
        username=given["username"],
        password=given["password"],
        password_file=given["password_file"],
        user_certificate=given["user_certificate"],
        user_private_key=given["user_private_key"],
        server_uri=given.get("server_uri") if (reverse := given.get("reverse")) is None else reverse.server_uri,
        server_name=given.get("server_name"),
    )


def check_user(access: ServerAccess) -> None:
    """Raise ValueError where a user's name has no password, or the password would be given away unasked."""
    if not access.has_password:
        raise ValueError("a user name without its password; write password_file: or password: ${NAME}")
    if access.user_certificate is not None:
        raise ValueError("username and user_certificate exclude each other; a session has one user")
    if not (access.secured or access.server_certificate is not None or access.allow_plain_password):
        raise ValueError(
            "the password would cross an unencrypted channel; write security: {policy: Basic256Sha256}, or pin the "
            "server (security: {server_certificate: ...}) so that the password alone is encrypted for it, or say "
            "security: {allow_plain_password: true}"
        )


def check_access(access: ServerAccess) -> None:
    """Raise ValueError where the parts do not fit together."""
    if access.password is not None and access.password_file is not None:
        raise ValueError("password and password_file exclude each other; keep one of them")
    if access.username is None and access.has_password:
        raise ValueError("a password without a user name; write username:")
    if (access.user_certificate is None) != (access.user_private_key is None):
        raise ValueError("user_certificate and user_private_key belong together; write both")
