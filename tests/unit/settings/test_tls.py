"""Certificates and keys of `tls:`: what is wrong with a file is said in words, and nobody is asked for a password."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate

from agent.collectors.modbus.bus.wire import connect_tls
from agent.core.errors import ConnectionLost, TransientError
from agent.publishers.mqtt.tls import tls_context
from agent.settings.tls import BrokerTLS, TLSSettings, client_context
from tests.support.certs import Certs, make_certs


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return make_certs(tmp_path)


def written(certs: Certs, what: str) -> bytes:
    """What an odd file holds."""
    whole = certs.ca.read_bytes()
    if what == "half":  # it is being written at this moment
        return whole[: len(whole) // 2]
    if what == "der":
        return load_pem_x509_certificate(whole).public_bytes(serialization.Encoding.DER)
    return b"" if what == "empty" else b"hello\n"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("half", "it is cut short, damaged or not in PEM"),
        *((one, "no certificate in PEM form") for one in ("der", "empty", "text")),
    ],
)
def test_an_authority_that_is_none(certs: Certs, tmp_path: Path, what: str, words: str) -> None:
    """The file is named, with what is wrong with it; no file of a library's source."""
    file = tmp_path / "odd.pem"
    file.write_bytes(written(certs, what))
    with pytest.raises(TransientError) as caught:
        client_context(TLSSettings(ca_file=file))
    assert str(caught.value).startswith(f"tls.ca_file {file}: {words}")
    assert "_ssl.c" not in str(caught.value)
    assert caught.value.retry_after == 30


def test_a_key_of_another_certificate(certs: Certs, tmp_path: Path) -> None:
    """One of two files was renewed, the other was not yet."""
    other = make_certs(tmp_path / "other")
    with pytest.raises(TransientError, match=r"client\.key: the private key does not belong to the certificate"):
        client_context(TLSSettings(cert_file=certs.client_cert, key_file=other.client_key))
    with pytest.raises(TransientError, match=r"ca\.pem: it is cut short, damaged or not in PEM form"):
        client_context(TLSSettings(cert_file=certs.client_cert, key_file=certs.ca))


async def test_a_key_with_a_password_is_refused_and_asks_nobody(certs: Certs, tmp_path: Path) -> None:
    """OpenSSL would ask at the terminal, and the connection would hang: of brokers and of devices."""
    key = serialization.load_pem_private_key(certs.client_key.read_bytes(), None)
    path = tmp_path / "locked.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    locked = TLSSettings(ca_file=certs.ca, cert_file=certs.client_cert, key_file=path)
    words = r"locked\.key: the private key is protected by a password"
    with pytest.raises(TransientError, match=words) as caught:
        tls_context(BrokerTLS.model_validate(locked.model_dump()))
    assert not isinstance(caught.value, ConnectionLost)
    assert caught.value.retry_after == 30
    with pytest.raises(TransientError, match=words):
        await connect_tls("127.0.0.1", 1, 1.0, locked)
    assert client_context(TLSSettings()).minimum_version == ssl.TLSVersion.TLSv1_2
