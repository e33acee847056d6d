"""Certificates and keys: read, looked at, and our own one made once (OPC 10000-6, 6.2.2).

The own certificate is never replaced by the agent: every server was told to trust exactly this one.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.collectors.opcua.trust.der import first_element, without_explicit_false
from agent.collectors.opcua.trust.files import give_to_owner, make_folder, write_durably
from agent.core.errors import AgentError, PermanentError, TransientError, exhausted
from agent.core.regular import read_regular

LARGEST = 16 << 20  #: bytes of a file of certificates, a key, or a revocation list

#: What looking into a certificate may raise: it is only decoded when it is looked at, and a stranger may have sent it.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_KEY_BITS = 2048  #: what every policy takes (2048 to 4096) and small controllers can still verify in time
_LIFE = dt.timedelta(days=3652)  #: ten years: replacing it means a visit to every server
_BACKDATED = dt.timedelta(days=1)  #: the clocks of controllers run behind
_NOT_BEFORE = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)  #: a gateway without a clock must not make one that has expired
_CERTIFICATE, _KEY = "certificate.der", "private_key.pem"


class Own(NamedTuple):
    """A certificate that we hold the key of."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    chain: Sequence[x509.Certificate]  #: of its issuers, without itself
    path: Path


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-1 of the DER, as OPC UA tools show it: it names a certificate, it does not protect one."""
    return certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303  # the standard's thumbprint


def application_uris(certificate: x509.Certificate) -> list[str]:
    """The applications the certificate was made for: one by the standard, more where it was made for several."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def application_uri(certificate: x509.Certificate) -> str | None:
    """The (first) application the certificate was made for."""
    return next(iter(application_uris(certificate)), None)


def subject_of(certificate: x509.Certificate) -> x509.Name | None:
    """None where it cannot be read: an umlaut in another encoding is no reason to refuse what somebody trusts."""
    try:
        return certificate.subject
    except UNREADABLE:
        return None


def issuer_of(certificate: x509.Certificate) -> x509.Name | None:
    """The same of its issuer."""
    try:
        return certificate.issuer
    except UNREADABLE:
        return None


def name_of(certificate: x509.Certificate) -> str:
    """For people: its subject, or its thumbprint where that is empty or cannot be read."""
    name = subject_of(certificate)
    return (name and name.rfc4514_string()) or thumbprint(certificate)


def split_chain(der: bytes | None) -> list[x509.Certificate]:
    """Certificates that follow each other, as servers send theirs with its issuers. Raises ValueError.

    Zeros behind the last one are filling.
    """
    found = []
    left = der or b""
    while left.strip(b"\0"):
        one = first_element(left)
        found.append(_load(one))
        left = left[len(one) :]
    return found


def leaf(der: bytes | None) -> bytes:
    """The first of them, byte by byte as it was sent. Raises ValueError."""
    return first_element(der or b"")


def _load(der: bytes) -> x509.Certificate:
    """Raises ValueError. What is wrong inside one that can be loaded is told where it is looked at."""
    certificate = None
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions  # decoded only when it is looked at
    except UNREADABLE:
        mended = without_explicit_false(der)
        if mended != der:
            return x509.load_der_x509_certificate(mended)
        if certificate is None:
            raise
    return certificate


def unreadable(what: str, error: OSError) -> AgentError:
    """A file of the agent that cannot be read waits for a person; where descriptors ran out it is as good as it was."""
    kind = TransientError if exhausted(error) else PermanentError
    return kind(f"{what}: {error.strerror}")


def read_certificates(path: Path) -> list[x509.Certificate]:
    """One or more certificates of a file, DER or PEM. Raises PermanentError."""
    try:
        content = read_regular(path, LARGEST)
        found = x509.load_pem_x509_certificates(content) if b"-----BEGIN" in content else split_chain(content)
    except OSError as error:
        raise unreadable(f"certificate {path}", error) from error
    except UNREADABLE as error:
        raise PermanentError(f"certificate {path} cannot be read: {error}", "DER or PEM is wanted") from error
    if not found:
        raise PermanentError(f"certificate {path} is empty")
    return found


def read_leaf(path: Path) -> bytes:
    """The first certificate of a file byte by byte, as its owner has it. Raises PermanentError."""
    found = read_certificates(path)
    content = read_regular(path, LARGEST)
    if b"-----BEGIN" in content:
        return found[0].public_bytes(serialization.Encoding.DER)
    return first_element(content)


def read_own(certificate: Path, key: Path) -> Own:
    """A certificate with its key, PEM or DER. Raises PermanentError, also where they do not belong together."""
    found = read_certificates(certificate)
    try:
        content = read_regular(key, LARGEST)
        load = serialization.load_pem_private_key if b"-----BEGIN" in content else serialization.load_der_private_key
        private = load(content, password=None)
    except OSError as error:
        raise unreadable(f"private key {key}", error) from error
    except UNREADABLE as error:
        raise PermanentError(f"private key {key} cannot be read: {error}", "PEM or DER, not encrypted") from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise PermanentError(f"private key {key} is no RSA key", "OPC UA's policies want RSA, 2048 to 4096 bits")
    if private.public_key() != found[0].public_key():
        raise PermanentError(f"private key {key} does not belong to certificate {certificate}")
    return Own(found[0], private, found[1:], certificate)


def own_certificate(pki: Path, agent: str, now: dt.datetime) -> tuple[Own, bool]:
    """The agent's own certificate under `pki`, and whether it was made just now. Raises PermanentError.

    Made in the calling thread: it takes a moment once in the life of a data directory, and devices that start together
    must get the same one. A certificate or key that is missing or broken is not made anew: see the head of this file.
    """
    folder = pki / "own"
    made = False
    try:
        if not folder.exists():
            made = _make(folder, agent, now)
    except OSError as error:
        raise PermanentError(f"the agent's certificate cannot be kept in {folder}: {error.strerror}") from error
    try:
        return read_own(folder / _CERTIFICATE, folder / _KEY), made
    except PermanentError as error:
        hint = f"restore it from a backup; or move {folder} away, have a new one made and trust that at every server"
        raise PermanentError(error.reason, hint) from error


def _make(folder: Path, agent: str, now: dt.datetime) -> bool:
    """Both files or neither, and never over others: another process may do the same at this moment."""
    make_folder(folder.parent)
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    certificate = _self_signed(key, agent, now)
    draft = Path(tempfile.mkdtemp(prefix=".own-", dir=folder.parent))
    try:
        give_to_owner(draft)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_durably(draft / _KEY, pem, mode=0o600)
        write_durably(draft / _CERTIFICATE, certificate.public_bytes(serialization.Encoding.DER))
        try:
            draft.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            return False
        return True
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _self_signed(key: rsa.RSAPrivateKey, agent: str, now: dt.datetime) -> x509.Certificate:
    """Names the agent, not the host: the host name of a container changes, the application URI must not."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"edge-agent {agent}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "edge-agent"),
        ]
    )
    start = max(now, _NOT_BEFORE) - _BACKDATED
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    names = [x509.UniformResourceIdentifier(f"urn:edge-agent:{agent}"), x509.DNSName(agent)]
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
