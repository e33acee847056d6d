"""`tls:` towards a server, and certificates and keys as they are read from its files."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import Field, model_validator

from agent.core.errors import TransientError, exhausted
from agent.settings.model import Model
from agent.settings.values import FilePath

#: A wrong certificate is put right by people: no need to hurry, seconds.
TLS_RETRY = 30.0
_WRONG = {
    "KEY_VALUES_MISMATCH": "the private key does not belong to the certificate",
    "NO_CERTIFICATE_OR_CRL_FOUND": "no certificate in PEM form (-----BEGIN CERTIFICATE-----) is in it",
}


class TLSSettings(Model):
    """TLS towards a server. Verified always; there is no switch to turn that off."""

    ca_file: FilePath | None = None
    """Certificate authorities to trust; default: the system's."""
    cert_file: FilePath | None = None
    """Own certificate (mutual TLS), PEM."""
    key_file: FilePath | None = None
    """Its private key, PEM."""
    server_name: str | None = None
    """Name expected in the server's certificate, where it differs from the URL's host."""

    @model_validator(mode="after")
    def _pair(self) -> TLSSettings:
        if (self.cert_file is None) != (self.key_file is None):
            msg = "cert_file and key_file belong together; give both or none"
            raise ValueError(msg)
        return self


class BrokerTLS(TLSSettings):
    """TLS towards a broker."""

    alpn: list[str] = Field(default=[])
    """Protocols offered by ALPN (RFC 7301), as AWS IoT Core wants one on port 443: `[x-amzn-mqtt-ca]`, or `[mqtt]`."""

    @model_validator(mode="after")
    def _names(self) -> BrokerTLS:
        if wrong := next((name for name in self.alpn if not 1 <= len(name.encode()) <= 255), None):
            msg = f"{wrong!r} is no protocol; a name has 1 to 255 bytes"
            raise ValueError(msg)
        return self


def client_context(settings: TLSSettings) -> ssl.SSLContext:
    """TLS >= 1.2, host name and chain checked. Files are read at every connection, so that they may be rotated.

    TransientError names the file that cannot be used.
    """
    where = f"tls.ca_file {settings.ca_file}"
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert_file is not None and settings.key_file is not None:
            where = f"tls.cert_file {settings.cert_file}, tls.key_file {settings.key_file}"
            load_own(context, settings.cert_file, settings.key_file)
    except (OSError, ValueError) as error:
        wait = None if exhausted(error) else TLS_RETRY
        raise TransientError(f"{where}: {in_words(error)}", retry_after=wait) from None
    return context


def load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Take up our own certificate. Raises OSError and ValueError."""
    # without a password OpenSSL would ask for one at the terminal, and hang there
    context.load_cert_chain(certificate, key, password=_no_password)


def _no_password() -> str:
    raise ValueError("the private key is protected by a password; store it without one, readable for this user only")


def in_words(error: OSError | ValueError) -> str:
    """What is wrong with a certificate or a key."""
    if isinstance(error, ssl.SSLError):
        words = _WRONG.get(error.reason or "")
        if words is None and "PEM lib" in str(error):
            words = "it is cut short, damaged or not in PEM form (-----BEGIN …)"
        return words or str(error)
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
