"""Topics of a route, and which retained ones it has left on the broker. Pure but for the memo it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct, structs

from agent.core.image import Image
from agent.core.ports import Memo, RouteInfo
from agent.encoders.common.naming import Namer
from agent.settings.topics import DEVICE_VARIABLES, topic_template

_KEY = "json.retained"


class Kept(Struct, omit_defaults=True):
    """What stays retained under one prefix."""

    device: str
    parts: int = 0  #: of the catalogue; 0: it stands in one piece
    gone: bool = False  #: cleared; kept so that records still waiting find their topic
    location: tuple[str, ...] = ()
    status: bool = True  #: there is one
    tags: bool = True  #: there is a catalogue


def agent_status(route: RouteInfo) -> str:
    """Where the agent says whether it is there."""
    return f"{route.root}/agents/{route.agent}/status"


def agent_topic(route: RouteInfo, what: str) -> str:
    """A topic about the agent itself, beside its status."""
    return f"{route.root}/agents/{route.agent}/{what}"


def prefix_namer(route: RouteInfo, below: str = "") -> Namer:
    """Names `{topic}` of each device, and what stands `below` it.

    Levels stay as they are: the configuration takes none that no broker takes.
    """
    return Namer(topic_template(route.topic + below, DEVICE_VARIABLES), route, level=str)


class Topics:
    """Prefix of each device (`topic:` of the publisher), remembered beyond the device's own life."""

    def __init__(self, route: RouteInfo, memo: Memo) -> None:
        self._route = route
        self._namer = prefix_namer(route)
        self._memo = memo
        self.agent_status = agent_status(route)
        self._prefixes: dict[str, str] = {}
        self._locations: dict[str, tuple[str, ...]] = {}
        self._cleared: set[str] = set()  # this session has emptied them; whether that arrived is not known yet
        self.kept = _load(memo)
        for prefix, kept in self.kept.items():
            self._prefixes[kept.device] = prefix
            self._locations[kept.device] = kept.location

    def place(self, image: Image) -> None:
        """Compute the prefixes of all devices in the image and remember them before anything is published there."""
        for name in image.devices:
            if self._route.wants(name):
                self.place_one(image, name)
        self.save()

    def place_one(self, image: Image, device: str) -> str:
        """The device's prefix as of now."""
        location = image.devices[device].location or (self._route.agent,)
        prefix = self._namer.device(device, location)
        self._prefixes[device] = prefix
        self._locations[device] = location
        route = self._route
        kept = self.kept.setdefault(prefix, Kept(device, status=route.status, tags=route.catalogue))
        kept.device, kept.gone, kept.location = device, False, location
        self._cleared.discard(prefix)
        return prefix

    def prefix(self, device: str) -> str:
        """The prefix of a device, also of one that is no longer configured."""
        known = self._prefixes.get(device)
        if known is None:
            known = self._prefixes[device] = self._namer.device(device, (self._route.agent,))
        return known

    def location(self, device: str) -> Sequence[str]:
        """The location of a device, also of one that is no longer configured."""
        return self._locations.get(device) or (self._route.agent,)

    def orphans(self, image: Image) -> Iterator[str]:
        """Prefixes with something retained that no device of the route stands for any more."""
        for prefix, kept in self.kept.items():
            here = kept.device in image.devices and self._route.wants(kept.device)
            if (
                not kept.gone
                and prefix not in self._cleared
                and not (here and self._prefixes.get(kept.device) == prefix)
            ):
                yield prefix

    def hand_over(self, image: Image) -> None:
        """Forget what another shard says from now on: its topics stay, where it has the same."""
        for prefix, kept in self.kept.items():
            other = image.elsewhere.get(kept.device)
            if other is None or kept.gone or kept.device in image.devices:
                continue
            theirs = prefix_namer(structs.replace(self._route, agent=other.agent))
            kept.gone = theirs.device(kept.device, other.location) == prefix

    def cleared(self, prefix: str) -> Kept:
        """What stood there is being emptied; a session that begins before :meth:`settle` empties it again."""
        self._cleared.add(prefix)
        return self.kept[prefix]

    def settle(self, waiting: set[str]) -> None:
        """What was cleared has had its time to arrive: forget it.

        Devices in `waiting` have records still; they keep their topic.
        """
        for prefix in self._cleared:
            self.kept[prefix].gone = True
        self._cleared.clear()
        done = [prefix for prefix, kept in self.kept.items() if kept.gone and kept.device not in waiting]
        for prefix in done:
            del self.kept[prefix]
        self.save()

    def save(self) -> None:
        """Into the memo; durable with the outbox's next commit."""
        encoded = msgspec.json.encode(self.kept)
        if encoded != self._memo.get(_KEY):
            self._memo.put(_KEY, encoded)


def _load(memo: Memo) -> dict[str, Kept]:
    try:
        return msgspec.json.decode(memo.get(_KEY) or b"{}", type=dict[str, Kept])
    except msgspec.DecodeError:  # an older or damaged note: what it remembered stays retained, nothing else is lost
        return {}
