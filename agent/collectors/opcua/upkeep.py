"""What is done again and again while a connection lasts, and how often."""

from __future__ import annotations

from collections.abc import Callable

from agent.collectors.opcua.connect.session import SessionConnection
from agent.collectors.opcua.past import Past
from agent.collectors.opcua.plan import ConnectionPlan
from agent.collectors.opcua.tags.monitoring import Monitoring
from agent.collectors.opcua.tags.settling import Settling
from agent.collectors.opcua.types.types import Types
from agent.collectors.opcua.values.decode import Decoder
from agent.core.ports import BuildContext

_SOON = 1 / 32  #: share of the usual wait after which refused nodes are tried for the first time
_RENEW_AT = 0.75  #: share of a security token's life (OPC 10000-4, 5.5.2)


class Upkeep:
    """Of one connection. Its coroutines run until they are cancelled; what they raise ends the connection."""

    def __init__(  # noqa: PLR0913, PLR0917 - it looks after the parts of a connection
        self, plan: ConnectionPlan, context: BuildContext, past: Past, connection: SessionConnection, tags: Settling,
        items: Monitoring, types: Types, decoder: Decoder, note: Callable[[], None],
    ) -> None:  # fmt: skip
        self._plan = plan
        self._context, self._clock = context, context.clock
        self._past = past
        self._connection = connection
        self._tags = tags
        self._items = items
        self._types = types
        self._decoder = decoder
        self._note = note

    def follow(self, plan: ConnectionPlan) -> None:
        """The tags of this plan are read from now on."""
        self._plan = plan

    async def renew(self) -> None:
        """The security token, before its life is over."""
        while True:
            await self._clock.sleep(self._connection.channel_lifetime * _RENEW_AT)
            await self._connection.renew_channel()

    async def keep(self) -> None:
        """What the indexes of namespaces mean, on disk."""
        while True:
            await self._past.memory.keep(self._plan, self._context)
            await self._clock.sleep(self._plan.pace.audit)

    async def audit(self) -> None:
        """Whether the server monitors what it was asked to."""
        while True:
            await self._clock.sleep(self._plan.pace.audit)
            await self._tags.audit()
            self._past.disbelieved = self._items.disbelieved
            self._note()

    async def learn(self) -> None:
        """The types of values that could not be decoded without them."""
        while True:
            await self._types.asked.wait()
            positions, self._decoder.unsupported = self._decoder.unsupported, set()
            while not await self._tags.learn_more(positions):  # a value that does not change would stay bad for ever
                await self._clock.sleep(self._plan.pace.again)

    async def again(self) -> None:
        """Refused nodes, soon at first: a controller that has just started is still loading its program."""
        wait = self._plan.pace.again * _SOON
        while True:
            await self._clock.sleep(wait)
            wait = min(2 * wait, self._plan.pace.again)
            await self._tags.again()
