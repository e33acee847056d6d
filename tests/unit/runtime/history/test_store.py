"""The file of the history: bounded, merged, expendable."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.runtime.history.running import MINUTE, MinuteRow
from agent.runtime.history.store import Foreign, HistoryStore, read, set_aside

T0 = 1_763_760_000_000
LATEST = T0 + 10_000 * MINUTE


def minute(at: int, tag: str = "t", value: float = 1.0, good: int = MINUTE) -> MinuteRow:
    return MinuteRow(T0 + at * MINUTE, "press-01", tag, value, value, value, value, good)


def everything(path: Path, *, most: int = 1_000_000) -> dict[str, dict[str, list[list[object]]]]:
    found: dict[str, dict[str, list[list[object]]]] = json.loads(read(path, None, None, 0, 1 << 53, most))
    return found


def test_what_is_put_is_read(tmp_path: Path) -> None:
    """Keyed by device and tag, rows in order; half open in time."""
    path = tmp_path / "history.sqlite"
    store = HistoryStore(path)
    store.put([minute(0), minute(1, "u"), minute(1), MinuteRow(T0, "pump", "on", None, None, None, "läuft", 5)])
    assert everything(path) == {
        "press-01": {"t": [list(minute(0)[:1]) + list(minute(0)[3:]), [T0 + MINUTE, 1, 1, 1, 1, MINUTE]],
                     "u": [[T0 + MINUTE, 1, 1, 1, 1, MINUTE]]},
        "pump": {"on": [[T0, None, None, None, "läuft", 5]]},
    }  # fmt: skip
    assert list(json.loads(read(path, "press-01", "t", T0 + 1, T0 + 2 * MINUTE, 100))["press-01"]["t"]) == [
        [T0 + MINUTE, 1, 1, 1, 1, MINUTE]
    ]
    assert read(path, "press-01", "t", 0, T0, 100) == b"{}"
    assert read(path, "nobody", None, 0, 1 << 53, 100) == b"{}"
    assert path.stat().st_mode & 0o777 == 0o600
    store.close()


def test_parts_of_a_minute_are_merged(tmp_path: Path) -> None:
    """Extremes of both, the mean by good time, the last of the later; never more good time than a minute has."""
    path = tmp_path / "history.sqlite"
    store = HistoryStore(path)
    store.put([MinuteRow(T0, "d", "t", 1, 2.0, 3, 3, 10_000)])
    store.close()
    again = HistoryStore(path)
    again.put([MinuteRow(T0, "d", "t", 2, 5.0, 9, 4, 20_000), MinuteRow(T0, "d", "t", 0, 0, 0, None, 0)])
    assert everything(path)["d"]["t"] == [[T0, 0, 4.0, 9, 4, 30_000]]
    again.put([MinuteRow(T0, "d", "t", None, None, None, None, 0), MinuteRow(T0, "d", "t", 7, 7.0, 7, 7, 55_000)])
    assert everything(path)["d"]["t"][0][5] == MINUTE
    again.close()


def test_what_is_too_old_goes_and_what_is_too_much(tmp_path: Path) -> None:
    """The oldest first; the file does not grow beyond its bound however long it runs."""
    path, limit = tmp_path / "history.sqlite", 2 << 20
    store = HistoryStore(path)
    for at in range(300):
        store.put([minute(at, f"tag-{tag}", tag * 1.1) for tag in range(200)])
        store.trim(T0, LATEST, limit)
        assert path.stat().st_size < 1.05 * limit
    kept = everything(path)["press-01"]["tag-7"]
    assert kept[-1][0] == T0 + 299 * MINUTE
    assert len(kept) == (kept[-1][0] - kept[0][0]) // MINUTE + 1  # type: ignore[operator]
    store.trim(T0 + 295 * MINUTE, LATEST, limit)
    assert len(everything(path)["press-01"]["tag-7"]) == 5
    store.trim(T0, LATEST, 100 << 10)
    store.close()
    assert path.stat().st_size < 1 << 20


def test_minutes_of_a_clock_that_was_ahead_go(tmp_path: Path) -> None:
    """They have not come yet; and nobody looks for all those between."""
    path = tmp_path / "history.sqlite"
    store = HistoryStore(path)
    store.put([minute(0), minute(10_000_000)])
    with pytest.raises(ValueError, match="shorter time"):
        everything(path)
    store.trim(T0, T0 + MINUTE, 1 << 30)
    assert [row[0] for row in everything(path)["press-01"]["t"]] == [T0]
    store.close()


def test_too_much_at_once_is_refused(tmp_path: Path) -> None:
    """With what to ask for instead."""
    path = tmp_path / "history.sqlite"
    store = HistoryStore(path)
    store.put([minute(at, tag) for at in range(20) for tag in "ab"])
    with pytest.raises(ValueError, match="ask for one tag"):
        everything(path, most=39)
    assert len(everything(path, most=40)["press-01"]["b"]) == 20
    store.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 1000)


def _somebody_elses(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE minute (x); PRAGMA user_version = 1")


def _folder(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [_garbage, _somebody_elses, _folder, _link, _pipe])
def test_a_file_that_is_not_ours_is_told_and_set_aside(tmp_path: Path, spoil: object) -> None:
    """Nothing of it is written to; under the name it had a new one begins."""
    path = tmp_path / "history.sqlite"
    spoil(path)  # type: ignore[operator]
    store = HistoryStore(path)
    with pytest.raises(Foreign):
        store.put([minute(0)])
    assert set_aside(path) == tmp_path / "history.sqlite.aside"
    store.put([minute(0)])
    assert everything(path)["press-01"]["t"]
    store.close()


def test_a_file_that_breaks_while_it_is_open(tmp_path: Path) -> None:
    """Pages that are overwritten are noticed when they are needed, and named as what they are."""
    path = tmp_path / "history.sqlite"
    store = HistoryStore(path)
    for at in range(50):
        store.put([minute(at, f"tag-{tag}") for tag in range(100)])
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(Foreign):
        HistoryStore(path).put([minute(60, f"tag-{tag}") for tag in range(100)])
