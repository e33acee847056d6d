"""What the kernel knows of a peer."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from agent.collectors.common.sockets import keep_alive, quiet_for
from tests.support.waiting import eventually


async def test_how_long_a_peer_has_sent_nothing() -> None:
    """It grows while nothing comes, and begins anew with what comes; of anything but TCP nothing is known."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ours = stack.enter_context(socket.create_connection(listener.getsockname()))
        theirs = stack.enter_context(listener.accept()[0])
        keep_alive(ours, watched=True)
        await eventually(lambda: quiet_for(ours) > 0.1)
        before = quiet_for(ours)
        theirs.send(b"x")
        await eventually(lambda: quiet_for(ours) < before)
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        assert quiet_for(datagrams) == 0
