"""Somebody else at a device's address, under an authority that vouches for both (OPC 10000-4, 6.1.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.cli.trust import trust
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.trust.security import ServerAccess
from agent.core.errors import ConnectionLost, TransientError
from agent.testing.clock import ManualClock
from tests.field.hostile.papers import NOW, Paper, paper, revocation, rsa_key, slow_key
from tests.integration.opcua.server import Hall
from tests.integration.opcua_security.fort import Fort, collector, trusting
from tests.support.opcua_pki import make_pair

URL = "opc.tcp://plc-1.plant:4840"
URI = "urn:plc-1"
AUTHORITIES = ["rsa", "ec"]


def authority(kind: str = "rsa", path_length: int | None = None) -> Paper:
    """The plant's."""
    key = rsa_key() if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    return paper(f"Plant CA {kind}", key=key, authority=True, purposes=(), path_length=path_length)


def guard(pki: Path, *, device: str = "plc-1", clock: ManualClock | None = None, **access: str) -> TrustGuard:
    """Of one device."""
    plan = ServerAccess("Basic256Sha256", "SignAndEncrypt", **access)  # type: ignore[arg-type]
    return TrustGuard(device, "gw-01", plan, pki, clock or ManualClock(now_ms=round(NOW.timestamp() * 1000)))


def put(pki: Path, where: str, name: str, content: bytes) -> None:
    """As a person does it."""
    (pki / where).mkdir(parents=True, exist_ok=True)
    (pki / where / name).write_bytes(content)


def refused(door: TrustGuard, shown: bytes, *, uri: str = URI, url: str = URL) -> str:
    """The words it is refused with."""
    with pytest.raises(TransientError) as caught:
        door.admit(shown, uri, url)
    assert 0 < (caught.value.retry_after or 0) <= 30
    return str(caught.value)


@pytest.mark.parametrize("kind", AUTHORITIES)
def test_the_server_that_is_meant_is_admitted(tmp_path: Path, kind: str) -> None:
    """What the checks are worth: the right one passes all of them."""
    plant = authority(kind)
    put(tmp_path, "trusted", "ca.der", plant.der)
    put(tmp_path, "issuers", "ca.crl", revocation(plant))
    guard(tmp_path).admit(paper("plc-1", plant).der, URI, URL)
    guard(tmp_path).admit(paper("plc-1", plant, hosts=["192.0.2.7"]).der, URI, "opc.tcp://192.0.2.7:4840")
    guard(tmp_path).admit(paper("plc-1", plant, hosts=["PLC-1.plant."], purposes=()).der, URI, URL)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ({"hosts": ["hmi.plant"]}, "of hmi.plant, not of plc-1.plant"),
        ({"hosts": []}, "of no host, not of plc-1.plant"),
        ({"uri": "urn:hmi"}, "application urn:hmi, and the server calls itself urn:plc-1"),
        ({"purposes": [ExtendedKeyUsageOID.CLIENT_AUTH]}, "not issued for a server"),
        ({"signs": False}, "key usage"),
        ({"enciphers": False}, "key usage"),
        ({"authority": True}, "an authority's, not a server's"),
        ({"key": "short"}, "1024 bits, the policy takes 2048 to 4096"),
    ],
)
def test_what_the_authority_issued_for_somebody_else_is_refused(
    tmp_path: Path, shown: dict[str, object], words: str
) -> None:
    """The neighbour's certificate, a client's, an authority's own, a key that can be computed: each named as that."""
    plant = authority()
    put(tmp_path, "trusted", "ca.der", plant.der)
    if shown.get("key") == "short":
        shown = {**shown, "key": rsa_key(1024)}
    assert words in refused(guard(tmp_path), paper("x", plant, **shown).der)  # type: ignore[arg-type]


def test_names_that_differ_knowingly_are_written_down(tmp_path: Path) -> None:
    """`server_name`, `server_uri` and the URL the server insists on take the place of what is known otherwise."""
    plant = authority()
    put(tmp_path, "trusted", "ca.der", plant.der)
    shown = paper("x", plant, hosts=["inside.plant"], uri="urn:factory:default").der
    guard(tmp_path, server_name="inside.plant", server_uri="urn:factory:default").admit(shown, URI, URL)
    guard(tmp_path, endpoint_url="opc.tcp://inside.plant:4840", server_uri="urn:factory:default").admit(shown, URI, URL)
    other = paper("y", plant, hosts=["hmi.plant"], uri="urn:factory:default").der
    assert "hmi.plant" in refused(guard(tmp_path, server_name="inside.plant"), other)


