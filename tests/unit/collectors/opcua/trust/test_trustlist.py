from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from agent.collectors.opcua.trust.certificates import (
    application_uri,
    own_certificate,
    read_certificates,
    read_own,
    split_chain,
    thumbprint,
)
from agent.collectors.opcua.trust.trustlist import TrustList
from agent.core.errors import PermanentError
from tests.support.opcua_pki import DAY, Pair, make_pair

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("papers")


@pytest.fixture(scope="module")
def authority(papers: Path) -> Pair:
    return make_pair(papers, "authority", uri=None, authority=True)


@pytest.fixture(scope="module")
def between(papers: Path, authority: Pair) -> Pair:
    return make_pair(papers, "between", uri=None, authority=True, issuer=authority)


@pytest.fixture(scope="module")
def server(papers: Path, between: Pair) -> Pair:
    return make_pair(papers, "server", issuer=between)


@pytest.fixture(scope="module")
def lone(papers: Path) -> Pair:
    return make_pair(papers, "lone")


def put(pki: Path, folder: str, *pairs: Pair) -> TrustList:
    (pki / folder).mkdir(parents=True, exist_ok=True)
    for pair in pairs:
        (pki / folder / pair.der.name).write_bytes(pair.raw)
    return TrustList(pki)


def revocation(issuer: Pair, *revoked: Pair) -> bytes:
    made = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    made = made.last_update(NOW - DAY).next_update(NOW + DAY)
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
        made = made.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
    return made.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


# --- the trust list ---------------------------------------------------------------------------------------------------


def test_nobody_is_trusted_by_an_empty_list(tmp_path: Path, lone: Pair) -> None:
    """There is no trust on first use."""
    assert TrustList(tmp_path / "pki").objection([lone.certificate], NOW) == ("nobody has trusted it", None)


def test_what_stands_in_the_list_is_trusted(tmp_path: Path, lone: Pair, server: Pair) -> None:
    """A certificate vouches for itself only."""
    trust = put(tmp_path, "trusted", lone)
    assert trust.objection([lone.certificate], NOW) is None
    assert trust.objection([server.certificate], NOW) == ("nobody has trusted it", None)


def test_an_authority_in_the_list_vouches_for_what_it_issued(
    tmp_path: Path, server: Pair, between: Pair, authority: Pair
) -> None:
    """Links of the chain may come from the server or from issuers/."""
    trust = put(tmp_path, "trusted", authority)
    assert trust.objection([server.certificate], NOW) == ("nobody has trusted it", None)
    assert trust.objection([server.certificate, between.certificate], NOW) is None
    put(tmp_path, "issuers", between)
    assert trust.objection([server.certificate], NOW) is None


def test_an_issuer_alone_is_no_trust(tmp_path: Path, server: Pair, between: Pair, authority: Pair) -> None:
    """What completes a chain does not begin one, neither from the disk nor from the server."""
    trust = put(tmp_path, "issuers", between, authority)
    chain = [server.certificate, between.certificate, authority.certificate]
    assert "CN=authority is not trusted" in str(trust.objection(chain, NOW))


def test_a_server_is_no_authority(tmp_path: Path, papers: Path, lone: Pair) -> None:
    """A trusted server's key cannot vouch for others."""
    child = make_pair(papers, "child", issuer=lone)
    assert put(tmp_path, "trusted", lone).objection([child.certificate], NOW) is not None


def test_a_namesake_of_an_authority_vouches_for_nothing(tmp_path: Path, papers: Path, server: Pair) -> None:
    """It is the signature that counts, not the name."""
    other = make_pair(papers / "other", "between", uri=None, authority=True)
    assert put(tmp_path, "trusted", other).objection([server.certificate], NOW) is not None


def test_an_authority_that_ran_out_vouches_no_longer(tmp_path: Path, server: Pair, between: Pair) -> None:
    """Dates of authorities count where the chain is built."""
    trust = put(tmp_path, "trusted", between)
    assert trust.objection([server.certificate], NOW) is None
    assert trust.objection([server.certificate], NOW + 400 * DAY) is not None


def test_what_was_revoked_is_not_trusted(tmp_path: Path, server: Pair, between: Pair, lone: Pair) -> None:
    """A list counts if it is signed by the authority it speaks for."""
    trust = put(tmp_path, "trusted", between, server)
    (tmp_path / "issuers").mkdir()
    (tmp_path / "issuers" / "a.crl").write_bytes(revocation(between))
    assert trust.objection([server.certificate], NOW) is None
    (tmp_path / "issuers" / "b.crl").write_bytes(revocation(between, server))
    assert "revoked" in str(trust.objection([server.certificate], NOW))


def test_a_revocation_list_that_cannot_be_read_refuses_all(tmp_path: Path, lone: Pair) -> None:
    """What it would have said is not known."""
    trust = put(tmp_path, "trusted", lone)
    put(tmp_path, "issuers")
    (tmp_path / "issuers" / "broken.crl").write_bytes(b"nothing")
    assert "broken.crl cannot be read" in str(trust.objection([lone.certificate], NOW))


