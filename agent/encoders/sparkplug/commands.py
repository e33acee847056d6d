"""What hosts ask of us: a rebirth is granted, everything else is refused, because the agent only reads. Pure."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from msgspec import Struct

from agent.encoders.sparkplug.node import REBIRTH
from agent.encoders.sparkplug.schema import Payload

#: Characters of a name that are worth a log.
_LONGEST = 100


class Command(Struct, frozen=True):
    """One NCMD or DCMD, judged."""

    rebirth: bool = False
    refused: tuple[str, ...] = ()  #: what was asked for beside that: names (shortened), or aliases as #n
    malformed: str = ""  #: why nobody can read it


def judge(payload: bytes, *, to_node: bool) -> Command:
    """What a command asks for. `Node Control/Rebirth` counts by name, true, and to the node only."""
    message = Payload()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        return Command(malformed=str(error) or "no Sparkplug payload")
    if not message.metrics:
        return Command(malformed="it names no metric")
    rebirth, malformed, refused = False, "", []
    for metric in message.metrics:
        if not (to_node and metric.name == REBIRTH):
            refused.append(_name(metric))
        elif metric.HasField("boolean_value"):
            rebirth = rebirth or metric.boolean_value
        else:
            malformed = f"{REBIRTH} takes a Boolean"
    return Command(rebirth=rebirth, refused=tuple(refused), malformed=malformed)


def _name(metric: Any) -> str:
    """What to call it in a log: anybody may have written it."""
    name: str | bytes = metric.name or f"#{metric.alias}"
    text = name if isinstance(name, str) else name.decode("utf-8", "replace")  # bytes where it is no UTF-8
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
