"""Messages that say who they are in MQTT 5 user properties, because their payload has no room for it. Pure.

Encoders with a payload of somebody else's (umh, value, influx, template) mark every message: `agent`, `device`, `epoch`
and `seq` name the record, `index` and `of` the message in it, `low` what is done with, `snapshot` and `historical` say
what they say in the json encoder's envelope. What the payload holds is none of the audit's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec import Struct

from agent.consumer.contract import MOST_PARTS, UndecodableError

UserProperties = Sequence[tuple[str, str]]

_NUMBERS = ("seq", "low", "index", "of")
_NAMES = ("agent", "device", "epoch")


class Marked(Struct):
    """One message of a record, by its properties alone. The same words as `contract.Readings`."""

    topic: str
    agent: str
    device: str
    epoch: str
    seq: int
    low: int
    part: tuple[int, int]  #: index and of
    snapshot: bool
    historical: bool
    resent: bool
    fingerprint: bytes  #: of topic and payload, which may be others where a live record comes again as history


def is_marked(properties: UserProperties) -> bool:
    """Whether the message is one of these. The json encoder's have properties, too, and say all of it themselves."""
    return any(key == "index" for key, _ in properties)


def read_marks(topic: str, payload: bytes, properties: UserProperties) -> Marked:
    """What the properties say. Raises UndecodableError."""
    given = dict(properties)
    missing = [name for name in (*_NAMES, *_NUMBERS) if not given.get(name)]
    if missing:
        raise UndecodableError(f"{topic}: no user property {missing[0]}")
    numbers = {name: given[name] for name in _NUMBERS}
    if not all(text.isascii() and text.isdecimal() and len(text) < 20 for text in numbers.values()):
        raise UndecodableError(f"{topic}: user properties {numbers}: not numbers")
    seq, low, index, of = map(int, numbers.values())
    if seq < 1 or low < 1 or not 1 <= index <= of <= MOST_PARTS:
        raise UndecodableError(f"{topic}: user properties {numbers}: seq, low and index start at 1, index ends with of")
    return Marked(
        topic=topic, agent=given["agent"], device=given["device"], epoch=given["epoch"], seq=seq, low=low,
        part=(index, of), snapshot=given.get("snapshot") == "true", historical=given.get("historical") == "true",
        resent=given.get("resent") == "true",
        fingerprint=blake2b(topic.encode() + b"\0" + payload, digest_size=8).digest(),
    )  # fmt: skip
