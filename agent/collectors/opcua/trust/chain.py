"""Whether a certificate is the server's that is meant (OPC 10000-4, 6.1.3, in its order). Pure.

A person who trusted the certificate itself has looked at it, for one device: names, usage and issuers are not held
against it then. An authority vouches for whatever it has issued, the neighbour's certificate too: there the certificate
has to say that it is this server's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent.collectors.opcua.trust.bounds import covers, out_of_bounds
from agent.collectors.opcua.trust.certificates import (
    UNREADABLE,
    application_uris,
    issuer_of,
    name_of,
    subject_of,
    thumbprint,
)

_LONGEST_CHAIN = 8
_SHORTEST_KEY, _LONGEST_KEY = 2048, 4096  #: RSA bits of each policy there is here (OPC 10000-7, 6.6)
_MOST_EXPONENT = 64  #: bits; with one as long as its key a signature takes ten times as long to verify
_SHORTEST_CURVE = 256
_WEAK = (hashes.MD5, hashes.SHA1)
_PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_NEW_ONE = "give the server a new certificate"


class Objection(NamedTuple):
    """Why a certificate is not accepted."""

    reason: str
    remedy: str | None = None  #: what to do; None: trust the certificate itself, once it was looked at

    def __str__(self) -> str:
        return self.reason


class ClaimedIdentity(NamedTuple):
    """What the configuration and the server say about who it is."""

    device: str | None = None
    url: str | None = None  #: it was reached at
    hosts: Collection[str] = ()  #: one of them has to stand in the certificate; none: not known
    uri: str | None = None  #: what the server calls itself


class Trusted(NamedTuple):
    """A certificate that a person put into the list."""

    certificate: x509.Certificate
    shown: Collection[tuple[str, str]] = ()  #: device and URL it was trusted for; none: each, and what it has issued


class Shelf(NamedTuple):
    """The trust list, read."""

    trusted: Sequence[Trusted]
    issuers: Sequence[x509.Certificate]
    revocations: Sequence[x509.CertificateRevocationList]


def key_objection(certificate: x509.Certificate) -> Objection | None:
    """What the policy has against its key. Nobody can trust that away: it could be computed."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return Objection("it has no RSA key", _NEW_ONE)
    if not _SHORTEST_KEY <= key.key_size <= _LONGEST_KEY:
        return Objection(
            f"its key has {key.key_size} bits, the policy takes {_SHORTEST_KEY} to {_LONGEST_KEY}", _NEW_ONE
        )
    exponent = key.public_numbers().e.bit_length()
    if exponent > _MOST_EXPONENT:
        return Objection(
            f"its key has a public exponent of {exponent} bits, at most {_MOST_EXPONENT} are taken", _NEW_ONE
        )
    return None


def objection(
    chain: Sequence[x509.Certificate], shelf: Shelf, visit: ClaimedIdentity, now: dt.datetime
) -> Objection | None:
    """Why the first of these certificates is not accepted; None: it is. Its own dates are not looked at here."""
    leaf = chain[0]
    if len(chain) > _LONGEST_CHAIN:  # each may have issued each, and a signature takes its time
        return Objection(f"it comes with {len(chain) - 1} others, at most {_LONGEST_CHAIN - 1} are taken", _NEW_ONE)
    itself = [one for one in shelf.trusted if one.certificate == leaf]
    known = [*(one.certificate for one in shelf.trusted if not one.shown), *shelf.issuers, *chain[1:]]
    if any(_meant(one, visit) for one in itself):
        links = (leaf, _issuers(leaf, known))
        return next(_revoked([links], known, shelf.revocations, now), None)
    authorities = {thumbprint(one.certificate) for one in shelf.trusted if not one.shown}
    path = _path(leaf, authorities, known, now)
    if isinstance(path, Objection):
        if itself:
            devices = ", ".join(dict.fromkeys(device for one in itself for device, _ in one.shown))
            return Objection(f"it is trusted as that of {devices}, not as that of {visit.device}")
        return next(_revoked([(leaf, _issuers(leaf, known))], known, shelf.revocations, now), path)
    return (
        next(_revoked(path, known, shelf.revocations, now), None)
        or _path_length(path)
        or _bounds(path)
        or _usage(leaf)
        or _names(leaf, visit)
    )


def _meant(one: Trusted, visit: ClaimedIdentity) -> bool:
    return not one.shown or visit.device is None or any(visit.device == by or visit.url == at for by, at in one.shown)


# --- the chain --------------------------------------------------------------------------------------------------------

_Links = list[tuple[x509.Certificate, Sequence[x509.Certificate]]]  #: each certificate with who may have issued it


def _path(
    leaf: x509.Certificate, authorities: set[str], known: Sequence[x509.Certificate], now: dt.datetime
) -> _Links | Objection:
    """From the certificate to an authority that is trusted."""
    links: _Links = []
    current, refused = leaf, Objection("nobody has trusted it")
    for _ in range(_LONGEST_CHAIN):
        issuers = _issuers(current, known)
        links.append((current, issuers))
        if current is not leaf and thumbprint(current) in authorities:
            return links
        valid = [one for one in issuers if one.not_valid_before_utc <= now <= one.not_valid_after_utc]
        if not valid or issuer_of(current) == subject_of(current):
            return refused
        current = next((one for one in valid if thumbprint(one) in authorities), valid[0])
        refused = Objection(f"its authority {name_of(current)} is not trusted")
    return Objection("its chain of authorities has no end")


