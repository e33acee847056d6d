"""Who may stand in the agent's HTTP door, and what guessing costs. Pure: the caller passes monotonic seconds.

A descriptor spent on a visitor is one that a device or a broker cannot have. So there are few, those who have shown a
valid token stay, and of the others the one that has been idle for longest gives way to the next. Where none is idle,
the peer that has most connections gives one to a peer that has fewer: a few addresses keep no other out.
"""

from __future__ import annotations

import resource
from collections import Counter, deque
from ipaddress import IPv6Address, ip_address

MOST_GUESTS = 64
MOST_STRANGERS = 8  #: of one peer beyond loopback, of those that have not shown a valid token
MOST_OUTSIDE = 48  #: of all such together; the other places are for loopback and for peers that have shown a token
RESERVE = 64  #: descriptors that are never spent on visitors

_FREE_GUESSES = 4  #: wrong tokens of one peer within a minute that are answered 401
_WINDOW = 60.0
_LONGEST_WAIT = 30
_MOST_PEERS = 1024  #: whose guesses are counted, or that have shown a token


class Guest:
    """One connection. `peer`: its address, None where it has none."""

    def __init__(self, peer: str | None) -> None:
        self.peer = network(peer)
        self.local = peer is None or is_local(peer)
        self.proved = False  #: it has shown a valid token
        self.busy = False  #: a request is being answered

    @property
    def stranger(self) -> bool:
        """From beyond loopback, and without a token so far."""
        return not self.local and not self.proved


class Door:
    """The guests that are in, oldest first."""

    def __init__(self) -> None:
        self._guests: dict[Guest, None] = {}
        self._known: dict[str, None] = {}  # peers that have shown a token, the latest last

    def arrive(self, guest: Guest) -> Guest | None:
        """Admit a connection; which one has to be closed for it: none (None), another one, or this one (refused)."""
        for one in self._guests:
            if one.proved:
                self._know(one.peer)
        strangers = [one for one in self._guests if not one.proved]
        outside = [one for one in strangers if one.stranger]
        same = [] if guest.local else [one for one in outside if one.peer == guest.peer]
        leaves = None
        if len(same) >= MOST_STRANGERS:
            leaves = _idle(same) or guest
        elif not guest.local and guest.peer not in self._known and len(outside) >= MOST_OUTSIDE:
            leaves = _idle(outside) or _of_the_most(outside, len(same)) or guest
        elif len(self._guests) >= MOST_GUESTS:
            leaves = _idle(strangers) or _of_the_most(outside, len(same)) or guest
        if leaves is guest:
            return guest
        if leaves is not None:
            self.leave(leaves)
        self._guests[guest] = None
        return leaves

    def leave(self, guest: Guest) -> None:
        """It is gone."""
        self._guests.pop(guest, None)
        if guest.proved:
            self._know(guest.peer)

    def _know(self, peer: str) -> None:
        self._known.pop(peer, None)
        self._known[peer] = None
        if len(self._known) > _MOST_PEERS:
            del self._known[next(iter(self._known))]

    def __len__(self) -> int:
        return len(self._guests)


def _idle(guests: list[Guest]) -> Guest | None:
    return next((one for one in guests if not one.busy), None)


def _of_the_most(guests: list[Guest], has: int) -> Guest | None:
    """The oldest of the peer that has most, where a newcomer whose peer `has` so many will not have more than it."""
    most = Counter(one.peer for one in guests).most_common(1)
    if not most or most[0][1] < has + 2:
        return None
    return next(one for one in guests if one.peer == most[0][0])


class Guesses:
    """Wrong tokens by peer."""

    def __init__(self) -> None:
        self._failed: dict[str, deque[float]] = {}
        self._said: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def wrong(self, peer: str, now: float) -> int | None:
        """One more; None: 401, else 429 and the seconds of its Retry-After."""
        failed = self._failed.pop(peer, None) or deque(maxlen=_FREE_GUESSES + 1)
        self._failed[peer] = failed  # the newest last
        if len(self._failed) > _MOST_PEERS:
            self._failed.pop(next(iter(self._failed)))
        while failed and now - failed[0] >= _WINDOW:
            failed.popleft()
        failed.append(now)
        if len(failed) <= _FREE_GUESSES:
            return None
        return max(1, min(_LONGEST_WAIT, round(_WINDOW - (now - failed[1]))))

    def due(self, peer: str, now: float) -> int | None:
        """How many are to be logged now: the first at once, then what came together, once a minute; None: not yet."""
        self._unsaid[peer] += 1
        said = self._said.get(peer)
        if said is not None and now - said < _WINDOW:
            return None
        self._said.pop(peer, None)
        self._said[peer] = now
        if len(self._said) > _MOST_PEERS:
            gone = next(iter(self._said))
            del self._said[gone]
            self._unsaid.pop(gone, None)
        return self._unsaid.pop(peer)


def network(peer: str | None) -> str:
    """What counts as one peer: an IPv4 address, the 64 bits of an IPv6 one that its owner cannot choose."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return peer or "-"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64)) + "/64"
    return str(address)


def is_local(host: str) -> bool:
    """Whether this is a name or an address of loopback."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() in ("localhost", "localhost.localdomain", "ip6-localhost")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def names_this_machine(host: str | None) -> bool:
    """Whether a `Host` header means loopback: a page of somebody else's, in a browser here, cannot send that."""
    if host is None:
        return True  # no browser leaves it out
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    return is_local(name)


def scarce(descriptor: int) -> bool:
    """Whether a descriptor is one of the last: the lowest free number is given out first."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit != resource.RLIM_INFINITY and descriptor >= limit - RESERVE
