"""Names of one edge node: ids and topics (specification 4 and 5). Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
BDSEQ = "bdSeq"
GAP = "Edge Agent/Gap"
VERSION = "Edge Agent/Version"

Kind = Literal["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD", "DCMD"]


class Node(Struct, frozen=True):
    """One edge node and how it speaks."""

    group: str
    edge_node: str
    primary_host: str | None = None
    strict: bool = True
    aliases: bool = True
    typed_data: bool = False
    uint32_long: bool = False

    def topic(self, kind: Kind, device: str | None = None) -> str:
        """`spBv1.0/group/kind/node[/device]`."""
        end = "" if device is None else f"/{device}"
        return f"{NAMESPACE}/{self.group}/{kind}/{self.edge_node}{end}"

    @property
    def state_topic(self) -> str | None:
        """Where the primary host says whether it is there."""
        return None if self.primary_host is None else f"{NAMESPACE}/STATE/{self.primary_host}"

    @property
    def old_state_topic(self) -> str | None:
        """The same as Sparkplug 2.2 has it."""
        return None if self.primary_host is None else f"STATE/{self.primary_host}"

    @property
    def listens(self) -> list[str]:
        """Commands to the node and to every device, and the primary host's state: the newer one is heard first."""
        topics = [self.topic("NCMD"), self.topic("DCMD", "+"), self.state_topic, self.old_state_topic]
        return [topic for topic in topics if topic is not None]
