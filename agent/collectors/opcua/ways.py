"""The ways to a server: the agent dials it, or it calls the agent. Never imports the library."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from agent.collectors.opcua.reception import Caller, Expected, Reception
from agent.core.errors import ConnectionLost
from agent.core.ports import BuildContext

if TYPE_CHECKING:
    from agent.collectors.opcua.config import OpcUaConfig


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


def ways_to(config: OpcUaConfig, context: BuildContext) -> dict[str, Way]:
    """The ways to a device's servers by name, the preferred first. Who is to call is expected from now on."""
    if config.reverse is None:
        return {url: Dialled(url, config.endpoint_url) for url in config.all_urls}
    host, port = config.reverse.address
    reception: Reception = context.bus(
        f"opcua reverse {config.reverse.listen}", lambda: Reception(host, port, context.clock)
    )
    who = Expected(config.reverse.server_uri, config.reverse.endpoint_url)
    if config.enabled:
        reception.expect(who)
    name = config.reverse.name
    return {name: Called(name, reception, who)}
