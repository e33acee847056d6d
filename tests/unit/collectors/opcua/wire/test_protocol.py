"""One connection of the library behind our framing."""

from __future__ import annotations

import asyncio
import logging

import pytest
from asyncua.crypto.security_policies import SecurityPolicyNone

from agent.collectors.opcua.wire.limits import WireLimits
from agent.collectors.opcua.wire.protocol import BoundedProtocol


async def test_an_answer_that_came_too_late_is_nobodys(caplog: pytest.LogCaptureFixture) -> None:
    """Who asked has given up and said so; the library would log a line for each."""
    protocol = BoundedProtocol(1.0, SecurityPolicyNone(), WireLimits())
    waits: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    in_time: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    protocol._callbackmap.update({7: waits, 8: in_time})
    waits.cancel()
    with caplog.at_level(logging.DEBUG):
        protocol._call_callback(7, b"")
        protocol._call_callback(8, b"answer")
    assert await in_time == b"answer"
    assert not protocol._callbackmap
    assert not caplog.records