def test_a_broken_file_in_the_list_is_named(tmp_path: Path, lone: Pair) -> None:
    """Whoever wonders why nothing is trusted sees it."""
    trust = put(tmp_path, "trusted")
    (tmp_path / "trusted" / "typo.der").write_bytes(b"nothing")
    assert "trusted/typo.der cannot be read" in str(trust.objection([lone.certificate], NOW))


def test_the_rejected_are_bounded(tmp_path: Path, lone: Pair, server: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger with a new certificate each time does not fill the disk; the oldest go."""
    monkeypatch.setattr("agent.collectors.opcua.trust.trustlist._MOST_REJECTED", 1)
    trust = TrustList(tmp_path)
    trust.reject(lone.certificate, "a", "opc.tcp://a")
    trust.reject(lone.certificate, "a", "opc.tcp://a")
    trust.reject(server.certificate, "b", "opc.tcp://b")
    assert [entry.device for entry in trust.entries("rejected")] == ["b"]
    assert sorted(path.suffix for path in (tmp_path / "rejected").iterdir()) == [".der", ".json"]


# --- certificates -----------------------------------------------------------------------------------------------------


def test_the_own_certificate_is_what_the_standard_wants(tmp_path: Path) -> None:
    """OPC 10000-6, 6.2.2: application URI, usages, RSA 2048, SHA-256; the key is readable for us only."""
    own, made = own_certificate(tmp_path / "pki", "gw-01", NOW)
    certificate = own.certificate
    assert made
    assert application_uri(certificate) == "urn:edge-agent:gw-01"
    assert own.key.key_size == 2048
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.content_commitment
    assert usage.key_encipherment
    assert usage.data_encipherment
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.not_valid_after_utc - NOW > 3600 * DAY
    assert certificate.not_valid_before_utc < NOW
    assert stat.S_IMODE((tmp_path / "pki" / "own" / "private_key.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "pki").iterdir()) == ["own"]


def test_the_own_certificate_is_made_once(tmp_path: Path) -> None:
    """Neither another name of the agent nor its expiry replaces it."""
    first, _ = own_certificate(tmp_path, "gw-01", NOW)
    second, made = own_certificate(tmp_path, "renamed", NOW + 10_000 * DAY)
    assert (second.certificate, made) == (first.certificate, False)


def test_a_machine_without_a_clock_makes_one_that_lives(tmp_path: Path) -> None:
    """Made in 1970 it would have run out before anybody used it."""
    own, _ = own_certificate(tmp_path, "gw-01", dt.datetime.fromtimestamp(0, dt.UTC))
    assert own.certificate.not_valid_after_utc > dt.datetime(2035, 1, 1, tzinfo=dt.UTC)


def test_of_two_processes_that_make_one_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command beside the agent does not replace what was made a moment before."""
    rename = Path.rename
    winner = []

    def late(draft: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        winner.append(own_certificate(tmp_path, "gw-01", NOW)[0])
        return rename(draft, target)

    monkeypatch.setattr(Path, "rename", late)
    own, made = own_certificate(tmp_path, "gw-01", NOW)
    assert (own.certificate, made) == (winner[0].certificate, False)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_place_that_takes_no_files_is_a_permanent_failure(tmp_path: Path) -> None:
    """It is said where it should have gone."""
    (tmp_path / "data").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(PermanentError, match="cannot be kept in"):
        own_certificate(tmp_path / "data" / "pki", "gw-01", NOW)


def test_certificates_are_read_in_both_spellings(tmp_path: Path, server: Pair, between: Pair) -> None:
    """PEM bundles and concatenated DER, the first one is the certificate itself."""
    pem = tmp_path / "chain.pem"
    pem.write_bytes(b"".join(pair.certificate.public_bytes(serialization.Encoding.PEM) for pair in (server, between)))
    der = tmp_path / "chain.der"
    der.write_bytes(server.raw + between.raw)
    assert read_certificates(pem) == read_certificates(der) == [server.certificate, between.certificate]
    own = read_own(pem, server.pem)
    assert list(own.chain) == [between.certificate]


@pytest.mark.parametrize("content", [b"", b"text", b"\x30", b"\x30\x82\xff\xff", b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_a_permanent_failure(tmp_path: Path, content: bytes) -> None:
    """With the file's name."""
    path = tmp_path / "some.der"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match=r"some\.der"):
        read_certificates(path)


def test_a_chain_that_is_cut_short_is_an_error(server: Pair) -> None:
    """Whatever a server sends."""
    with pytest.raises(ValueError):  # noqa: PT011 - its words are the library's
        split_chain(server.raw[:-10])
    assert split_chain(None) == []


def test_a_key_that_is_no_rsa_key_is_a_permanent_failure(tmp_path: Path, lone: Pair) -> None:
    """Encrypted and other keys are named as what they are."""
    path = tmp_path / "key.pem"
    path.write_bytes(
        lone.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    with pytest.raises(PermanentError, match="not encrypted"):
        read_own(lone.der, path)


def test_a_thumbprint_is_the_sha1_of_the_der(lone: Pair) -> None:
    """As every OPC UA tool shows it."""
    assert thumbprint(lone.certificate) == lone.thumbprint
