"""The ways to a server: the agent dials it, or it calls the agent. Never imports the library."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network
from typing import NamedTuple

from agent.collectors.opcua.connect.reception import Caller, Expected, Reception
from agent.collectors.opcua.connect.reverse import ReverseSettings
from agent.core.errors import ConnectionLost
from agent.core.ports import BuildContext


class Dialled(NamedTuple):
    """A server that is dialled."""

    url: str
    announced: str | None  #: the name it insists on, where it is not the URL it is reached by

    @property
    def name(self) -> str:
        """For people."""
        return self.url


class Called:
    """A server that calls. Lives over connections."""

    def __init__(self, name: str, reception: Reception, who: Expected) -> None:
        self.name = name
        self._reception, self._who = reception, who
        #: What it showed in the last session. Each connection costs a call: one that only asks for it can be spared.
        self.certificate: bytes | None = None

    async def caller(self, within: float) -> Caller:
        """A connection it opened, to be handed over at once. Raises ConnectionLost after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                return await self._reception.ask(0, self._who)
        except TimeoutError:
            raise ConnectionLost(f"{self.name}: it has not called within {within:g} s") from None


Way = Dialled | Called


def ways_to(
    urls: Sequence[str],
    reverse: ReverseSettings | None,
    context: BuildContext,
    *,
    announced: str | None = None,
    enabled: bool = True,
    allow: Sequence[str] = (),
) -> dict[str, Way]:
    """The ways to a device's servers by name, the preferred first. Who is to call is expected while it is read."""
    if reverse is None:
        return {url: Dialled(url, announced) for url in urls}
    host, port = reverse.address
    reception: Reception = context.bus(f"opcua reverse {reverse.listen}", lambda: Reception(host, port, context.clock))
    who = Expected(reverse.server_uri, reverse.endpoint_url)
    if enabled:
        context.while_running(lambda: reception.expect(who, [ip_network(one) for one in allow]))
    return {reverse.name: Called(reverse.name, reception, who)}
