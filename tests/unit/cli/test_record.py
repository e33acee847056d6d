"""The file of a recording: private, bounded, never over another."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import record
from agent.core.errors import ConfigError


def test_it_ends_at_its_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no room any more is not written in part; what was written stays."""
    monkeypatch.setattr(record, "MOST_BYTES", 25)
    with record._File(tmp_path / "a.rec") as file:
        file.take(b"x" * 11)
        file.take(b"y" * 11)
        with pytest.raises(record._FullError):
            file.take(b"z")
    assert (file.size, file.transactions) == (24, 1)
    assert (tmp_path / "a.rec").read_bytes() == b"x" * 11 + b"\n" + b"y" * 11 + b"\n"
    assert (tmp_path / "a.rec").stat().st_mode & 0o777 == 0o600


def test_it_ends_at_as_many_transactions_as_a_replay_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header is none of them."""
    monkeypatch.setattr(record, "MOST_LINES", 2)
    with record._File(tmp_path / "a.rec") as file:
        for line in (b"header", b"1", b"2"):
            file.take(line)
        with pytest.raises(record._FullError):
            file.take(b"3")


def test_nothing_is_left_of_nothing(tmp_path: Path) -> None:
    """A header alone is no recording."""
    with record._File(tmp_path / "a.rec") as file:
        file.take(b"header")
    assert not (tmp_path / "a.rec").exists()


def test_neither_a_file_nor_a_link_is_written_over(tmp_path: Path) -> None:
    """Also not what a link leads to."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("mine", "link"):
        with pytest.raises(ConfigError, match="stands there already"), record._File(tmp_path / name):
            pass
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"), record._File(tmp_path / "mine" / "a"):
        pass
