"""What `/api/v1/status` says. Pure: from the image and the routes to plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import structs

from agent.core.flow import Stream
from agent.core.image import DeviceImage, Image
from agent.core.ports import OutboxStats


class RouteView(Protocol):
    """What the web knows of a route."""

    name: str

    @property
    def state(self) -> str:
        """`online` or `offline`."""

    @property
    def reason(self) -> str | None:
        """Why it is offline."""

    @property
    def mqtt(self) -> str | None:
        """Version of the protocol in use."""

    @property
    def conflict(self) -> str | None:
        """Session of another agent that speaks under our id at the same broker."""

    @property
    def stats(self) -> OutboxStats:
        """Figures of its outbox."""

    @property
    def streams(self) -> Sequence[Stream]:
        """Streams of its outbox."""


def describe(image: Image, routes: Iterable[RouteView], *, now: int, started: int) -> dict[str, Any]:
    """The whole status."""
    return {
        "agent": {"id": image.agent.id, "version": image.agent.version, "config": image.agent.config},
        "ts": now,
        "started": started,
        "devices": {name: _device(device) for name, device in image.devices.items()},
        "publishers": {route.name: _route(route) for route in routes},
    }


def _device(device: DeviceImage) -> Mapping[str, Any]:
    return {
        "state": device.state,
        "reason": device.reason,
        "since": device.since,
        "last_good": device.last_good,
        "achieved_ms": device.achieved_ms,
        "location": list(device.location),
        "tags": len(device.tags),
        "tags_bad": device.bad,
        "cat": device.cat,
        "notes": dict(device.notes),
    }


def _route(route: RouteView) -> Mapping[str, Any]:
    streams: dict[str, list[dict[str, Any]]] = {}
    for stream in route.streams:
        streams.setdefault(stream.device, []).append(
            {"epoch": stream.epoch, "low": stream.low, "next": stream.next},
        )
    return {
        "state": route.state,
        "reason": route.reason,
        "mqtt": route.mqtt,
        "conflict": route.conflict,
        "outbox": structs.asdict(route.stats),
        "streams": streams,
    }