def test_a_person_who_trusts_the_certificate_itself_overrules_names_for_that_device_only(tmp_path: Path) -> None:
    """`edge-agent trust DEVICE` is the knowing suppression; the same certificate at another device is an impostor."""
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw-01, data_dir: {tmp_path}}}\n", encoding="utf-8")
    pki, plant = tmp_path / "pki", authority()
    put(pki, "trusted", "ca.der", plant.der)
    shown = paper("x", plant, hosts=["hmi.plant"]).der
    first, second = guard(pki), guard(pki, device="plc-2")
    refused(first, shown)
    refused(second, shown, url="opc.tcp://plc-2.plant:4840")
    assert trust(tmp_path / "agent.yaml", "plc-1") == 0
    first.admit(shown, URI, URL)
    assert "hmi.plant" in refused(second, shown, url="opc.tcp://plc-2.plant:4840")
    assert trust(tmp_path / "agent.yaml", "plc-2") == 0
    second.admit(shown, URI, "opc.tcp://plc-2.plant:4840")
    first.admit(shown, URI, URL)


def test_a_self_signed_certificate_trusted_for_one_device_is_not_another_s(tmp_path: Path) -> None:
    """Nor does it vouch for what it issued, though controllers call theirs an authority."""
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw-01, data_dir: {tmp_path}}}\n", encoding="utf-8")
    lone = paper("lone", authority=True)
    door = guard(tmp_path / "pki")
    refused(door, lone.der)
    assert trust(tmp_path / "agent.yaml", "plc-1") == 0
    door.admit(lone.der, URI, URL)
    other = guard(tmp_path / "pki", device="plc-2")
    words = refused(other, lone.der, url="opc.tcp://plc-2.plant:4840")
    assert "trusted as that of plc-1, not as that of plc-2" in words
    assert "nobody has trusted it" in refused(door, paper("child", lone).der)


def test_an_authority_has_no_more_below_it_than_it_was_given(tmp_path: Path) -> None:
    """A path length of 0: whom it made an authority, it could not."""
    plant = authority(path_length=0)
    below = paper("Line CA", plant, key=rsa_key(which=1), authority=True, purposes=())
    put(tmp_path, "trusted", "ca.der", plant.der)
    assert "allows 0 below it, here are 1" in refused(guard(tmp_path), paper("plc-1", below).der + below.der)


def constrained(*permitted: x509.GeneralName, without: Sequence[x509.GeneralName] = ()) -> x509.NameConstraints:
    return x509.NameConstraints(permitted or None, without or None)


def named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@pytest.mark.parametrize(
    ("binds", "words"),
    [
        (constrained(x509.DNSName("plant")), None),
        (constrained(x509.DNSName("hmi.plant")), "may not issue for plc-1.plant"),
        (constrained(without=[x509.DNSName(".plant")]), "may not issue for plc-1.plant"),
        (constrained(x509.IPAddress(ip_network("192.0.2.0/28"))), None),
        (constrained(x509.IPAddress(ip_network("198.51.100.0/24"))), "may not issue for 192.0.2.7"),
        (constrained(x509.DirectoryName(named("Hall 2"))), "may not issue for CN=plc-1"),
        (constrained(x509.UniformResourceIdentifier("plant.example")), "may not issue for urn:plc-1"),
        (constrained(x509.DirectoryName(named("PLC-1"))), None),
        (constrained(x509.DirectoryName(named("  plc-1 "))), None),
        (constrained(x509.RFC822Name("other.plant")), None),
        (x509.PolicyConstraints(0, None), None),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x"), "critical extension 1.2.3.4"),
    ],
)
def test_an_authority_issues_no_further_than_it_is_bound(
    tmp_path: Path, binds: x509.ExtensionType, words: str | None
) -> None:
    """The HMIs' authority makes no controllers; what is critical and not known is a no."""
    plant = authority()
    below = paper("HMI CA", plant, key=rsa_key(which=1), authority=True, purposes=(), hosts=(), critical=[binds])
    put(tmp_path, "trusted", "ca.der", plant.der)
    shown = paper("plc-1", below, hosts=["plc-1.plant", "192.0.2.7"]).der + below.der
    if words is None:
        guard(tmp_path).admit(shown, URI, URL)
    else:
        assert words in refused(guard(tmp_path), shown)


def part(*, users: bool = False, authorities: bool = False) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(None, None, users, authorities, None, False, False)


