"""The guard at the door of one device: who we are, who the server may be, what runs out when. Lives over connections.

What it refuses is an error with words for an operator; what a person puts right counts at the next try.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from agent.collectors.opcua.trust.certificates import (
    UNREADABLE,
    Own,
    application_uri,
    application_uris,
    name_of,
    own_certificate,
    read_certificates,
    read_leaf,
    read_own,
    split_chain,
    thumbprint,
    unreadable,
)
from agent.collectors.opcua.trust.chain import ClaimedIdentity, Objection, host_names, key_objection, names_host
from agent.collectors.opcua.trust.security import ServerAccess
from agent.collectors.opcua.trust.trustlist import TrustList
from agent.core.clock import Clock
from agent.core.errors import PermanentError, TransientError
from agent.settings.values import read_secret
from agent.telemetry import metrics
from agent.telemetry.logging import get_logger

log = get_logger("opcua")

_AGAIN = 5.0  #: seconds until a server that is not trusted is asked again: somebody may have trusted it
_CLOCK_AGAIN = 30.0  #: the same while our own clock is not set
_DAY = 86_400.0
_LOOK = 10.0  #: seconds between two looks whether the trust list has changed under a connection
_MOST_SAID = 1000  #: a stranger with a new certificate each time must not fill the memory
_WARN_DAYS = (0, 7, 30, 60)  #: an expiry is logged when so many days are left


class TrustStanding(NamedTuple):
    """Who was let in by the trust list, and how that stood then."""

    chain: Sequence[x509.Certificate]
    visit: ClaimedIdentity
    state: object


class TrustGuard:
    """Verifies and identifies. `pki`: the folder of certificates under the agent's data directory."""

    def __init__(self, device: str, agent: str, access: ServerAccess, pki: Path, clock: Clock) -> None:
        self.access = access
        self._device, self._agent, self._pki, self._clock = device, agent, pki, clock
        self._trust = TrustList(pki)
        self._watched: dict[str, x509.Certificate] = {}
        self._said: set[tuple[object, ...]] = set()
        self._stands: TrustStanding | None = None

    # --- who we are ---------------------------------------------------------------------------------------------------

    def own(self) -> Own:
        """Certificate and key of the application: the configured ones, or the agent's. Raises PermanentError."""
        if self.access.certificate is not None and self.access.private_key is not None:
            own = read_own(self.access.certificate, self.access.private_key)
        else:
            own, made = own_certificate(self._pki, self._agent, self._now())
            if made:
                log.info("opcua.certificate_created", thumbprint=thumbprint(own.certificate), path=str(own.path))
        self._watch("own", own.certificate)
        return own

    def application_uri(self, own: Own | None) -> str:
        """What the application calls itself: servers hold it against the certificate."""
        return (application_uri(own.certificate) if own else None) or f"urn:edge-agent:{self._agent}"

    def password(self) -> str | None:
        """Of the configured user, read anew. Raises PermanentError."""
        if self.access.password is not None:
            return self.access.password.get_secret_value()
        if self.access.password_file is None:
            return None
        try:
            return read_secret(self.access.password_file)
        except OSError as error:
            raise unreadable(f"password_file {self.access.password_file} cannot be read", error) from error
        except ValueError as error:
            raise PermanentError(f"password_file {self.access.password_file} cannot be read: {error}") from error

    def user_certificate(self) -> Own | None:
        """Certificate and key of the configured user, read anew. Raises PermanentError."""
        if self.access.user_certificate is None or self.access.user_private_key is None:
            return None
        user = read_own(self.access.user_certificate, self.access.user_private_key)
        self._watch("user", user.certificate)
        return user

    # --- who the server is --------------------------------------------------------------------------------------------

    @property
    def minds_server(self) -> bool:
        """The server's certificate matters: for the channel, or for a password that is encrypted with it."""
        readable = self.access.allow_plain_password or not self.access.has_password
        return self.access.secured or self.access.server_certificate is not None or not readable

    @property
    def pinned(self) -> bytes | None:
        """The one certificate the server may have. Raises PermanentError."""
        if self.access.server_certificate is None:
            return None
        return read_leaf(self.access.server_certificate)

    def admit(self, der: bytes | None, uri: str | None, url: str) -> x509.Certificate:
        """The server's certificate, verified. `der`: as it sent it, issuers behind; `uri`: what it calls itself.

        Raises TransientError where it is not: the server may be given another one, or a person may trust it, at any
        moment; PermanentError where a file of the agent cannot be read.
        """
        try:
            chain = split_chain(der)
            if not chain:
                raise TransientError("the server has no certificate to be known by")
            return self._examine(chain, uri, url)
        except UNREADABLE as error:
            raise TransientError(f"the server's certificate cannot be read: {error}") from error

    def _examine(self, chain: Sequence[x509.Certificate], uri: str | None, url: str) -> x509.Certificate:
        certificate = chain[0]
        if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
            raise TransientError("the server's certificate has no RSA key", retry_after=_AGAIN)
        visit = ClaimedIdentity(self._device, url, self._hosts(url), uri if self.access.server_uri is None else None)
        self._admit(chain, visit)
        self._check_dates(certificate)
        self._watch("server", certificate)
        named = application_uris(certificate)
        self._check_name(certificate)
        expected = self.access.server_uri or uri
        if expected and expected not in named and self._once("uri", thumbprint(certificate), expected):
            log.warning("opcua.certificate_mismatch", device=self._device, certificate=_listed(named), server=expected)
        return certificate

    def _hosts(self, url: str) -> Sequence[str]:
        """The server's host as configured; of a server that calls us nothing is known."""
        if self.access.server_name is not None:
            return [self.access.server_name]
        urls = [one for one in (url, self.access.endpoint_url) if one and one.startswith("opc.tcp:")]
        return [host for one in urls if (host := urlsplit(one).hostname)]

    def _check_name(self, certificate: x509.Certificate) -> None:
        """What the configuration says about the certificate counts however it is trusted."""
        uri, host = self.access.server_uri, self.access.server_name
        if uri is not None and uri not in (named := application_uris(certificate)):
            raise _another("server_uri", uri, named)
        if host is not None and not names_host(certificate, host):
            raise _another("server_name", host, host_names(certificate))

    def _admit(self, chain: Sequence[x509.Certificate], visit: ClaimedIdentity) -> None:
        certificate, name = chain[0], thumbprint(chain[0])
        self._stands = None
        objection = self._objection(chain, visit)
        if objection is None:
            self._said = {fact for fact in self._said if fact[:2] != ("rejected", name)}
            return
        kept = self._keep(certificate, visit.url or "")
        command = objection.remedy or f"edge-agent trust -c agent.yaml {name}"
        if self._once("rejected", name, objection.reason):
            log.warning(
                "opcua.certificate_rejected",
                device=self._device,
                thumbprint=name,
                subject=name_of(certificate),
                reason=objection.reason,
                kept=kept,
                command=command,
            )
        words = f"the server's certificate {name} is not accepted: {objection} -> {command}"
        raise TransientError(words, retry_after=_AGAIN)

    def _objection(self, chain: Sequence[x509.Certificate], visit: ClaimedIdentity) -> Objection | None:
        certificate = chain[0]
        if self.access.secured and (weak := key_objection(certificate)) is not None:
            return weak
        if self.access.server_certificate is not None:
            pinned = read_certificates(self.access.server_certificate)[0]
            if certificate == pinned:
                return None
            return Objection(
                f"another one is pinned ({self.access.server_certificate}, {thumbprint(pinned)})",
                "put the new one into server_certificate if the server was given one",
            )
        state = self._trust.state()
        found = self._trust.objection(chain, self._now(), visit)
        if found is None:
            self._stands = TrustStanding(chain, visit, state)
        return found

    def _keep(self, certificate: x509.Certificate, url: str) -> bool:
        try:
            self._trust.reject(certificate, self._device, url)
        except OSError:
            return False  # said in the event: what is refused stays refused, the disk has no say in it
        return True

    def _check_dates(self, certificate: x509.Certificate) -> None:
        now = self._now()
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if start <= now <= end or self.access.allow_expired:
            return
        words = f"the server's certificate is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}"
        if not self._clock.synced:
            raise TransientError(
                f"{words}, and this machine's clock is not set ({now:%Y-%m-%d})", retry_after=_CLOCK_AGAIN
            )
        raise TransientError(
            f"{words}, and it is {now:%Y-%m-%d} -> renew it; or write security: {{allow_expired: true}}",
            retry_after=_CLOCK_AGAIN,
        )

    async def attend(self) -> None:
        """Raise TransientError once the trust list takes back what it said about the server of this connection.

        Looked at twice: a list that is just being written is not read for what it says in the middle.
        """
        doubted = False
        while True:
            await self._clock.sleep(_LOOK)
            stands = self._stands
            try:
                state = self._trust.state()
            except OSError:  # descriptors ran out, say: no news
                continue
            if stands is None or (not doubted and state == stands.state):
                continue
            found = self._trust.objection(stands.chain, self._now(), stands.visit)
            if found is None:
                doubted, self._stands = False, stands._replace(state=state)
            elif doubted:
                raise TransientError(f"the server's certificate is accepted no longer: {found}")
            else:
                doubted = True

    # --- what runs out ------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look at the dates of what is in use once a day, for ever."""
        while True:
            await self._clock.sleep(_DAY)
            for which, certificate in self._watched.items():
                self._watch(which, certificate)

    def _watch(self, which: str, certificate: x509.Certificate) -> None:
        self._watched[which] = certificate
        end = certificate.not_valid_after_utc
        metrics.CERT_EXPIRY.labels(self._device, which).set(end.timestamp())
        days = (end - self._now()).total_seconds() / _DAY
        due = next((limit for limit in _WARN_DAYS if days <= limit), None)
        if due is not None and self._clock.synced and self._once("expiry", which, thumbprint(certificate), due):
            log.warning(
                "opcua.certificate_expiring",
                device=self._device,
                certificate=which,
                thumbprint=thumbprint(certificate),
                expires=end.isoformat(),
                days=int(days),
            )

    def _once(self, *fact: object) -> bool:
        if fact in self._said:
            return False
        if len(self._said) >= _MOST_SAID:
            self._said.clear()
        self._said.add(fact)
        return True

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.now_ms() / 1000, dt.UTC)


def _another(key: str, expected: str, named: Sequence[str]) -> TransientError:
    return TransientError(
        f"the certificate of {expected} is expected, but the server shows that of {_listed(named)} -> write that as "
        f"{key} if it is the one you mean",
        retry_after=_AGAIN,
    )


def _listed(names: Sequence[str]) -> str | None:
    """For people."""
    return ", ".join(names) or None
