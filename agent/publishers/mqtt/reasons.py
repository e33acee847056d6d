"""Every reason code a broker can send, and what we do about it (MQTT 5: 2.4, 3.2.2.2, 3.4.2.1, 3.14.2.1). Pure.

One row per code and packet; a test walks them all against a scripted broker. Return codes of an MQTT 3.1.1
CONNACK come in as what MQTT 5 calls the same. An unlisted code is treated as 0x80.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, NamedTuple

from agent.core.errors import AgentError, ConnectionLost, PermanentError, Refused, Rejected, TransientError

Kind = Literal["accepted", "lost", "transient", "refused", "rejected", "permanent", "version"]
#: What the next connection does without, because this broker cannot.
Without = Literal["retain", "qos", "window", "size", "rate", "will"]  #: will: a retained one


class ReasonReaction(NamedTuple):
    """`text` is for the operator: what the broker said and what to check."""

    kind: Kind
    text: str
    retry_after: float | None = None
    without: Without | None = None
    attempts: int | None = None  #: refused: quarantine the record after so many; None: never
    blames: bool = False  #: a message that was in flight may be the reason
    hint: str | None = None  #: what to do, where `text` does not say it


def _accepted(text: str) -> ReasonReaction:
    return ReasonReaction("accepted", text)


def _lost(text: str, retry_after: float | None = None, without: Without | None = None) -> ReasonReaction:
    return ReasonReaction("lost", text, retry_after, without)


def _blames(text: str, without: Without | None = None, retry_after: float | None = None) -> ReasonReaction:
    return ReasonReaction("lost", text, retry_after, without=without, blames=True)


def _later(text: str, retry_after: float, without: Without | None = None, hint: str | None = None) -> ReasonReaction:
    return ReasonReaction("transient", text, retry_after, without, hint=hint)


def _refused(text: str, retry_after: float, attempts: int | None = None, hint: str | None = None) -> ReasonReaction:
    return ReasonReaction("refused", text, retry_after, attempts=attempts, hint=hint)


def _rejected(text: str) -> ReasonReaction:
    return ReasonReaction("rejected", text)


def _permanent(text: str) -> ReasonReaction:
    return ReasonReaction("permanent", text)


#: How often a message is offered that the broker refuses without a reason that would end by itself.
_ATTEMPTS = 5
_MUCH = "a quota of the broker is used up"
_LESS = "have it raised, or publish less: a longer `interval`, `report: on_change`, fewer tags"
_WHO = "check username, password and client_id, and what the broker's access rules grant them"

CONNACK: dict[int, ReasonReaction] = {
    0x00: _accepted("accepted"),
    0x80: _later("the broker refuses without saying why", 10),
    0x81: _lost("the broker could not read our CONNECT"),
    0x82: _lost("the broker calls our CONNECT a protocol error"),
    0x83: _later("the broker refuses the connection for a reason of its own", 10),
    0x84: ReasonReaction("version", "the broker does not speak this MQTT version", 30),
    0x85: _later("the broker does not accept our client_id; set another one", 60),
    0x86: _later(f"bad user name or password; {_WHO}", 30),
    0x87: _later(f"not authorised to connect; {_WHO}", 30),
    0x88: _later("the broker is unavailable", 5),
    0x89: _later("the broker is busy", 10),
    0x8A: _later("the broker has banned this client; ask who runs it", 60),
    0x8C: _later(f"bad authentication method; {_WHO}", 60),
    0x90: _permanent("the broker does not accept the topic of our will; check root and topic"),
    0x95: _permanent("the broker finds our CONNECT too large"),
    0x97: _later(_MUCH, 60, hint=_LESS),
    0x99: _permanent("the broker does not accept the payload of our will"),
    0x9A: _lost("the broker keeps no retained messages; connecting without", without="retain"),
    0x9B: _lost("the broker does not take this QoS for a will; connecting with QoS 0", without="qos"),
    0x9C: _later("the broker asks to use another server for now", 60),
    0x9D: _later("the broker has moved to another server; change url", 60),
    0x9F: _later("the broker takes no more connections for the moment", 30),
}

PUBACK: dict[int, ReasonReaction] = {
    0x00: _accepted("accepted"),
    0x10: _accepted("accepted; nobody subscribes"),
    0x80: _refused("the broker refuses the message without saying why", 10, _ATTEMPTS),
    0x83: _refused("the broker refuses the message for a reason of its own", 10, _ATTEMPTS),
    0x87: _refused("not authorised to publish here", 300, hint="check the broker's access rules for this topic"),
    0x90: _rejected("the broker does not accept the topic"),
    0x91: _lost("the broker has this packet identifier in use"),
    # not a legal code here; mosquitto 2.0 sends it
    0x95: ReasonReaction("rejected", "the broker finds the message too large", without="size"),
    0x97: _refused(_MUCH, 5, hint=_LESS),
    0x99: _rejected("the broker does not accept the payload format"),
}

DISCONNECT: dict[int, ReasonReaction] = {
    0x00: _lost("the broker ended the connection"),
    0x04: _lost("the broker ended the connection"),
    0x80: _blames("the broker ended the connection without saying why"),
    0x81: _blames("the broker received a packet it could not read"),
    0x82: _blames("the broker saw a protocol error"),
    0x83: _blames("the broker ended the connection for a reason of its own"),
    0x87: _blames(f"not authorised for something that was in flight; {_WHO}", retry_after=5),
    0x89: _later("the broker is busy", 10),
    0x8B: _lost("the broker is shutting down"),
    0x8C: _later(f"bad authentication method; {_WHO}", 60),
    0x8D: _lost("the broker did not hear from us within the keep-alive time"),
    0x8E: _later("another client took over our client_id; give each agent and publisher its own", 60),
    0x8F: _lost("the broker does not accept a topic filter"),
    0x90: _blames("the broker does not accept the topic of a message"),
    0x93: _lost("the broker received more unacknowledged messages than it takes; smaller window", without="window"),
    0x94: _lost("the broker does not know a topic alias"),
    0x95: _blames("the broker received a message larger than it takes; smaller messages", without="size"),
    0x96: _later("the broker finds our message rate too high; slower", 30, without="rate", hint=_LESS),
    0x97: _later(_MUCH, 60, hint=_LESS),
    0x98: _later("an administrator ended the connection", 30),
    0x99: _blames("the broker does not accept a payload format"),
    0x9A: _lost("the broker keeps no retained messages; going on without", without="retain"),
    0x9B: _lost("the broker does not take this QoS; going on with QoS 0", without="qos"),
    0x9C: _later("the broker asks to use another server for now", 60),
    0x9D: _later("the broker has moved to another server; change url", 60),
    0x9E: _lost("the broker has no shared subscriptions"),
    0x9F: _later("connections to this broker come too often", 30),
    0xA0: _lost("the broker allows no longer connection"),
    0xA1: _lost("the broker has no subscription identifiers"),
    0xA2: _lost("the broker has no wildcard subscriptions"),
}


def reaction(table: dict[int, ReasonReaction], code: int) -> ReasonReaction:
    """The row of `code`; an unlisted success counts as accepted, an unlisted failure as unspecified."""
    row = table.get(code)
    if row is None:
        row = table[0x80] if code >= 0x80 else table[0x00]
    return row


def error(row: ReasonReaction, code: int, said: str = "") -> AgentError:
    """The error that makes the caller do what the row says. `said`: the broker's own words, if it had any."""
    text = f"{row.text} (0x{code:02X})" + (f": {said}" if said else "") + (f" -> {row.hint}" if row.hint else "")
    if row.kind == "rejected":
        return Rejected(text, code=code)
    if row.kind == "refused":
        return Refused(text, retry_after=row.retry_after or 1.0, attempts=row.attempts, code=code)
    if row.kind == "permanent":
        return PermanentError(text)
    if row.kind == "lost":
        return ConnectionLost(text, retry_after=row.retry_after, blames=row.blames)
    return TransientError(text, retry_after=row.retry_after)


