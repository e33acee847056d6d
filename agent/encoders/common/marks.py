"""Identity of messages whose payload has no room for it: MQTT 5 user properties. Pure."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.flow import Batch, Record
from agent.encoders.common.renderer import Setting

Properties = tuple[tuple[str, str], ...]

#: Room to be left for the properties of a message, bytes: what they take at most. A constant, because where a record is
#: cut must not depend on the payload: message 2 of 3 carries the same readings whenever it is sent.
MARKS_ROOM = 380


def marker(setting: Setting) -> Callable[[Record, int], Callable[[int], Properties]]:
    """A function from a record and how many messages it takes to the properties of message 1, 2, … of it.

    (agent, epoch, device, seq, index) is the identity of a message; `of` says how many there are, `low` which records
    are done with (docs/messages.md). Not every broker carries properties (MQTT 3.1.1).
    """
    agent = ("agent", setting.route.agent)
    if not setting.properties:
        return lambda _record, _of: _nothing

    def of_record(record: Record, of: int) -> Callable[[int], Properties]:
        stream, content = record.stream, record.content
        snapshot = isinstance(content, Batch) and content.snapshot
        head: Properties = (
            agent,
            ("device", stream.device),
            ("epoch", stream.epoch),
            ("seq", str(record.seq)),
            ("low", str(stream.low)),
            ("of", str(of)),
            *((("snapshot", "true"),) if snapshot else ()),
            *((("historical", "true"),) if record.historical else ()),
            *((("resent", "true"),) if record.resent else ()),
        )
        return lambda index: (*head, ("index", str(index)))

    return of_record


def _nothing(_index: int) -> Properties:
    return ()
