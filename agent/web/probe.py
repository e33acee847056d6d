"""`python -m agent.web.probe`: exit 0 where the agent on this machine is healthy. For container health checks."""

from __future__ import annotations

import http.client
import os
import sys

DEFAULT_PORT = 8080


def main() -> int:
    """Ask /healthz on 127.0.0.1, port from EDGE_AGENT_HTTP_PORT."""
    port = int(os.environ.get("EDGE_AGENT_HTTP_PORT", str(DEFAULT_PORT)))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
    except OSError as error:
        hint = "is `http:` on, and EDGE_AGENT_HTTP_PORT its port?"
        sys.stdout.write(f"nobody answers on 127.0.0.1:{port}: {error}; {hint}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(f"{response.status} {response.reason}\n")
    return 0 if response.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
