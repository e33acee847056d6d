"""Identity of messages whose payload has no room for it: MQTT 5 user properties. Pure."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.flow import Record
from agent.encoders.common.renderer import Setting

Properties = tuple[tuple[str, str], ...]


def marker(setting: Setting) -> Callable[[Record, int], Callable[[int], Properties]]:
    """A function from a record and how many messages it takes to the properties of message 1, 2, … of it.

    (agent, epoch, device, seq, index) is the identity of a message; `of` says how many there are. On MQTT 3.1.1 there
    are no properties.
    """
    agent = ("agent", setting.route.agent)
    if setting.mqtt != "5":
        return lambda _record, _of: _nothing

    def of_record(record: Record, of: int) -> Callable[[int], Properties]:
        stream = record.stream
        head: Properties = (
            agent,
            ("device", stream.device),
            ("epoch", stream.epoch),
            ("seq", str(record.seq)),
            ("of", str(of)),
            *((("historical", "true"),) if record.historical else ()),
        )
        return lambda index: (*head, ("index", str(index)))

    return of_record


def _nothing(_index: int) -> Properties:
    return ()
