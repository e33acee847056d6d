from __future__ import annotations

import pytest

from tests.support.historian_process import HistorianProcess


@pytest.fixture
def make_historian(tmp_path):
    """Makes historians, each in a folder of its own; all are gone after the test."""
    made = []

    def make(url, name="hist-01", **settings):
        historian = HistorianProcess(tmp_path / name, url=url, id=name, **settings)
        made.append(historian)
        return historian

    yield make
    for historian in made:
        historian.__exit__()
