"""The tables of reason codes are complete and lead to what docs/mqtt.md says."""

from __future__ import annotations

from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.core.errors import ConnectionLost, Refused, Rejected
from agent.publishers.mqtt import reasons

TABLES = {
    PacketTypes.CONNACK: reasons.CONNACK,
    PacketTypes.PUBACK: reasons.PUBACK,
    PacketTypes.DISCONNECT: reasons.DISCONNECT,
}


@pytest.mark.parametrize("kind", TABLES)
def test_no_code_of_the_standard_is_missing(kind: int) -> None:
    """Every code an independent list knows for the packet has a row."""
    known = {code for code, names in ReasonCode.names.items() for kinds in names.values() if kind in kinds}
    assert known <= TABLES[kind].keys()


@pytest.mark.parametrize(
    ("code", "retry_after", "attempts"), [(0x80, 10, 5), (0x83, 10, 5), (0x87, 300, None), (0x97, 5, None)]
)
def test_refusals_that_may_end(code: int, retry_after: float, attempts: int | None) -> None:
    """Quota pauses, a missing permission never eats data, refusals without a reason are bounded."""
    error = reasons.error(reasons.PUBACK[code], code)
    assert isinstance(error, Refused)
    assert (error.retry_after, error.attempts) == (retry_after, attempts)


@pytest.mark.parametrize("code", [0x90, 0x95, 0x99])
def test_refusals_that_never_end(code: int) -> None:
    """Topic, size and payload format do not change by waiting."""
    error = reasons.error(reasons.PUBACK[code], code)
    assert isinstance(error, Rejected)
    assert error.code == code


def test_what_an_operator_reads() -> None:
    """An error carries the code and the broker's own words."""
    error = reasons.error(reasons.DISCONNECT[0x8E], 0x8E, "bye")
    assert str(error) == "another client took over our client_id; give each agent and publisher its own (0x8E): bye"
    quota = str(reasons.error(reasons.PUBACK[0x97], 0x97, "edge/d/readings"))
    assert quota.startswith(
        "a quota of the broker is used up (0x97): edge/d/readings -> have it raised, or publish less"
    )
    assert isinstance(reasons.error(reasons.PUBACK[0x91], 0x91), ConnectionLost)


def test_unlisted_codes() -> None:
    """A code nobody lists counts as success below 0x80, else as unspecified."""
    assert reasons.reaction(reasons.PUBACK, 0x05).kind == "accepted"
    assert reasons.reaction(reasons.PUBACK, 0xFE) == reasons.PUBACK[0x80]


def test_the_documentation_is_in_step() -> None:
    """docs/mqtt.md has the tables of today: run `python -m agent.publishers.mqtt.reasons docs/mqtt.md`."""
    page = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text(encoding="utf-8")
    assert reasons.put_in(page) == page
