from __future__ import annotations

import pytest

from tests.unit.consumer.side import Side


@pytest.fixture
def side():
    return Side()
