"""What an exception code means for the tags it hits, and what is done about it. Pure.

Modbus Application Protocol V1.1b3, chapter 7, and docs/modbus.md. The status codes are OPC UA's:

| code | meaning | status of the tags | reaction |
|---|---|---|---|
| 01 | illegal function | BadNotSupported | as 04; what is refused alone is asked again every 10 minutes |
| 02 | illegal data address | BadConfigurationError | split to find the bad tags; those are probed every minute |
| 03 | illegal data value (often: too many) | BadConfigurationError | as 02 |
| 04 | server device failure | BadDeviceFailure | asked again in the next cycle; after three times as 02 |
| 05 | acknowledge: takes long | BadServerTooBusy | the same request again, a few times |
| 06 | server device busy | BadServerTooBusy | as 05 |
| 08 | memory parity error | BadDeviceFailure | as 04 |
| 0A | gateway path unavailable | BadNoCommunication | counts as silence of all units behind it (`gateway.py`) |
| 0B | gateway target failed to respond | BadNoCommunication | counts as silence of the unit alone |
| other | the vendor's own | BadCommunicationError, raw code in the reason | as 04 |

A unit that keeps silent is BadTimeout, a reply that does not fit its request BadCommunicationError.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from agent.core.quality import (
    BAD_COMMUNICATION_ERROR,
    BAD_CONFIGURATION_ERROR,
    BAD_DEVICE_FAILURE,
    BAD_NO_COMMUNICATION,
    BAD_NOT_SUPPORTED,
    number_of,
)

Kind = Literal["unsupported", "split", "busy", "silent", "bad"]


class Reaction(NamedTuple):
    """Status and words for the tags, and what is done."""

    status: int
    reason: str
    kind: Kind


_BUSY = number_of("BadServerTooBusy")

_REACTIONS: dict[int, Reaction] = {
    0x01: Reaction(BAD_NOT_SUPPORTED, "illegal function", "unsupported"),
    0x02: Reaction(BAD_CONFIGURATION_ERROR, "illegal data address", "split"),
    0x03: Reaction(BAD_CONFIGURATION_ERROR, "illegal data value", "split"),
    0x04: Reaction(BAD_DEVICE_FAILURE, "server device failure", "bad"),
    0x05: Reaction(_BUSY, "device needs long (acknowledge)", "busy"),
    0x06: Reaction(_BUSY, "device busy", "busy"),
    0x08: Reaction(BAD_DEVICE_FAILURE, "memory parity error", "bad"),
    0x0A: Reaction(BAD_NO_COMMUNICATION, "gateway path unavailable", "silent"),
    0x0B: Reaction(BAD_NO_COMMUNICATION, "gateway target device failed to respond", "silent"),
}


def reaction_to(code: int) -> Reaction:
    """The reaction to an exception code (1 to 255)."""
    known = _REACTIONS.get(code)
    return known or Reaction(BAD_COMMUNICATION_ERROR, f"exception code 0x{code:02X}", "bad")
