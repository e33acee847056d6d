"""The agent with bugs put in: an encoder, what keeps a catalogue, a log and a report raise whenever they are called.

No real part shows such a bug, so they are put where each part is called. Run as a program, like `agent`.
"""

from __future__ import annotations

from typing import Any

import structlog

from agent.cli import main
from agent.encoders.common.dialogue import StatusDialogue
from agent.runtime.catalogue import Catalogues
from agent.runtime.south.device import Device

BROKEN = "broken"  #: the encoder of the publisher of this name, log and catalogue of the device of this name
MUTE = "mute"  #: the report that this device is lost


class PutInError(Exception):
    """A bug that was put in."""


def _encoder() -> None:
    sound = StatusDialogue.__call__

    def call(self: StatusDialogue, event: Any, /) -> Any:
        if self._route.name == BROKEN:
            raise PutInError("encoder")
        return sound(self, event)

    StatusDialogue.__call__ = call  # type: ignore[method-assign]


def _catalogues() -> None:
    sound = Catalogues.keep

    def keep(self: Catalogues, device: Any, now_ms: int) -> None:
        if device.name == BROKEN:
            raise PutInError("catalogue")
        sound(self, device, now_ms)

    Catalogues.keep = keep  # type: ignore[method-assign]


def _report() -> None:
    sound = Device._lost

    def lost(self: Device, failure: Any) -> None:
        if self.name == MUTE:
            raise PutInError("report")
        sound(self, failure)

    Device._lost = lost  # type: ignore[method-assign]


def _log() -> None:
    configured = structlog.configure

    def raising(_logger: object, _method: str, event: Any) -> Any:
        if event.get("device") == BROKEN:
            raise PutInError("log")
        return event

    def configure(*, processors: list[Any], **keys: Any) -> None:
        configured(processors=[raising, *processors], **keys)

    structlog.configure = configure  # type: ignore[assignment]


if __name__ == "__main__":
    for put_in in (_encoder, _catalogues, _report, _log):
        put_in()
    main()
