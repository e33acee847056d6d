"""What is known of servers beyond what they tell. Pure.

Figures: the vendors' manuals and the field notes of others (S7-1200: more than 100 items a call take fifty times as
long, although it tells 1000; it has no filters). A server is recognized by its BuildInfo and its application URI.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Profile(NamedTuple):
    """`read`, `monitor`, `browse`: the most per request, whatever the server tells."""

    name: str
    marks: tuple[str, ...]
    read: int
    monitor: int
    browse: int
    filters: bool = True  #: whether it knows DataChangeFilter at all


_PROFILES = (
    Profile("S7-1200", ("s7-1200", "simatic.s7-1200", "cpu 121"), 100, 100, 100, filters=False),
    Profile("S7-1500", ("s7-1500", "simatic.s7-1500", "cpu 151", "et200sp"), 500, 500, 200),
    Profile("Kepware", ("kepserver", "kepware", "thingworx kepware"), 500, 500, 500),
    Profile("Ignition", ("ignition",), 500, 100, 100),
    Profile("node-opcua", ("nodeopcua", "node-opcua"), 500, 500, 100),
)


def profile_of(words: Iterable[str]) -> Profile | None:
    """The profile of a server that says these things of itself; None: not known."""
    said = " ".join(words).lower()
    for profile in _PROFILES:
        if any(mark in said for mark in profile.marks):
            return profile
    return None
