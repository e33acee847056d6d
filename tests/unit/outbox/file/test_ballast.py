"""How much is held back on a disk with so much free."""

from __future__ import annotations

import pytest

from agent.outbox.file.ballast import LEAST, MOST, STEP, Ballast, size_of

GIB = 1 << 30


@pytest.fixture
def ballast(tmp_path):
    return Ballast(tmp_path / "route.sqlite", GIB)


@pytest.fixture
def held(tmp_path):
    """Bytes held back now."""
    file = tmp_path / "route.sqlite.ballast"
    return lambda: file.stat().st_size if file.exists() else 0


@pytest.mark.parametrize(("max_bytes", "size"), [(1, LEAST), (32 << 20, 2 << 20), (GIB, MOST)])
def test_it_follows_the_bound(max_bytes, size):
    """A sixteenth of it, within limits."""
    assert size_of(max_bytes) == size


@pytest.mark.parametrize(
    ("free", "size"),
    [(2 * STEP - 1, 0), (2 * STEP, STEP), (4 * STEP, STEP), (8 << 20, 2 << 20), (16 << 20, MOST), (GIB, MOST)],
)
def test_it_takes_a_share_of_what_is_free(ballast, held, free, size):
    """All that is wanted only where three times as much stays; of the last bytes half."""
    ballast.take(free)
    assert held() == size


def test_it_grows_with_the_room_and_never_shrinks(ballast, held):
    """What is held already counts as room."""
    ballast.take(2 << 20)
    assert held() == 512 << 10
    ballast.take(0)
    assert held() == 512 << 10
    ballast.take((8 << 20) - held())
    assert held() == 2 << 20
    ballast.give_up()
    assert held() == 0


def test_a_file_that_holds_nothing_is_filled(ballast, held, tmp_path):
    """A kill came between its making and its filling."""
    (tmp_path / "route.sqlite.ballast").touch()
    ballast.take(GIB)
    assert held() == MOST


def test_the_log_gives_way_only_where_that_helps(ballast):
    """Room the log holds is room for deleting too."""
    assert ballast.short_of(free=0, log=2 * STEP)
    assert not ballast.short_of(free=0, log=2 * STEP - 1)
    assert not ballast.short_of(free=2 * STEP, log=8 << 20)
    ballast.take(2 * STEP)
    assert not ballast.short_of(free=0, log=STEP)
    ballast.take(GIB)
    assert not ballast.short_of(free=0, log=8 << 20)