@pytest.mark.parametrize(
    ("scope", "tells"),
    [(x509.DeltaCRLIndicator(1), False), (part(authorities=True), False), (part(users=True), True)],
)
def test_a_list_that_is_a_part_tells_of_its_part(tmp_path: Path, scope: x509.ExtensionType, tells: bool) -> None:
    """A list of changes, or of authorities only, says of no server that it is not revoked; the whole list does."""
    plant = authority()
    shown = paper("plc-1", plant)
    put(tmp_path, "trusted", "ca.der", plant.der)
    put(tmp_path, "issuers", "part.crl", revocation(plant, paper("other", plant), critical=scope))
    if not tells:
        assert "tell nothing of CN=plc-1: parts only" in refused(guard(tmp_path), shown.der)
        put(tmp_path, "issuers", "whole.crl", revocation(plant))
    guard(tmp_path).admit(shown.der, URI, URL)
    put(tmp_path, "issuers", "part.crl", revocation(plant, shown, critical=scope))
    assert "was revoked by its issuer" in refused(guard(tmp_path), shown.der)


def test_a_stranger_sets_no_sums(tmp_path: Path) -> None:
    """49 authorities that may each have issued each, with public exponents of 3,000 bits, took 1.3 s of the loop."""
    plant, slow = authority(), paper("Slow CA", key=slow_key(), authority=True, purposes=())
    put(tmp_path, "trusted", "ca.der", plant.der)
    put(tmp_path, "trusted", "slow.der", slow.der)
    door = guard(tmp_path)
    assert "it comes with 8 others, at most 7" in refused(door, paper("plc-1", plant).der + plant.der * 8)
    assert "a public exponent of 20" in refused(door, paper("plc-1", plant, key=slow_key()).der)
    assert "nobody has trusted it" in refused(door, paper("plc-1", slow).der)


@pytest.mark.parametrize("kind", AUTHORITIES)
@pytest.mark.parametrize(
    ("days", "signer", "words"),
    [(30, None, "was revoked by its issuer"), (-1, None, "revoked"), (30, "other", "cannot be checked")],
)
def test_what_was_revoked_is_refused(tmp_path: Path, kind: str, days: int, signer: str | None, words: str) -> None:
    """By authorities of both kinds; a list somebody else has signed is not believed, and not ignored."""
    plant = authority(kind)
    shown = paper("plc-1", plant)
    put(tmp_path, "trusted", "ca.der", plant.der)
    put(tmp_path, "issuers", "ca.crl", revocation(plant, shown, days=days, key=rsa_key(which=2) if signer else None))
    assert words in refused(guard(tmp_path), shown.der)


def test_an_outdated_revocation_list_is_an_objection(tmp_path: Path) -> None:
    """What was revoked since is not known; a newer list beside it puts it right."""
    plant = authority()
    shown = paper("plc-1", plant)
    put(tmp_path, "trusted", "ca.der", plant.der)
    put(tmp_path, "issuers", "old.crl", revocation(plant, days=-1))
    assert "was to be renewed by" in refused(guard(tmp_path), shown.der)
    put(tmp_path, "issuers", "new.crl", revocation(plant))
    guard(tmp_path).admit(shown.der, URI, URL)


async def test_a_new_revocation_list_ends_the_connection_that_stands(tmp_path: Path) -> None:
    """Within half a minute; a list that is half written at one look does not."""
    plant, clock = authority(), ManualClock(now_ms=round(NOW.timestamp() * 1000))
    shown = paper("plc-1", plant)
    put(tmp_path, "trusted", "ca.der", plant.der)
    door = guard(tmp_path, clock=clock)
    door.admit(shown.der, URI, URL)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_outcome(door))
        put(tmp_path, "issuers", "ca.crl", b"half")
        await clock.advance(10)
        put(tmp_path, "issuers", "ca.crl", revocation(plant))
        await clock.advance(30)
        assert not watching.done()
        put(tmp_path, "issuers", "ca.crl", revocation(plant, shown))
        await clock.advance(29)
        assert "revoked" in await watching


async def test_who_shows_a_certificate_without_its_key_is_named_as_that(tmp_path: Path) -> None:
    """It copied the device's from the network: nothing is told to it, and the reason is not that it was slow."""
    genuine, own = make_pair(tmp_path, "genuine"), make_pair(tmp_path, "own")
    hall = Hall()
    try:
        server = await Fort.build(hall, own)
        for endpoint in server.plant.server.iserver.endpoints:
            endpoint.ServerCertificate = genuine.raw
        made = collector(server.url, trusting(tmp_path, genuine), security={"policy": "Basic256Sha256"}, timeout="1s")
        with pytest.raises(ConnectionLost, match="with the certificate it showed; it has not its key") as caught:
            async with made.open():
                pass
        assert "no answer in time" not in str(caught.value)
        assert server.doorman.came == []
        await server.stop()
    finally:
        hall.close()


async def _outcome(door: TrustGuard) -> str:
    try:
        await door.attend()
    except TransientError as error:
        return str(error)
    return "ended"
