"""Who a data directory belongs to."""

from __future__ import annotations

import errno
import os

import pytest

from agent.core.errors import PermanentError
from agent.runtime import ownership
from agent.runtime.ownership import owned


def test_one_process_at_a_time(tmp_path):
    """The second is refused while the first holds it, and let in afterwards."""
    place = tmp_path / "new" / "data"
    with owned(place, "gw-1"), pytest.raises(PermanentError, match="another agent runs on"), owned(place, "gw-1"):
        pass
    with owned(place, "gw-1"):
        pass


def test_one_agent_for_ever(tmp_path):
    """Another identity is refused, and told what waits there."""
    with owned(tmp_path, "gw-1"):
        pass
    with pytest.raises(PermanentError, match=r"belongs to the agent gw-1.*goes out when"), owned(tmp_path, "gw-2"):
        pass


def test_place_that_cannot_be_written(tmp_path):
    """The error names the key to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match=r"agent\.data_dir .* cannot be written"), owned(tmp_path / "file", "gw-1"):
        pass


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "free space and inodes"), (errno.EACCES, "writable")])
def test_a_full_place_is_not_a_forbidden_one(number, words, tmp_path, monkeypatch):
    """Rights do not help on a full disk: the hint is about what is short."""

    def refuse(_path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ownership, "open_private", refuse)
    with pytest.raises(PermanentError, match=os.strerror(number)) as caught, owned(tmp_path / "new", "gw-1"):
        pass
    assert words in str(caught.value.hint)
