"""The encoder `sparkplug_b`: what outlives a broker session."""

from __future__ import annotations

from agent.core.image import Image
from agent.core.ports import Memo, RouteInfo
from agent.encoders.sparkplug import SparkplugConfig
from agent.encoders.sparkplug.dialogue import SparkplugDialogue
from agent.encoders.sparkplug.host import PrimaryHost
from agent.encoders.sparkplug.metrics import Aliases
from agent.encoders.sparkplug.node import Node


class SparkplugEncoder:
    """See `agent.core.ports.Encoder`. Births come from the image, so the outbox needs no snapshots."""

    snapshots = False
    tick: float | None = 1.0

    def __init__(self, config: SparkplugConfig, route: RouteInfo) -> None:
        self.node = Node(
            group=config.group,
            edge_node=config.edge_node or route.agent,
            primary_host=config.primary_host,
            strict=config.delivery == "strict",
            aliases=config.aliases,
            typed_data=config.datatypes == "always",
            uint32_long=config.uint32 == "long",
        )
        self._route = route
        self._aliases = Aliases(used=config.aliases)
        self._host = PrimaryHost(config.primary_host) if config.primary_host is not None else None

    def begin(self, image: Image, memo: Memo, /) -> SparkplugDialogue:
        return SparkplugDialogue(self.node, self._route, image, memo, aliases=self._aliases, host=self._host)
