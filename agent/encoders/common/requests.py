"""What a consumer may ask for. Whoever may publish at the broker may ask, so nothing in a request is believed. Pure."""

from __future__ import annotations

import msgspec

from agent.core.errors import Rejected
from agent.core.flow import Incoming, ResendRequest

#: Of a request: bytes, numbers it may ask for, and characters of its id.
REQUEST_BYTES, MOST_NUMBERS, MOST_ID = 4096, 10_000, 64


def resend_request(incoming: Incoming) -> ResendRequest:
    """The request in a message. Raises Rejected where it is none."""
    if len(incoming.payload) > REQUEST_BYTES:
        raise Rejected("larger than a request may be")
    try:
        request = msgspec.json.decode(incoming.payload, type=ResendRequest)
    except (ValueError, RecursionError) as error:
        raise Rejected(str(error)) from error
    if not 1 <= request.from_seq <= request.to_seq < request.from_seq + MOST_NUMBERS:
        raise Rejected(f"1 to {MOST_NUMBERS:,} numbers, first to last")
    if not 0 < len(request.id) <= MOST_ID:
        raise Rejected("an id of its own, a ULID")
    return request
