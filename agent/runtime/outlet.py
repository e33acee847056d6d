"""Where a device's batches go: the outboxes of the routes that want it, and taps. Both come and go at run time.

    device ─▶ at("press-01") ─▶ append of each route whose globs match, then each tap

What one of them raises costs none of the others, and never the device.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache

from agent.core.flow import Batch, Gap
from agent.telemetry.bugs import Bugs

Append = Callable[[Batch | Gap], None]
Scanned = Callable[[str, int, int, int], None]  #: device; scans due, done, late


class Wants:
    """Which devices a route carries: those whose name matches a glob. The globs may change."""

    def __init__(self, globs: tuple[str, ...]) -> None:
        self.globs = globs

    def __call__(self, device: str, /) -> bool:
        return _matches(device, self.globs)


@lru_cache(4096)
def _matches(device: str, globs: tuple[str, ...]) -> bool:
    """Remembered: the status of one device depends on all of them."""
    return any(fnmatchcase(device, glob) for glob in globs)


def everything(_device: str, /) -> bool:
    """A tap that wants all devices."""
    return True


class _Sink:
    """One place batches go to."""

    __slots__ = ("append", "bugs", "scanned", "wants")

    def __init__(self, name: str, wants: Callable[[str], bool], append: Append, scanned: Scanned | None = None) -> None:
        self.wants = wants
        self.append = append
        self.scanned = scanned
        self.bugs = Bugs(name)


class Mouth:
    """The outlet of one device: call it with each batch and each gap. Never waits, never raises."""

    __slots__ = ("sinks",)

    def __init__(self) -> None:
        self.sinks: tuple[_Sink, ...] = ()

    def __call__(self, content: Batch | Gap, /) -> None:
        for sink in self.sinks:
            try:
                sink.append(content)
            except Exception as error:  # noqa: BLE001 - costs whoever it is handed to
                sink.bugs.met(error)

    def scanned(self, device: str, due: int, done: int, late: int) -> None:
        """Count scans of the device in each outbox. Never waits, never raises."""
        for sink in self.sinks:
            if sink.scanned is not None:
                try:
                    sink.scanned(device, due, done, late)
                except Exception as error:  # noqa: BLE001 - costs whoever it is handed to
                    sink.bugs.met(error)


class Outlet:
    """All routes and taps of one agent. Belongs to the event loop."""

    def __init__(self) -> None:
        self._routes: dict[str, _Sink] = {}
        self._taps: dict[object, _Sink] = {}
        self._mouths: dict[str, Mouth] = {}
        self._private: set[str] = set()

    def route(
        self, name: str, wants: Callable[[str], bool], append: Append, scanned: Scanned | None = None
    ) -> Callable[[], None]:
        """From now on `append` gets what the route `name` wants, `scanned` its scans; the returned function ends it."""
        sink = self._routes[name] = _Sink(f"outbox {name}", wants, append, scanned)
        self.rewire()

        def undo() -> None:
            if self._routes.get(name) is sink:
                del self._routes[name]
                self.rewire()

        return undo

    def tap(self, name: str, append: Append) -> Callable[[], None]:
        """From now on `append` gets a look at everything, after the outboxes; the undo ends that.

        It is called on the loop for every batch, so it takes what it needs and returns at once.
        """
        key = object()
        self._taps[key] = _Sink(name, everything, append)
        self.rewire()

        def undo() -> None:
            if self._taps.pop(key, None) is not None:
                self.rewire()

        return undo

    def publish(self, device: str, *, on: bool) -> None:
        """Whether routes get what comes of this device, or taps alone."""
        (self._private.discard if on else self._private.add)(device)
        if device in self._mouths:
            self._wire(device, self._mouths[device])

    def at(self, device: str) -> Mouth:
        """The mouth of this device, the same until :meth:`forget`."""
        mouth = self._mouths.get(device)
        if mouth is None:
            mouth = self._mouths[device] = Mouth()
            self._wire(device, mouth)
        return mouth

    def forget(self, device: str) -> None:
        """The device is no longer configured."""
        self._mouths.pop(device, None)

    def rewire(self) -> None:
        """What somebody wants has changed."""
        for device, mouth in self._mouths.items():
            self._wire(device, mouth)

    def _wire(self, device: str, mouth: Mouth) -> None:
        routes = () if device in self._private else self._routes.values()
        mouth.sinks = tuple(sink for sink in (*routes, *self._taps.values()) if sink.wants(device))
