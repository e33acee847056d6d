from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import CertificateBuilder, random_serial_number

from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.trust.security import ServerAccess
from agent.collectors.opcua.trust.trustlist import TrustList
from agent.core.errors import PermanentError, TransientError
from agent.testing.clock import ManualClock
from tests.support.opcua_pki import DAY, Pair, make_pair

URL = "opc.tcp://192.0.2.30:4840"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("papers"), "server")


def guard(pki: Path, pair: Pair, **access: object) -> TrustGuard:
    """On a day in the life of this certificate."""
    now = round((pair.certificate.not_valid_before_utc + 9 * DAY).timestamp() * 1000)
    made: dict[str, object] = {"policy": "Basic256Sha256", "mode": "Sign", **access}
    return TrustGuard("dev", "gw-01", ServerAccess(**made), pki, ManualClock(now_ms=now))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # what it tolerates, we do
def test_whatever_a_server_sends_for_a_certificate_is_refused_in_order(tmp_path: Path, pair: Pair) -> None:
    """Broken certificates are an error for an operator, never a bug; none of them gets in."""
    door = guard(tmp_path, pair)
    TrustList(tmp_path).reject(pair.certificate, "dev", URL)
    chance = random.Random(7)
    for _ in range(2000):
        broken = bytearray(pair.raw)
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        if chance.random() < 0.2:
            del broken[chance.randrange(len(broken)) :]
        with pytest.raises(TransientError):
            door.admit(bytes(broken), "urn:test:server", URL)


@pytest.mark.parametrize("sent", [None, b""])
def test_a_server_without_a_certificate_is_refused(tmp_path: Path, pair: Pair, sent: bytes | None) -> None:
    """There is nothing to know it by."""
    with pytest.raises(TransientError, match="no certificate"):
        guard(tmp_path, pair).admit(sent, None, URL)


def test_a_key_that_is_no_rsa_key_is_refused(tmp_path: Path, pair: Pair) -> None:
    """None of the policies could use it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = pair.certificate.subject
    made = CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(random_serial_number()).not_valid_before(pair.certificate.not_valid_before_utc)
    certificate = made.not_valid_after(pair.certificate.not_valid_after_utc).sign(key, hashes.SHA256())
    with pytest.raises(TransientError, match="no RSA key"):
        guard(tmp_path, pair).admit(Pair(certificate, pair.key, pair.der, pair.pem).raw, None, URL)


def test_a_pin_that_is_gone_is_a_permanent_failure(tmp_path: Path, pair: Pair) -> None:
    """The file is read at every connection; without it nobody is let in, trusted or not."""
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "server.der").write_bytes(pair.raw)
    assert guard(tmp_path, pair).admit(pair.raw, None, URL) == pair.certificate
    with pytest.raises(PermanentError, match=r"gone\.der"):
        guard(tmp_path, pair, server_certificate=tmp_path / "gone.der").admit(pair.raw, None, URL)


def test_a_password_file_is_read_at_every_connection(tmp_path: Path, pair: Pair) -> None:
    """It may be rotated; what cannot be read is a permanent failure that names it."""
    secret = tmp_path / "secret"
    door = guard(tmp_path, pair, username="agent", password_file=secret)
    with pytest.raises(PermanentError, match="secret"):
        door.password()
    secret.write_text("one\n", encoding="utf-8")
    assert door.password() == "one"
    secret.write_text("two", encoding="utf-8")
    assert door.password() == "two"


def test_descriptors_that_ran_out_are_no_mistake_of_anybody(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could be read before can be read again: tried soon, not in five minutes."""

    def none_left(*_: object) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    door = guard(tmp_path, pair, server_certificate=pair.der)
    monkeypatch.setattr("agent.collectors.opcua.trust.certificates.read_regular", none_left)
    with pytest.raises(TransientError, match="Too many open files"):
        door.admit(pair.raw, None, URL)
