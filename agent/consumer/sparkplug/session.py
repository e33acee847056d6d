"""What only the wire shows of a session: CONNECT with its will, what was granted, what was said."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class EdgeWill:
    """The will of a CONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass
class EdgeConnect:
    """What a client said to open a session."""

    version: str  #: "5" or "3.1.1"
    clean: bool
    expiry: int | None = None
    will: EdgeWill | None = None


@dataclass
class EdgeSession:
    """One connection of an edge node, from its CONNECT to its end."""

    connect: EdgeConnect
    server: str
    descriptor: tuple[str, str] | None
    accepted: bool = False
    granted: dict[str, int] = field(default_factory=dict)
    published: int = 0
    born: bool = False
    said_death: bool = False
    disconnect: int | None = None
    host: bool | None = None  #: the primary host's last valid word
    host_left: bool = False  #: it reported offline during our birth
    old_word: bool = False  #: an offline of it was older than what we knew: the node must stay
    coping: bool = False  #: a command was delivered
