"""A declared loss as a message: the same whatever the encoder says of readings. Pure."""

from __future__ import annotations

from msgspec import UNSET

from agent.core.flow import Gap, Message
from agent.encoders.common.messages import CONTENT_TYPE, GAP_SCHEMA, GapMessage, encode
from agent.encoders.common.wire import overhead


def gap_message(gap: Gap, *, agent: str, prefix: str, limit: int) -> Message:
    """`{topic}/gaps`. Always acknowledged by the broker: a declaration must arrive."""
    topic = prefix + "/gaps"
    message = GapMessage(
        id=gap.id, kind=gap.kind, agent=agent, device=gap.device, epoch=gap.epoch, from_seq=gap.from_seq,
        to_seq=gap.to_seq, from_ts=gap.from_ts, to_ts=gap.to_ts, tags=gap.tags, records=gap.records,
        readings=gap.readings, reason=gap.reason, request=UNSET if gap.request is None else gap.request,
    )  # fmt: skip
    properties = (("schema", GAP_SCHEMA), ("agent", agent))
    payload = encode(message)
    if len(payload) > limit - overhead(topic, properties):
        # a declaration that does not fit would itself be lost: rather "any tag" than none
        message.tags = None
        payload = encode(message)
    return Message(topic=topic, payload=payload, content_type=CONTENT_TYPE, properties=properties)
