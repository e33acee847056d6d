"""TLS towards a broker: the context, and what goes wrong in words. Verification cannot be turned off.

Certificates are read at every connection, so that they may be rotated.
"""

from __future__ import annotations

import contextlib
import ssl

from agent.core.errors import TransientError
from agent.publishers.mqtt.sealed import TlsSocket
from agent.settings.tls import TLS_RETRY, BrokerTLS, client_context

#: What to do about a certificate, by OpenSSL's X509_V_ERR_*.
_NAMED = "write the host in url as the certificate has it, or set tls.server_name"
_HINTS = {
    9: "its time begins later: check the clocks of both machines",
    10: "whoever runs the broker has to renew it",
    62: _NAMED,  # host name
    64: _NAMED,  # IP address
}
_HINT = "check tls.ca_file"  # an authority that is not known
_OURS = "our certificate (tls.cert_file)"
CUT = "it closed in the middle of the handshake; does it speak TLS on this port?"
#: Alerts of the broker (RFC 8446, 6.2), and what is no TLS, by the end of OpenSSL's name for them.
_ALERTS = {
    "CERTIFICATE_REQUIRED": "it wants a client certificate; give tls.cert_file and tls.key_file",
    "CERTIFICATE_EXPIRED": f"{_OURS} has expired, or its time has not begun; renew it, and check both clocks",
    "CERTIFICATE_REVOKED": f"{_OURS} has been revoked; ask who issued it for another one",
    "CERTIFICATE_UNKNOWN": f"it does not accept {_OURS}; ask who runs the broker",
    "BAD_CERTIFICATE": f"it does not accept {_OURS}; is it a client certificate, with all of its chain?",
    "UNSUPPORTED_CERTIFICATE": f"{_OURS} is of a kind it does not take; is it one for clients?",
    "UNKNOWN_CA": f"it does not know the authority that issued {_OURS}; put the chain into the file, or use another",
    "ACCESS_DENIED": f"{_OURS} is valid, but may not enter; ask who runs the broker",
    "DECRYPT_ERROR": "tls.key_file does not belong to tls.cert_file, or the broker takes no such signature",
    "HANDSHAKE_FAILURE": "it shares no way to encrypt with us, or it wants a client certificate",
    "PROTOCOL_VERSION": "it speaks no TLS 1.2 or newer; it has to be updated",
    "INSUFFICIENT_SECURITY": "it wants stronger encryption, or a longer key in our certificate",
    "UNRECOGNIZED_NAME": "it serves no such name; check the host in url, or set tls.server_name",
    "WRONG_VERSION_NUMBER": "what answers there does not speak TLS; check the port, or write mqtt:// in url",
    "RECORD_LAYER_FAILURE": "what answers there does not speak TLS; check the port, or write mqtt:// in url",
    "UNEXPECTED_EOF_WHILE_READING": CUT,
    "NO_APPLICATION_PROTOCOL": "it wants another protocol by ALPN; check tls.alpn",
}


def tls_context(settings: BrokerTLS) -> ssl.SSLContext:
    """TLS >= 1.2, host name and chain checked. TransientError names the file that cannot be used."""
    context = client_context(settings)
    if settings.alpn:
        context.set_alpn_protocols(settings.alpn)
    return context


def own_expiry(settings: BrokerTLS) -> dict[str, float]:
    """When our certificate runs out, epoch seconds, where there is one: known before a broker refuses it for that."""
    if settings.cert_file is not None:
        from cryptography.x509 import load_pem_x509_certificate  # 9 MB that are needed here only

        with contextlib.suppress(OSError, ValueError):
            own = load_pem_x509_certificate(settings.cert_file.read_bytes())
            return {"own": own.not_valid_after_utc.timestamp()}
    return {}


def server_expiry(sock: TlsSocket) -> dict[str, float]:
    """When the broker's does."""
    theirs = sock.getpeercert() or {}
    return {"server": ssl.cert_time_to_seconds(str(theirs["notAfter"]))} if "notAfter" in theirs else {}


def unverified(error: ssl.SSLCertVerificationError, where: str, *, synced: bool) -> TransientError:
    """The broker's certificate does not hold."""
    hint = _HINTS.get(error.verify_code, _HINT) if synced else "the clock of this machine is not set"
    reason = f"the certificate of {where} is refused: {error.verify_message.rstrip('.')}; {hint}"
    return TransientError(reason, retry_after=TLS_RETRY)


def alert(error: BaseException | None) -> str | None:
    """What the broker's alert means, in words; None where the error is none. With TLS 1.3 it may come after CONNECT."""
    name = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    return next((words for end, words in _ALERTS.items() if name.endswith(end)), None)
