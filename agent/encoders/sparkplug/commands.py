"""What hosts ask of us: a rebirth is granted, everything else is refused, because the agent only reads. Pure."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from msgspec import Struct

from agent.encoders.sparkplug.node import REBIRTH
from agent.encoders.sparkplug.schema import Payload


class Command(Struct, frozen=True):
    """One NCMD or DCMD, judged."""

    rebirth: bool = False
    refused: tuple[str, ...] = ()  #: what was asked for beside that: names, or aliases as #n
    malformed: str = ""  #: why nobody can read it


def judge(payload: bytes, *, to_node: bool) -> Command:
    """What a command asks for. `Node Control/Rebirth` counts by name, true, and to the node only."""
    message = Payload()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        return Command(malformed=str(error) or "no Sparkplug payload")
    rebirth, refused = False, []
    for metric in message.metrics:
        if to_node and metric.name == REBIRTH:
            rebirth = rebirth or metric.boolean_value
        else:
            refused.append(metric.name or f"#{metric.alias}")
    return Command(rebirth=rebirth, refused=tuple(refused))
