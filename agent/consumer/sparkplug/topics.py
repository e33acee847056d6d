"""Topics of the namespace, taken apart."""

from __future__ import annotations

from typing import NamedTuple

NAMESPACE = "spBv1.0"
OF_NODE = ("NBIRTH", "NDATA", "NDEATH", "NCMD")
OF_DEVICE = ("DBIRTH", "DDATA", "DDEATH", "DCMD")


class Subject(NamedTuple):
    """Who a message is about. `device` is None for messages of the node."""

    group: str
    kind: str
    node: str
    device: str | None

    @property
    def descriptor(self) -> tuple[str, str]:
        """Edge node descriptor: group and node."""
        return self.group, self.node


def kind_of(topic: str) -> str | None:
    """The message type a topic of the namespace has in its third level, whatever else is wrong with it."""
    levels = topic.split("/")
    kind = levels[2] if len(levels) > 2 else ""
    return kind if kind in (*OF_NODE, *OF_DEVICE) else None


def place(topic: str) -> Subject | None:
    """None where the topic is not of Sparkplug, or is not well formed."""
    levels = topic.split("/")
    if len(levels) not in (4, 5) or levels[0] != NAMESPACE or not all(levels):
        return None
    kind = levels[2]
    device = levels[4] if len(levels) == 5 else None
    if kind not in (OF_NODE if device is None else OF_DEVICE) or any(char in topic for char in "+#"):
        return None
    return Subject(levels[1], kind, levels[3], device)
