"""What stays retained about devices: status and catalogue; said when they change, repeated, and taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.core.flow import Message, Stream
from agent.core.image import DeviceImage, Image
from agent.core.ports import RouteInfo
from agent.encoders.common import retained
from agent.encoders.common.renderer import Renderer
from agent.encoders.common.topics import Topics
from agent.telemetry.logging import get_logger

#: Ticks in which what is retained about all devices is published again, a share in each: 10 minutes.
SHARES = 20

log = get_logger("encoder")


class DeviceTopics:
    """Of one session, once the broker's limits are known."""

    def __init__(
        self,
        route: RouteInfo,
        image: Image,
        topics: Topics,
        session: str,
        streams: Mapping[str, Stream],
        renderer: Renderer,
        *,
        limit: int,
    ) -> None:
        """`streams`: the present one of each device; `limit`: bytes of a whole packet. `renderer` is told of moves."""
        self._route = route
        self._image = image
        self._topics = topics
        self._session = session
        self._streams = streams
        self._renderer = renderer
        self._limit = limit
        self._told: dict[str, object] = {}  # place and catalogue of each device, as said last
        self._round: list[str] = []  # devices whose retained messages are published again, a share each tick
        self._share = 0  # of it, the next one

    def greet(self, ts: int) -> list[Message]:
        """All of it, when a session begins."""
        self._topics.place(self._image)
        return self._say((name for name in self._image.devices if self._route.wants(name)), ts)

    def only_state(self, name: str, ts: int) -> list[Message] | None:
        """About one device of which nothing but its state has changed; None where more has. It looks at no other: all
        of them may be lost at once.
        """
        device = self._image.devices.get(name)
        if device is None or not self._route.wants(name) or self._told.get(name) != _standing(device):
            return None
        return self._status(name, self._topics.prefix(name), ts)

    def changed(self, name: str, ts: int) -> list[Message]:
        """About one device, which may be gone."""
        return self._say([name] if self._here(name) else [], ts)

    def _here(self, name: str) -> bool:
        return name in self._image.devices and self._route.wants(name)

    def again(self, ts: int) -> list[Message]:
        """About a share of the devices: a broker may have lost it, and nobody would know.

        Never about all at once: a broker that throttles would throw the burst away.
        """
        if self._share == 0:
            self._round = [name for name in self._image.devices if self._route.wants(name)]
        first, end = (share * len(self._round) // SHARES for share in (self._share, self._share + 1))
        self._share = (self._share + 1) % SHARES
        names = [name for name in self._round[first:end] if self._here(name)]
        for name in names:
            self._told.pop(name, None)
        return self._say(names, ts)

    def _say(self, names: Iterable[str], ts: int) -> list[Message]:
        prefixes = {name: self._topics.place_one(self._image, name) for name in names}
        for name in prefixes:
            self._renderer.moved(name)
        messages = self._clear_orphans(ts)
        for name, prefix in prefixes.items():
            messages += self._status(name, prefix, ts)
            messages += self._catalogue(name, prefix)
        self._topics.save()
        return messages

    def _status(self, name: str, prefix: str, ts: int) -> list[Message]:
        kept = self._topics.kept[prefix]
        before, kept.status = kept.status, self._route.status
        if self._route.status:
            device, stream = self._image.devices[name], self._streams.get(name)
            return [retained.status(prefix, device, self._session, stream, ts)]
        return [retained.empty(f"{prefix}/status")] if before else []

    def _catalogue(self, name: str, prefix: str) -> list[Message]:
        device, kept = self._image.devices[name], self._topics.kept[prefix]
        before, kept.tags = kept.tags, self._route.catalogue
        told, standing = self._told.get(name), _standing(device)
        self._told[name] = standing
        if self._route.catalogue and told != standing:
            parts, pieces = retained.catalogue(prefix, device, self._limit), kept.parts
            kept.parts = len(parts) - 1
            return [*parts, *(retained.empty(f"{prefix}/tags/{i}") for i in range(len(parts), pieces + 1))]
        if before and not self._route.catalogue:
            pieces, kept.parts = kept.parts, 0
            return retained.no_catalogue(prefix, pieces)
        return []

    def _clear_orphans(self, ts: int) -> list[Message]:
        """Say `removed` of what is no longer configured, then empty its retained topics."""
        messages: list[Message] = []
        self._topics.hand_over(self._image)
        for prefix in list(self._topics.orphans(self._image)):
            kept = self._topics.cleared(prefix)
            if kept.status:
                messages += retained.removed(prefix, self._session, ts)
            if kept.tags:
                messages += retained.no_catalogue(prefix, kept.parts)
            self._renderer.moved(kept.device)
            self._told.pop(kept.device, None)
            if kept.device not in self._image.devices:
                log.info("device.removed", device=kept.device)
        return messages


def _standing(device: DeviceImage) -> tuple[object, ...]:
    """Where a device stands, and what its catalogue says."""
    return device.location, device.cat, device.tags, device.description
