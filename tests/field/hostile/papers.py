"""Certificates as an attacker on the plant network would like to have them. Keys are shared: making them is slow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache
from ipaddress import ip_address
from itertools import count
from math import gcd, lcm
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.opcua_pki import DAY

NOW = dt.datetime.now(dt.UTC)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Paper(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@cache
def rsa_key(bits: int = 2048, which: int = 0) -> rsa.RSAPrivateKey:
    """One for all who ask."""
    del which
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def slow_key() -> rsa.RSAPrivateKey:
    """Its public exponent is as long as the key: what it signed takes ten times as much to verify."""
    numbers = rsa_key().private_numbers()
    p, q = numbers.p, numbers.q
    order = lcm(p - 1, q - 1)
    private = next(number for number in count((1 << 1600) + 1, 2) if gcd(number, order) == 1)
    public = rsa.RSAPublicNumbers(pow(private, -1, order), p * q)
    made = rsa.RSAPrivateNumbers(p, q, private, private % (p - 1), private % (q - 1), pow(q, -1, p), public)
    return made.private_key(unsafe_skip_rsa_key_validation=True)


def paper(
    name: str,
    issuer: Paper | None = None,
    *,
    key: Key | None = None,
    authority: bool = False,
    path_length: int | None = None,
    uri: str = "urn:plc-1",
    hosts: Sequence[str] = ("plc-1.plant",),
    purposes: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    signs: bool = True,
    enciphers: bool = True,
    critical: Sequence[x509.ExtensionType] = (),
) -> Paper:
    """A certificate signed by `issuer`, or by itself."""
    own: Key = key or rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=signs, content_commitment=signs, key_encipherment=enciphers, data_encipherment=enciphers,
        key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)]
    names += [x509.IPAddress(ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in hosts]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(NOW + 300 * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if purposes:
        made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension in critical:
        made = made.add_extension(extension, critical=True)
    return Paper(made.sign(issuer.key if issuer else own, hashes.SHA256()), own)


def revocation(
    issuer: Paper, *revoked: Paper, days: int = 30, key: Key | None = None, critical: x509.ExtensionType | None = None
) -> bytes:
    """A list that is to be renewed in so many days."""
    made = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    made = made.last_update(NOW - 20 * DAY).next_update(NOW + days * DAY)
    if critical is not None:
        made = made.add_extension(critical, critical=True)
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
        made = made.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
    return made.sign(key or issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)
