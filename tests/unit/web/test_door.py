"""Who may stand in the HTTP door."""

from __future__ import annotations

import pytest

from agent.web.door import MOST_GUESTS, MOST_OUTSIDE, MOST_STRANGERS, Door, Guesses, Guest, names_this_machine, network


def test_the_one_idle_for_longest_gives_way() -> None:
    """A newcomer gets in, whoever fills the door; who is being answered and who has a token stays."""
    door = Door()
    proved, busy, idle = Guest("192.0.2.1"), Guest("192.0.2.2"), Guest("192.0.2.3")
    for one in (proved, busy, idle):
        assert door.arrive(one) is None
    proved.proved = busy.busy = True
    for at in range(MOST_GUESTS - 3):
        assert door.arrive(Guest(f"127.0.1.{at}")) is None
    assert door.arrive(Guest("127.0.0.1")) is idle
    assert len(door) == MOST_GUESTS


def test_one_peer_without_a_token_has_eight() -> None:
    """A proxy is one peer: those of it that showed the token are not counted."""
    door = Door()
    proved = [Guest("192.0.2.1") for _ in range(20)]
    for one in proved:
        door.arrive(one)
        one.proved = True
    first = [Guest("192.0.2.1") for _ in range(MOST_STRANGERS)]
    assert [door.arrive(one) for one in first] == [None] * MOST_STRANGERS
    assert door.arrive(Guest("192.0.2.1")) is first[0]
    for one in door._guests:
        one.busy = True
    refused = Guest("192.0.2.1")
    assert door.arrive(refused) is refused
    assert door.arrive(Guest("192.0.2.2")) is None


def test_busy_strangers_of_a_few_addresses_keep_nobody_out() -> None:
    """The peer that has most gives one to a peer that has fewer; loopback and who has shown a token have a reserve."""
    door = Door()
    operator = Guest("192.0.2.7")
    door.arrive(operator)
    operator.proved = True
    door.leave(operator)

    def arrives(peer: str) -> Guest | None:
        guest = Guest(peer)
        guest.busy = True
        leaves = door.arrive(guest)
        return leaves if leaves is not guest else operator

    for at in range(MOST_GUESTS):
        arrives(f"198.51.100.{at % 8}")
    assert len(door) == MOST_OUTSIDE
    assert arrives("198.51.100.1") is operator  # refused: no other peer has more
    assert [arrives(peer) for peer in ("127.0.0.1", "192.0.2.7", "192.0.2.7")] == [None] * 3
    leaves = arrives("192.0.2.8")
    assert leaves is not None
    assert leaves.peer.startswith("198.51.100.")
    for _ in range(MOST_GUESTS - MOST_OUTSIDE):
        assert arrives("::1") is not operator


def test_loopback_has_no_share() -> None:
    """Everything on this machine comes from one address."""
    door = Door()
    assert [door.arrive(Guest("::1")) for _ in range(MOST_GUESTS)] == [None] * MOST_GUESTS


def test_the_fifth_wrong_token_within_a_minute_waits() -> None:
    """Never for more than 30 s, and a minute of good behaviour forgets all."""
    guesses = Guesses()
    assert [guesses.wrong("a", float(at)) for at in range(4)] == [None] * 4
    assert all(0 < (guesses.wrong("a", 4.0 + at) or 0) <= 30 for at in range(300))
    assert guesses.wrong("b", 10.0) is None
    assert guesses.wrong("a", 304.0 + 60.0) is None


def test_wrong_tokens_are_told_once_a_minute_with_their_number() -> None:
    """None is left out of the count."""
    guesses = Guesses()
    assert [guesses.due("a", at) for at in (0.0, 1.0, 59.0, 60.0, 61.0)] == [1, None, None, 3, None]


def test_a_thousand_peers_are_remembered() -> None:
    """Not each that ever came."""
    guesses = Guesses()
    for at in range(5000):
        guesses.wrong(str(at), 0.0)
        guesses.due(str(at), 0.0)
    assert len(guesses._failed) <= 1024
    assert len(guesses._said) <= 1024


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8080", True), ("localhost", True), ("LOCALHOST:1", True), ("[::1]:8080", True), ("127.9.9.9", True),
        (None, True), ("evil.example:8080", False), ("localhost.evil.example", False), ("10.0.0.1", False), ("", False),
        ("[fe80::1]:80", False), ("127.0.0.1.nip.io:8080", False),
    ],
)  # fmt: skip
def test_names_of_this_machine(host: str | None, own: bool) -> None:
    """What a browser sends that was led here by somebody else's name is not among them."""
    assert names_this_machine(host) is own


def test_an_owner_of_a_network_is_one_peer() -> None:
    """IPv6 gives each machine 2^64 addresses."""
    assert network("2001:db8::1") == network("2001:db8::ffff:2")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1")
    assert network(None) == "-"
