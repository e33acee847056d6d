"""What a consumer must be able to say after an outage of a counting server (tests/support/opcua_counter.py).

heard_truly: each value under its own tag with its own time; a change that never came lies in a declared gap.
outages: offline once per tag, nothing good meanwhile, then restated; and the gap around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tests.faults.southbound.ear import Ear, Reading
from tests.support.opcua_counter import STRIDE, Diary


class Outage(NamedTuple):
    """As the consumer heard of it."""

    reason: str
    offline: int  #: time of the offline readings, epoch ms
    recovered: int  #: of the first restatement
    gap: dict[str, Any] | None  #: the one declared for all tags, where changes are subscribed to


def heard_truly(ear: Ear, device: str, tags: Mapping[str, int], diary: Diary, *, changes: bool = True) -> None:
    """`tags`: number of the node behind each. `changes`: every change is promised, not only every value."""
    gaps = [gap for gap in ear.gaps if gap["device"] == device]
    diary = dict(diary)  # the server's thread writes on
    for tag, number in tags.items():
        said = ear.readings(device, tag)
        good = [one for one in said if one.quality == "good"]
        for one in [*good, *(one for one in ear.snapshots.get(device, ()) if one.tag == tag and one.quality == "good")]:
            node, count = divmod(one.value, STRIDE)
            assert node == number, f"{tag} has a value of node {node}: {one}"
            assert count == 0 or _source(one) == diary[count], (one, diary[count])
        counts = {one.value % STRIDE for one in good} - {0}
        missed = [count for count in diary if min(counts) < count < max(counts) and count not in counts]
        known = [*_declared(gaps, tag), *_said_bad(said)]
        silent = [(at, diary[at]) for at in missed if not any(since <= diary[at] <= until for since, until in known)]
        assert not (changes and silent), f"{tag}: never heard, not declared: {silent[:10]} of {len(silent)}; {known}"


def _source(one: Reading) -> int:
    return one.ts if one.src is None else one.src


def _declared(gaps: Sequence[Mapping[str, Any]], tag: str) -> list[tuple[int, int]]:
    return [(gap["from_ts"], gap["to_ts"]) for gap in gaps if gap["tags"] is None or tag in gap["tags"]]


def _said_bad(said: Sequence[Reading]) -> list[tuple[int, int]]:
    """When the server itself had no value: from the bad reading to the next good one. Of an outage a gap must tell."""
    pairs = [(one, other) for one, other in pairwise(said) if one.quality == "bad" and one.code != "BadNoCommunication"]
    return [(one.ts, _source(other)) for one, other in pairs]


def outages(ear: Ear, device: str, tags: Sequence[str], *, declared: bool = True) -> list[Outage]:
    """Each of them, oldest first. `declared`: its gap must be there, as for a subscription."""
    per_tag = [_of_tag(ear.readings(device, tag)) for tag in tags]
    found = []
    for pairs in zip(*per_tag, strict=True):
        assert len({off.ts for off, _ in pairs}) == 1, "all tags at once"
        offline, reason = pairs[0][0].ts, str(pairs[0][0].reason)
        recovered = min(on.ts for _, on in pairs)
        gap = None
        if declared:
            gaps = [gap for gap in ear.gaps if gap["device"] == device and gap["tags"] is None]
            (gap,) = [gap for gap in gaps if gap["from_ts"] <= offline <= gap["to_ts"]]
            assert (gap["kind"], gap["from_seq"], gap["to_seq"]) == ("missed", None, None)
        found.append(Outage(reason, offline, recovered, gap))
    return found


def _of_tag(readings: Sequence[Reading]) -> list[tuple[Reading, Reading]]:
    """Pairs of offline and recovered; between them nothing is said."""
    pairs: list[tuple[Reading, Reading]] = []
    gone: Reading | None = None
    for one in readings:
        if one.why == "offline":
            assert gone is None, f"offline twice: {one}"
            assert (one.value, one.quality, one.code) == (None, "bad", "BadNoCommunication")
            assert one.reason
            gone = one
        elif gone is not None:
            assert one.why == "recovered", f"said while offline: {one}"
            assert gone.ts <= one.ts
            pairs.append((gone, one))
            gone = None
        else:
            assert one.why != "recovered", f"recovered from nothing: {one}"
    assert gone is None, f"never recovered: {gone}"
    return pairs
