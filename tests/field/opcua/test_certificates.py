"""Certificates as controllers have them: where a person has pinned or trusted one, it is that server's."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs

from agent.collectors.opcua.trust.certificates import application_uris, leaf, read_certificates, split_chain
from agent.collectors.opcua.trust.der import without_explicit_false
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.trust.security import ServerAccess
from agent.core.errors import TransientError
from agent.testing.clock import ManualClock
from tests.support.opcua_pki import DAY, Pair, make_pair

SHOWN = Path(__file__).parent / "certificates"
URL = "opc.tcp://192.0.2.30:4840"


def guard(folder: Path, shown: Path, *, pinned: bool) -> TrustGuard:
    """Somebody has pinned this certificate, or put it into the trust list."""
    certificate = read_certificates(shown)[0]
    now = round((certificate.not_valid_before_utc + DAY).timestamp() * 1000)
    access = ServerAccess("Basic256Sha256", "Sign", server_certificate=shown if pinned else None)
    if not pinned:
        trusted = folder / "trusted"
        trusted.mkdir()
        (trusted / "it.der").write_bytes(shown.read_bytes())
    return TrustGuard("dev", "gw-01", access, folder, ManualClock(now_ms=now))


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("name", ["encodeddefault", "padded", "uris"])
def test_odd_certificates_are_admitted_where_they_are_known(tmp_path: Path, name: str, pinned: bool) -> None:
    """An extension with `critical FALSE`, zeros behind the end, two URIs: each is what somebody said it should be."""
    shown = SHOWN / f"{name}.der"
    door = guard(tmp_path, shown, pinned=pinned)
    with capture_logs() as logs:
        admitted = door.admit(shown.read_bytes(), None, URL)
        for uri in application_uris(admitted):
            door.admit(shown.read_bytes(), uri, URL)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == []


@pytest.mark.parametrize("name", ["encodeddefault", "padded", "uris"])
def test_odd_certificates_of_strangers_are_refused(tmp_path: Path, name: str) -> None:
    """Reading them is not trusting them: the reason is that nobody does."""
    shown = SHOWN / f"{name}.der"
    clock = ManualClock(now_ms=round(read_certificates(shown)[0].not_valid_before_utc.timestamp() * 1000))
    door = TrustGuard("dev", "gw-01", ServerAccess("Basic256Sha256", "Sign"), tmp_path, clock)
    with pytest.raises(TransientError, match="nobody has trusted it"):
        door.admit(shown.read_bytes(), None, URL)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_name_in_another_encoding_is_no_reason_to_refuse(tmp_path: Path, pinned: bool) -> None:
    """An umlaut in Latin-1: nobody can read the subject, and the one who trusts it knows it by its thumbprint."""
    shown = tmp_path / "shown.der"
    shown.write_bytes(make_pair(tmp_path, "Förderer").raw.replace("ö".encode(), b"\xf6o"))
    door = guard(tmp_path, shown, pinned=pinned)
    assert leaf(shown.read_bytes()) == shown.read_bytes()
    door.admit(shown.read_bytes(), None, URL)
    clock = ManualClock(now_ms=round(read_certificates(shown)[0].not_valid_before_utc.timestamp() * 1000))
    stranger = TrustGuard("dev", "gw-01", ServerAccess("Basic256Sha256", "Sign"), tmp_path / "pki", clock)
    with pytest.raises(TransientError, match="nobody has trusted it"):
        stranger.admit(shown.read_bytes(), None, URL)


def test_what_is_put_right_is_looked_into_only(tmp_path: Path) -> None:
    """The bytes that name a certificate, and are signed over in a handshake, are those its owner has."""
    raw = (SHOWN / "encodeddefault.der").read_bytes()
    assert leaf(raw) == raw
    assert split_chain(raw)[0].public_bytes(Encoding.DER) == without_explicit_false(raw) != raw
    padded = (SHOWN / "padded.der").read_bytes()
    assert leaf(padded) == padded.rstrip(b"\0") == split_chain(padded)[0].public_bytes(Encoding.DER)
    sound: Pair = make_pair(tmp_path, "server")
    assert without_explicit_false(sound.raw) == sound.raw
