"""The published shape of readings as the `json` encoder sends them, as pydantic models.

A test holds them against what the encoder really emits, as it does with the other messages. Descriptions are the
reference of the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Epoch milliseconds UTC.
Instant = int


class MessageModel(BaseModel):
    """What a message may hold, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Reading(MessageModel):
    """Value, quality and time of one tag."""

    tag: str
    """Name of the tag."""
    value: JsonValue
    """Number, boolean, text or array of those; null where the quality is bad. 64-bit integers are exact."""
    ts: Instant
    """Instant for which value and quality are asserted, epoch milliseconds UTC."""
    quality: Literal["good", "uncertain", "bad"]
    """How far the value may be trusted (OPC UA severity)."""
    src: Instant = 0
    """Source timestamp, where it differs from `ts`, epoch milliseconds UTC."""
    unit: str = ""
    """Engineering unit, UCUM notation."""
    label: str = ""
    """Text of an enumerated value."""
    code: str = ""
    """OPC UA status code name, where the status is not plain Good."""
    status: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The same as a number, with its flags."""
    reason: str = ""
    """Words for people."""
    why: Literal["initial", "recovered", "heartbeat", "offline", "disabled"] = "initial"
    """Why this is published, where it is no ordinary reading."""


class ReadingsMessage(MessageModel):
    """One record: readings of one device from one scan or notification. Topic `{topic}/readings`."""

    schema_: Literal["edge.readings.v1"] = Field(alias="schema")
    """Name and version of this shape."""
    agent: str
    """The agent that read."""
    device: str
    """The device that was read."""
    epoch: str
    """One run of one outbox; sequence numbers count within (agent, epoch, device)."""
    seq: Annotated[int, Field(ge=1)]
    """Sequence number of the record."""
    low: Annotated[int, Field(ge=1)]
    """Lowest number of the stream neither acknowledged nor declared lost, as of sending."""
    ts: Instant
    """When the record was committed, epoch milliseconds UTC."""
    cat: Annotated[int, Field(ge=1)]
    """Version of the device's tag catalogue."""
    snapshot: Literal[True] = True
    """All tags of the device, newest value and quality."""
    historical: Literal[True] = True
    """Committed before this broker session, or fallen behind: never updates a current value."""
    resent: Literal[True] = True
    """Sent once more because somebody asked for it: `historical`, and outside the order of the session."""
    part: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)] = [1, 1]
    """[i, n]: the record takes n messages, this is number i."""
    clock: Literal["unsynced"] = "unsynced"
    """The gateway's clock was not set."""
    readings: list[Reading]
    """Readings, oldest first where a tag occurs several times."""


def schema_of(model: type[MessageModel]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a message."""
    schema = model.model_json_schema(by_alias=True)
    _drop_defaults(schema)
    return {"$schema": _DIALECT, **schema}


def readings_schema() -> dict[str, Any]:
    """JSON Schema of the readings message: what `edge-agent schema readings` prints."""
    return schema_of(ReadingsMessage)


def _drop_defaults(node: object) -> None:
    """Absent means absent, not some default; titles only repeat names."""
    if isinstance(node, dict):
        if "type" in node or "$ref" in node or "const" in node or "enum" in node or "anyOf" in node:
            node.pop("default", None)
            if isinstance(node.get("title"), str):
                node.pop("title")
        for value in node.values():
            _drop_defaults(value)
    elif isinstance(node, list):
        for value in node:
            _drop_defaults(value)
