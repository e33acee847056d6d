"""Certificates for OPC UA tests: RSA, with application URI, self-signed or by an authority."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in memory and as files."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    der: Path
    pem: Path

    @property
    def thumbprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303

    @property
    def raw(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def make_pair(
    folder: Path,
    name: str,
    *,
    uri: str | None = "urn:test:server",
    issuer: Pair | None = None,
    authority: bool = False,
    starts: dt.timedelta = -10 * DAY,
    ends: dt.timedelta = 300 * DAY,
) -> Pair:
    """Write `name.der` and `name.pem` (the key). `starts` and `ends` count from now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True,
        key_agreement=False, key_cert_sign=True, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    if uri is not None:
        names.append(x509.UniformResourceIdentifier(uri))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    der, pem = folder / f"{name}.der", folder / f"{name}.pem"
    der.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Pair(certificate, key, der, pem)
