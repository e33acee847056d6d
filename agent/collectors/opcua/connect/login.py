"""One session's beginning: CreateSession and ActivateSession (OPC 10000-4, 5.7.2, 5.7.3 and 7.40).

The library's own way picks the first endpoint that fits and would send a password readable where the server leaves the
choice to it.
"""

from __future__ import annotations

import os
from typing import Any

from asyncua import ua
from asyncua.crypto import security_policies, uacrypto
from asyncua.crypto.security_policies import SecurityPolicy
from cryptography.exceptions import InvalidSignature

from agent.collectors.opcua.connect.endpoints import ANONYMOUS, CERTIFICATE, USER_NAME, Token, matching, token_for
from agent.collectors.opcua.trust.certificates import Own, leaf, split_chain
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.core.errors import TransientError

_NONCE_BYTES = 32  #: OPC 10000-4, 5.7.2

_crypto: Any = uacrypto  # the library's crypto has no annotations
_policies: Any = security_policies


class SessionLogin:
    """One session on one channel, for one user; secrets are read when it is made."""

    def __init__(self, guard: TrustGuard, channel: SecurityPolicy, own: Own | None) -> None:
        self._guard, self._access = guard, guard.access
        self._channel: Any = channel
        self._own = own
        self._nonce = os.urandom(_NONCE_BYTES)
        self._password = guard.password()
        self._user = guard.user_certificate()

    def creation(self, url: str, name: str, timeout_ms: float) -> ua.CreateSessionParameters:
        """The first request. `url`: what the server is told it is called."""
        about = ua.ApplicationDescription()
        about.ApplicationUri = self._guard.application_uri(self._own)
        about.ProductUri = "urn:edge-agent"
        about.ApplicationName = ua.LocalizedText("edge-agent")
        about.ApplicationType = ua.ApplicationType.Client
        request: Any = ua.CreateSessionParameters()
        request.ClientDescription = about
        request.EndpointUrl = url
        request.SessionName = name
        request.ClientNonce = self._nonce
        request.ClientCertificate = self._channel.host_certificate
        request.RequestedSessionTimeout = timeout_ms
        return request  # type: ignore[no-any-return]

    def check(self, created: ua.CreateSessionResult, url: str) -> bytes | None:
        """The certificate it showed: it is who it was and holds its key. Raises TransientError."""
        endpoint = matching(created.ServerEndpoints, self._access)[0]
        shown = _certificate(created, endpoint)
        if self._guard.minds_server:
            self._guard.admit(shown, endpoint.Server.ApplicationUri, url)
            if self._access.secured and self._channel.peer_certificate != leaf(shown):
                raise TransientError("the server's certificate changed while it was connected to")
        if self._access.secured:
            signed = (self._channel.host_certificate or b"") + self._nonce
            try:
                self._channel.asymmetric_cryptography.verify(signed, created.ServerSignature.Signature)
            except InvalidSignature:
                raise TransientError("the server could not prove that it holds its certificate's key") from None
        return shown

    def activation(self, created: ua.CreateSessionResult) -> ua.ActivateSessionParameters:
        """The second request: who we are. Raises TransientError where the server takes no such user."""
        endpoints = matching(created.ServerEndpoints, self._access)
        chain = split_chain(shown := _certificate(created, endpoints[0]))
        server = leaf(shown) if chain else b""
        nonce = created.ServerNonce or b""
        request: Any = ua.ActivateSessionParameters()
        request.LocaleIds = ["en"]
        if self._access.secured:
            request.ClientSignature.Algorithm = self._channel.AsymmetricSignatureURI
            request.ClientSignature.Signature = self._channel.asymmetric_cryptography.signature(server + nonce)
        identity: Any
        if self._user is not None:
            token = token_for(CERTIFICATE, endpoints, self._access)
            identity = ua.X509IdentityToken()
            certificates = [self._user.certificate, *self._user.chain]
            identity.CertificateData = b"".join(_crypto.der_from_x509(one) for one in certificates)
            signature, algorithm = _policies.sign_asymmetric(self._user.key, server + nonce, token.policy_uri)
            request.UserTokenSignature.Signature = signature
            request.UserTokenSignature.Algorithm = algorithm
        elif self._access.username is not None:
            token = token_for(USER_NAME, endpoints, self._access)
            identity = ua.UserNameIdentityToken()
            identity.UserName = self._access.username
            identity.Password, identity.EncryptionAlgorithm = self._said(token, server, nonce)
        else:
            token = token_for(ANONYMOUS, endpoints, self._access)
            identity = ua.AnonymousIdentityToken()
        identity.PolicyId = token.policy_id
        request.UserIdentityToken = identity
        return request  # type: ignore[no-any-return]

    def _said(self, token: Token, server: bytes, nonce: bytes) -> tuple[bytes | None, str | None]:
        """The password as this token wants it (OPC 10000-4, 7.40.2): length, password and nonce, encrypted."""
        if self._password is None:
            return None, None
        plain = self._password.encode()
        if token.policy_uri is None:
            return plain, None
        key = split_chain(server)[0].public_key()
        secret = (len(plain) + len(nonce)).to_bytes(4, "little") + plain + nonce
        return _policies.encrypt_asymmetric(key, secret, token.policy_uri)  # type: ignore[no-any-return]


def _certificate(created: ua.CreateSessionResult, endpoint: Any) -> bytes | None:
    """The server's, as it was sent: over an open channel many name it in their endpoints only."""
    sent: bytes | None = created.ServerCertificate or endpoint.ServerCertificate
    return sent