def consequence(row: ReasonReaction) -> str:
    """What follows, in words for the documentation."""
    wait = f", at least {row.retry_after:g} s" if row.retry_after else ""
    text = {
        "accepted": "delivered",
        "rejected": "the record goes to quarantine, declared",
        "permanent": "the publisher is failed; tried again every 5 min",
        "version": f"MQTT 3.1.1 with `version: auto`, else back off{wait}",
        "lost": f"back off{wait}, connect again",
        "transient": f"back off{wait}, connect again",
    }.get(row.kind)
    if text is None:  # refused
        many = f"{row.attempts} times, then quarantine" if row.attempts else "until it is taken"
        text = f"kept; tried again after {row.retry_after:g} s, {many}"
    if row.kind == "rejected" and row.without == "size":
        return f"connect again; from then on half the size; what is 1 KiB or less, or cannot be cut: {text}"
    if row.without is not None:
        less = {
            "retain": "without retain", "qos": "with QoS 0", "window": "half the window", "size": "half the size",
            "rate": "half the rate, for an hour",
        }  # fmt: skip
        text += f"; from then on {less[row.without]}"
    return text + ("; what was in flight is suspected" if row.blames else "")


def tables() -> str:
    """The three tables, in Markdown."""
    parts = []
    for name, table in (("CONNACK", CONNACK), ("PUBACK", PUBACK), ("DISCONNECT", DISCONNECT)):
        rows = [
            f"| 0x{code:02X} | {row.text}{f'; {row.hint}' if row.hint else ''} | {consequence(row)} |"
            for code, row in sorted(table.items())
        ]
        parts.append("\n".join([f"### {name}", "", "| code | meaning | consequence |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


_BEGIN, _END = "docs/mqtt.md -->\n", "<!-- end -->"


def put_in(page: str) -> str:
    """The page with the tables of today."""
    before, after = page.split(_BEGIN, 1)
    return f"{before}{_BEGIN}\n{tables()}\n\n{_END}{after.split(_END, 1)[1]}"


if __name__ == "__main__":
    _page = Path(sys.argv[1])
    _page.write_text(put_in(_page.read_text(encoding="utf-8")), encoding="utf-8")
