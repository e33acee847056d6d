"""Files of the agent's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.private import write_private


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """For its user alone, whatever was there; a folder stays, and no draft is left behind."""
    (tmp_path / "out").write_text("before")
    write_private(tmp_path / "out", b"after")
    assert (tmp_path / "out").read_bytes() == b"after"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="not a file"):
        write_private(tmp_path / "folder", b"")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "out"]
