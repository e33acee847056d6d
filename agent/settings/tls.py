"""`tls:` towards a server."""

from __future__ import annotations

from pydantic import Field, model_validator

from agent.settings.model import Model
from agent.settings.values import FilePath


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