def _issuers(certificate: x509.Certificate, known: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    issuer = issuer_of(certificate)
    return [one for one in known if issuer is not None and subject_of(one) == issuer and _issued(one, certificate)]


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """An authority, and this is its signature."""
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca or not _strong(issuer):
            return False
        if not _usage_of(issuer, "key_cert_sign") or isinstance(certificate.signature_hash_algorithm, _WEAK):
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _strong(issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _SHORTEST_KEY and key.public_numbers().e.bit_length() <= _MOST_EXPONENT
    return not isinstance(key, ec.EllipticCurvePublicKey) or key.key_size >= _SHORTEST_CURVE


def _usage_of(certificate: x509.Certificate, *names: str) -> bool:
    """Whether its key may be used for one of these; one that says nothing may."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return any(getattr(usage, name) for name in names)


def _path_length(path: _Links) -> Objection | None:
    """An authority may allow so many others below it, and no more (RFC 5280, 4.2.1.9)."""
    for below, (authority, _) in enumerate(path[1:]):
        most = authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        if most is not None and below > most:
            return Objection(f"its authority {name_of(authority)} allows {most} below it, here are {below}", _NEW_ONE)
    return None


def _bounds(path: _Links) -> Objection | None:
    broken = out_of_bounds([certificate for certificate, _ in path])
    return None if broken is None else Objection(broken)


# --- revocation -------------------------------------------------------------------------------------------------------


def _revoked(
    path: _Links,
    known: Sequence[x509.Certificate],
    revocations: Sequence[x509.CertificateRevocationList],
    now: dt.datetime,
) -> Iterator[Objection]:
    """A list counts if its authority has signed it; one that cannot be held against a key may hide anything."""
    for certificate, issuers in path:
        due, issuer = [], issuer_of(certificate)
        for revocation in (one for one in revocations if one.issuer == issuer):
            if any(_signed(revocation, issuer) for issuer in issuers):
                due.append(revocation)
            elif not any(_signed(revocation, one) for one in known if subject_of(one) == revocation.issuer):
                yield Objection(
                    f"the revocation list of {revocation.issuer.rfc4514_string()} cannot be checked: it is not signed "
                    "by that authority as it stands in trusted/ or issuers/",
                    "put the authority's certificate into pki/issuers/, or its list anew, or take the list away",
                )
        if any(one.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None for one in due):
            yield Objection(f"{name_of(certificate)} was revoked by its issuer", _NEW_ONE)
        whole = [one for one in due if covers(one, certificate)]
        if due and not whole and issuer != subject_of(certificate):
            lists = f"the revocation lists of {issuer and issuer.rfc4514_string()} tell nothing of"
            yield Objection(
                f"{lists} {name_of(certificate)}: parts only",
                "put the authority's whole list into pki/issuers/; taking the lists away gives revocation up",
            )
        newest = max((one.next_update_utc or dt.datetime.max.replace(tzinfo=dt.UTC) for one in whole), default=now)
        if newest < now:
            yield Objection(
                f"the revocation list of {issuer and issuer.rfc4514_string()} was to be renewed by {newest:%Y-%m-%d}",
                "put the authority's new list into pki/issuers/; taking the list away gives revocation up",
            )


def _signed(revocation: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    kinds = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)
    if not isinstance(key, (*kinds, dsa.DSAPublicKey)):
        return False
    try:
        return _usage_of(issuer, "crl_sign", "key_cert_sign") and revocation.is_signature_valid(key)
    except (InvalidSignature, UnsupportedAlgorithm, *UNREADABLE):
        return False


# --- whose certificate it is ------------------------------------------------------------------------------------------


def _usage(leaf: x509.Certificate) -> Objection | None:
    """What an authority has issued it for (OPC 10000-6, 6.2.2)."""
    try:
        if leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return Objection("it is an authority's, not a server's")
    except x509.ExtensionNotFound:
        pass
    if not _usage_of(leaf, "digital_signature") or not _usage_of(leaf, "key_encipherment", "data_encipherment"):
        return Objection("its key usage does not allow what a server does with it (signature, encipherment)")
    try:
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    if _PURPOSES.isdisjoint(purposes):
        return Objection("it was not issued for a server (extended key usage serverAuth)")
    return None


def _names(leaf: x509.Certificate, visit: ClaimedIdentity) -> Objection | None:
    named, uris = host_names(leaf), application_uris(leaf)
    if visit.hosts and not any(_same_host(host, name) for host in visit.hosts for name in named):
        reason = f"it is a certificate of {', '.join(named) or 'no host'}, not of {' or '.join(visit.hosts)}"
        return Objection(reason, _if_meant("server_name", leaf))
    if visit.uri and visit.uri not in uris:
        reason = f"it is that of the application {', '.join(uris) or '(none)'}, and the server calls itself {visit.uri}"
        return Objection(reason, _if_meant("server_uri", leaf))
    return None


def _if_meant(key: str, leaf: x509.Certificate) -> str:
    return (
        f"somebody else may answer there; if it is the one that is meant, write {key}: as the certificate has it, or "
        f"run edge-agent trust -c agent.yaml {thumbprint(leaf)}"
    )


def host_names(certificate: x509.Certificate) -> list[str]:
    """Host names and addresses it was made for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def names_host(certificate: x509.Certificate, host: str) -> bool:
    """Whether it was made for this host."""
    return any(_same_host(host, name) for name in host_names(certificate))


def _same_host(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return one.rstrip(".").lower() == other.rstrip(".").lower()
