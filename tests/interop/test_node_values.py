"""What only a server that does as it is asked can show: parts of arrays, filters, texts, and a queue that overflows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.opcua.support import collecting
from tests.interop.foreign import URN, node_opcua
from tests.support.opcua_pki import make_pair


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("node")
    with node_opcua(folder, make_pair(folder, "server"), every=20) as (address, _):
        yield address


def node(name: str) -> str:
    return f"nsu={URN};s={name}"


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_parts_of_arrays_and_matrices(url: str, mode: str) -> None:
    """One element is a plain value; a part of a matrix keeps its rows; outside of it the tag is bad."""
    tags = {
        "row": node("row"),
        "matrix": node("matrix"),
        "one": {"node": node("row"), "index_range": "3"},
        "some": {"node": node("row"), "index_range": "2:4"},
        "corner": {"node": node("matrix"), "index_range": "1:2,0:1"},
        "cell": {"node": node("matrix"), "index_range": "2,3"},
        "outside": {"node": node("row"), "index_range": "20:22"},
    }
    async with collecting(url, tags, mode=mode) as notebook:
        await notebook.heard()
        assert {name: notebook.newest(name) for name in tags} == {
            "row": [float(at) for at in range(10)],
            "matrix": [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 10.0, 11.0]],
            "one": 3.0,
            "some": [2.0, 3.0, 4.0],
            "corner": [[4.0, 5.0], [8.0, 9.0]],
            "cell": 11.0,
            "outside": None,
        }
        assert notebook.status("outside") & 0xFFFF0000 == 0x80370000, "BadIndexRangeNoData"


async def test_an_enumeration_brings_its_texts(url: str) -> None:
    """The number is the value, the server's text its label."""
    async with collecting(url, {"mode": node("mode")}) as notebook:
        await notebook.heard()
        assert notebook.newest("mode") == 2
        assert dict(notebook.labels["mode"]) == {0: "Off", 1: "Auto", 2: "Hand"}


@pytest.mark.parametrize(("deadband", "least"), [({"percent": 5}, 10.0), (3, 3.0)], ids=["percent", "absolute"])
async def test_the_server_leaves_out_what_is_within_the_deadband(url: str, deadband: object, least: float) -> None:
    """Percent of the node's EURange, which only the server knows; the filter is taken, not refused."""
    tags = {
        "ramp": {"node": node("ramp"), "sampling_interval": "0ms", "queue_size": 100, "server_deadband": deadband},
        "all": {"node": node("ramp"), "sampling_interval": "0ms", "queue_size": 100},
    }
    async with collecting(url, tags) as notebook:
        await notebook.until(lambda: len(notebook.said["ramp"]) >= 4)
        assert notebook.note["unfiltered"] == 0
    steps = [abs(after[0] - before[0]) for before, after in pairwise(notebook.said["ramp"])]
    assert all(step > least for step in steps), steps
    assert len(notebook.said["all"]) > len(notebook.said["ramp"])


async def test_a_queue_that_overflows_says_so(url: str) -> None:
    """The bit is the server's own; what it lost is a declared gap of that tag."""
    tags = {
        "fast": {"node": node("fast"), "sampling_interval": "0ms", "queue_size": 3},
        "slow": {"node": node("ramp"), "sampling_interval": "0ms", "queue_size": 100},
    }
    async with collecting(url, tags, interval="500ms") as notebook:
        await notebook.until(lambda: len(notebook.losses) >= 2)
        assert notebook.note["overflows"] >= 2
    assert {loss.tags for loss in notebook.losses} == {(0,)}
    said = notebook.said["fast"]
    flagged = [at for at, (_, status, _, _) in enumerate(said) if status & 0x480 == 0x480]
    around = {(said[at - 1][2], said[at][2]) for at in flagged if at}
    assert {(loss.from_ts, loss.to_ts) for loss in notebook.losses} <= around, "from the last value to the flagged one"
