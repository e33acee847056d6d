"""What authorities bind certificates and lists to, and what nobody here can judge (RFC 5280, 4.2, 5.2). Pure.

What is marked critical and not known counts as a no: that is what the mark means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import ExtensionOID as Oid

from agent.collectors.opcua.trust.certificates import UNREADABLE, name_of

#: Judged in chain.py and here; no policy is asked for, so none can be missing; what only helps to find others.
_JUDGED = {
    Oid.BASIC_CONSTRAINTS, Oid.KEY_USAGE, Oid.EXTENDED_KEY_USAGE, Oid.SUBJECT_ALTERNATIVE_NAME, Oid.NAME_CONSTRAINTS,
    Oid.CERTIFICATE_POLICIES, Oid.INHIBIT_ANY_POLICY, Oid.POLICY_CONSTRAINTS, Oid.POLICY_MAPPINGS,
    Oid.CRL_DISTRIBUTION_POINTS, Oid.ISSUER_ALTERNATIVE_NAME, Oid.SUBJECT_KEY_IDENTIFIER, Oid.AUTHORITY_KEY_IDENTIFIER,
}  # fmt: skip
_OF_LISTS = {Oid.ISSUING_DISTRIBUTION_POINT, Oid.CRL_NUMBER, Oid.AUTHORITY_KEY_IDENTIFIER}


def out_of_bounds(path: Sequence[x509.Certificate]) -> str | None:
    """What this chain breaks (its first certificate is the server's), in words."""
    for place, one in enumerate(path):
        name = name_of(one)
        try:
            unknown = next((found.oid for found in one.extensions if found.critical and found.oid not in _JUDGED), None)
            foreign = _foreign(one, path[:place])
        except UNREADABLE as error:
            return f"{name} cannot be read: {error}"
        if unknown is not None:
            return f"{name} has the critical extension {unknown.dotted_string}, which cannot be judged here"
        if foreign is not None:
            return f"its authority {name} may not issue for {_words(foreign)}"
    return None


def _foreign(authority: x509.Certificate, issued: Sequence[x509.Certificate]) -> x509.GeneralName | None:
    """A name in what it has issued, at once or by others, that lies outside of its bounds."""
    try:
        bounds = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    for name in (name for one in issued for name in _names(one)):
        permitted = [one for one in bounds.permitted_subtrees or () if _form(one) == _form(name)]
        excluded = [one for one in bounds.excluded_subtrees or () if _form(one) == _form(name)]
        inside = not permitted or any(_within(name, one, no_host=False) for one in permitted)
        if not inside or any(_within(name, one, no_host=True) for one in excluded):
            return name
    return None


def covers(revocation: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether a certificate that this list does not name is not revoked: deltas and parts tell nothing of others."""
    try:
        if any(one.critical and one.oid not in _OF_LISTS for one in revocation.extensions):
            return False
        part = revocation.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return True
    except UNREADABLE:
        return False
    try:
        authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    others = part.only_contains_user_certs if authority else part.only_contains_ca_certs
    return not (others or part.only_contains_attribute_certs or part.only_some_reasons)


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.subject)
    try:
        yield from certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return


def _within(name: x509.GeneralName, bound: x509.GeneralName, *, no_host: bool) -> bool:
    """4.2.1.10. `no_host`: what holds for a URI without one, which no bound can be held against."""
    if isinstance(name, x509.DNSName) and isinstance(bound, x509.DNSName):
        host, base = name.value.lower().rstrip("."), bound.value.lower().strip(".")
        return not base or host == base or host.endswith(f".{base}")
    if isinstance(name, x509.IPAddress) and isinstance(bound.value, IPv4Network | IPv6Network):
        return not isinstance(name.value, IPv4Network | IPv6Network) and name.value in bound.value
    if isinstance(name, x509.DirectoryName) and isinstance(bound, x509.DirectoryName):
        outer = _compared(bound.value)
        return _compared(name.value)[: len(outer)] == outer
    if isinstance(name, x509.RFC822Name) and isinstance(bound, x509.RFC822Name):
        mail, base = name.value.lower(), bound.value.lower()
        return mail == base if "@" in base else mail.endswith(base if base.startswith(".") else f"@{base}")
    if isinstance(name, x509.UniformResourceIdentifier) and isinstance(bound, x509.UniformResourceIdentifier):
        there, base = urlsplit(name.value).hostname, bound.value.lower()
        if there is None:
            return no_host
        return there.endswith(base) if base.startswith(".") else there == base
    return name == bound


def _form(name: x509.GeneralName) -> object:
    return (type(name), name.type_id) if isinstance(name, x509.OtherName) else type(name)


def _compared(name: x509.Name) -> list[frozenset[tuple[x509.ObjectIdentifier, str]]]:
    """Neither case nor the number of blanks counts (7.1)."""
    return [frozenset((one.oid, " ".join(str(one.value).casefold().split())) for one in rdn) for rdn in name.rdns]


def _words(name: x509.GeneralName) -> str:
    value = name.value
    return value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
