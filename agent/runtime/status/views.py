"""What the agent shows over HTTP: the image, the status, the log, the configuration. Reads, changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from agent.config import shown as config_shown
from agent.config.loader import Loaded
from agent.core.clock import Clock
from agent.core.flow import Batch, Gap
from agent.core.image import SELF, DeviceImage, Image
from agent.core.threads import beside, run_in_thread
from agent.runtime.history.recorder import History
from agent.runtime.myself import Myself
from agent.runtime.outlet import Outlet
from agent.runtime.reload.reloader import Reloader
from agent.runtime.status import shown
from agent.runtime.status.overview import Overview
from agent.telemetry.recent import RECENT


class Views:
    """Of one agent. Fulfils what agent.web.api and agent.web.stream ask for."""

    def __init__(
        self,
        image: Image,
        overview: Overview,
        reloader: Reloader,
        outlet: Outlet,
        history: History,
        myself: Myself,
        clock: Clock,
    ) -> None:
        self._image = image
        self._overview = overview
        self._reloader = reloader
        self._outlet = outlet
        self._history = history
        self._myself = myself
        self._clock = clock
        self._config: tuple[Loaded, asyncio.Future[dict[str, Any]]] | None = None

    # --- the API ------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The whole status."""
        return self._overview.status()

    def tags(self, device: str, /) -> dict[str, Any] | None:
        """All tags of a device; None where there is none of that name."""
        image = self._device(device)
        if image is None:
            return None
        config = self._reloader.effective.config.devices.get(device)
        table = {} if config is None else config.tag_table
        notes = image.notes.get("opcua")
        nodes = notes.get("found_nodes", {}) if isinstance(notes, Mapping) else {}

        def where(tag: str) -> str | None:
            one = table.get(tag)
            return nodes.get(tag) if one is None else one.where()

        return shown.tags_of(image, self._clock.now_ms(), where)

    async def history(self, device: str | None, tag: str | None, begin: int, end: int, /) -> bytes | None:
        """Rollups as JSON; None: nothing is kept."""
        return await self._history.query(device, tag, begin, end)

    def events(self, device: str | None, level: Any, /) -> list[Any]:
        """The newest events of the log."""
        return list(RECENT.newest(level=level, device=device))

    async def config(self) -> dict[str, Any]:
        """The effective configuration, redacted. Made in a thread, once for each configuration, whoever gives up."""
        loaded = self._reloader.effective
        if self._config is None or self._config[0] is not loaded:
            self._config = loaded, run_in_thread(partial(beside, config_shown.effective, loaded), "config")
        return await asyncio.shield(self._config[1])

    def reloads(self) -> dict[str, Any]:
        """What the last ones changed."""
        return self._reloader.journal.shown(self._reloader.effective.hash)

    # --- the stream ---------------------------------------------------------------------------------------------------

    def tap(self, append: Callable[[Batch | Gap], None], /) -> Callable[[], None]:
        """Everything that is read from now on."""
        return self._outlet.tap("stream", append)

    def values(self, device: str, tags: Iterable[str] | None, /) -> Mapping[str, shown.Shown] | None:
        """Newest of these tags (None: of all)."""
        image = self._device(device)
        return None if image is None else shown.newest(image, tags)

    def telling(self) -> Mapping[str, list[str]]:
        """The tags that stand for each device."""
        return {name: shown.telling(device) for name, device in self._image.devices.items() if name != SELF}

    def news(self) -> int:
        """It rises with every event, and changes with the number of devices that are asked in vain."""
        return RECENT.total * 1_000_000 + self._overview.unanswered

    def now(self) -> int:
        """Epoch ms."""
        return self._clock.now_ms()

    def _device(self, name: str) -> DeviceImage | None:
        return self._myself.device if name == SELF else self._image.devices.get(name)
