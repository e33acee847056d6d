"""The trust list on disk: which server certificates are accepted (OPC 10000-4, 6.1.3; OPC 10000-12, 7.8).

    pki/trusted/    accepted as they are; an authority in here vouches for all it has issued
    pki/issuers/    authorities needed to build a chain, not trusted by themselves; *.crl: what they have revoked
    pki/rejected/   <thumbprint>.der: seen and refused, with who showed it in <thumbprint>.json

Read at every connection, so that what a person moves takes effect without a restart.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from agent.collectors.opcua.trust.certificates import UNREADABLE, read_certificates, thumbprint
from agent.core.errors import PermanentError

_SUFFIXES = {".der", ".pem", ".crt", ".cer"}
_LONGEST_CHAIN = 8
_MOST_REJECTED = 100  #: a stranger that shows a new certificate each time must not fill the disk


class TrustEntry(NamedTuple):
    """A certificate of the list, for people."""

    thumbprint: str
    certificate: x509.Certificate
    path: Path
    device: str | None = None  #: who showed it
    url: str | None = None


class TrustList:
    """The folder `pki`. Nothing of it need exist."""

    def __init__(self, pki: Path) -> None:
        self._pki = pki

    def objection(self, chain: Sequence[x509.Certificate], now: dt.datetime) -> str | None:
        """Why the first of these certificates is not trusted; None: it is. Its own dates are not looked at here."""
        trusted, broken = self._read("trusted")
        issuers, more_broken = self._read("issuers")
        try:
            revocations = self._revocations()
        except (OSError, ValueError) as error:
            return str(error)
        known = [*trusted, *issuers, *chain[1:]]
        reason = _objection(chain[0], {thumbprint(one) for one in trusted}, known, revocations, now)
        if reason is not None and (broken := broken + more_broken):
            reason += f" (and {', '.join(broken)} cannot be read)"
        return reason

    def reject(self, certificate: x509.Certificate, device: str, url: str) -> None:
        """Keep it for a person to look at. Raises OSError."""
        folder = self._pki / "rejected"
        folder.mkdir(parents=True, exist_ok=True)
        name = thumbprint(certificate)
        for old in sorted(folder.glob("*.der"), key=lambda path: path.stat().st_mtime)[: -_MOST_REJECTED + 1 or None]:
            if len(list(folder.glob("*.der"))) >= _MOST_REJECTED and old.stem != name:
                _remove(old)
        (folder / f"{name}.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        (folder / f"{name}.json").write_text(json.dumps({"device": device, "url": url}), encoding="utf-8")

    def entries(self, state: str) -> list[TrustEntry]:
        """What stands in `trusted` or `rejected`, newest first; what cannot be read is left out."""
        found = []
        for path in self._files(state):
            try:
                certificate = read_certificates(path)[0]
            except PermanentError:
                continue
            about = _about(path)
            found.append(TrustEntry(thumbprint(certificate), certificate, path, about.get("device"), about.get("url")))
        return sorted(found, key=lambda entry: entry.path.stat().st_mtime, reverse=True)

    def move(self, entry: TrustEntry, to: str) -> None:
        """Into `trusted` or `rejected`. Raises OSError."""
        folder = self._pki / to
        folder.mkdir(parents=True, exist_ok=True)
        about = entry.path.with_suffix(".json")
        target = folder / f"{entry.thumbprint}.der"
        target.write_bytes(entry.certificate.public_bytes(serialization.Encoding.DER))
        if about.exists():
            about.replace(target.with_suffix(".json"))
        entry.path.unlink()

    def _files(self, folder: str) -> list[Path]:
        try:
            return sorted(path for path in (self._pki / folder).iterdir() if path.suffix.lower() in _SUFFIXES)
        except OSError:
            return []

    def _read(self, folder: str) -> tuple[list[x509.Certificate], list[str]]:
        found: list[x509.Certificate] = []
        broken = []
        for path in self._files(folder):
            try:
                found += read_certificates(path)
            except PermanentError:
                broken.append(f"{folder}/{path.name}")
        return found, broken

    def _revocations(self) -> list[x509.CertificateRevocationList]:
        found = []
        for path in sorted((self._pki / "issuers").glob("*.crl")):
            content = path.read_bytes()
            pem = b"-----BEGIN" in content
            try:
                found.append(x509.load_pem_x509_crl(content) if pem else x509.load_der_x509_crl(content))
            except ValueError as error:
                raise ValueError(f"the revocation list issuers/{path.name} cannot be read") from error
        return found


def _about(path: Path) -> dict[str, str]:
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


def _objection(
    leaf: x509.Certificate,
    trusted: set[str],
    known: Sequence[x509.Certificate],
    revocations: Iterable[x509.CertificateRevocationList],
    now: dt.datetime,
) -> str | None:
    lists = list(revocations)
    current, refused = leaf, "nobody has trusted it"
    for _ in range(_LONGEST_CHAIN):
        issuers = [one for one in known if one.subject == current.issuer and _issued(one, current)]
        if any(_revokes(revocation, current, issuers) for revocation in lists):
            return f"{_name(current)} was revoked by its issuer"
        if thumbprint(current) in trusted:
            return None
        valid = [one for one in issuers if one.not_valid_before_utc <= now <= one.not_valid_after_utc]
        if not valid or current.issuer == current.subject:
            return refused
        current, refused = valid[0], f"its authority {_name(valid[0])} is not trusted"
    return "its chain of authorities has no end"


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """An authority, and this is its signature."""
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _revokes(
    revocation: x509.CertificateRevocationList, certificate: x509.Certificate, issuers: Sequence[x509.Certificate]
) -> bool:
    if revocation.issuer != certificate.issuer:
        return False
    keys = [key for one in issuers if isinstance(key := one.public_key(), rsa.RSAPublicKey)]
    if not any(revocation.is_signature_valid(key) for key in keys):
        return False
    return revocation.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or thumbprint(certificate)
