"""`python -m agent.web.probe`: exit 0 where the agent on this machine is healthy. For container health checks."""

from __future__ import annotations

import http.client
import os
import ssl
import sys

DEFAULT_PORT = 8080


def main() -> int:
    """Ask /healthz on 127.0.0.1, port from EDGE_AGENT_HTTP_PORT, in clear or where that is not understood by TLS."""
    port = int(os.environ.get("EDGE_AGENT_HTTP_PORT", str(DEFAULT_PORT)))
    try:
        try:
            response = _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=3))
        except (ConnectionResetError, BrokenPipeError, http.client.HTTPException):
            response = _ask(http.client.HTTPSConnection("127.0.0.1", port, timeout=3, context=_any_certificate()))
    except (OSError, http.client.HTTPException) as error:
        hint = "is `http:` on, and EDGE_AGENT_HTTP_PORT its port?"
        sys.stdout.write(f"nobody answers on 127.0.0.1:{port}: {error}; {hint}\n")
        return 1
    sys.stdout.write(f"{response.status} {response.reason}\n")
    return 0 if response.status == http.client.OK else 1


def _ask(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse()
    finally:
        connection.close()


def _any_certificate() -> ssl.SSLContext:
    """Nothing secret is asked or told, and the certificate is not one for 127.0.0.1."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


if __name__ == "__main__":
    sys.exit(main())
