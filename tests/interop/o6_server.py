"""o6 (open62541). Runs in a Python of its own, ten minutes at most without a licence. It binds every address of its
network namespace, so it is started in one that has nothing but loopback: see __main__.

python o6_server.py '{"port": 4840, "certificate": DER, "key": PEM, "password": ...}'

With "calls": "opc.tcp://HOST:PORT" it also calls there (reverse connect).
"""

from __future__ import annotations

import json
import sys
import threading

import o6  # type: ignore[import-not-found]  # lives in a Python of its own
from o6.ns import ns0  # type: ignore[import-not-found]

settings = json.loads(sys.argv[1])


class Door(o6.AccessControl):  # type: ignore[misc]
    """Anonymous users, and one with a password."""

    def activateSession(self, endpoint, certificate, session, token):  # noqa: N802 - o6 calls it so
        """None lets in, an error refuses."""
        if isinstance(token, ns0.datatypes.UserNameIdentityToken):
            word = bytes(token.password).decode()
            if (str(token.userName), word) == ("agent", settings["password"]):
                return
            raise o6.StatusCodeError(o6.StatusCode.BAD_USER_ACCESS_DENIED)
        super().activateSession(endpoint, certificate, session, token)


server = o6.Server(
    port=settings["port"],
    certificate=settings["certificate"],
    privateKey=settings["key"],
    applicationUri="urn:test:server",
    acceptAllCertificates=True,
    accessControl=Door(anonymous=True, username=True),
)
with server:
    nodes = [
        server.addVariable(f"v{n}", server.objectsNode, float(n), nodeId=f"ns=1;s=v{n}")
        for n in range(settings["nodes"])
    ]
    if "calls" in settings:
        server.addReverseConnect(settings["calls"])
    sys.stdout.write(f"listening {settings['port']}\n")
    sys.stdout.flush()
    ticks = 0
    while not threading.Event().wait(settings.get("every", 100) / 1000):
        ticks += 1
        for number, node in enumerate(nodes):
            node(float(number + ticks))
