"""The normalizer of the agent keeps the contract of its port."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.core.ports import Normalizer
from agent.normalize import compile_normalizer
from agent.settings.tags import TagBase
from agent.testing.clock import ManualClock
from agent.testing.normalizer_contract import Make, NormalizerContract
from agent.testing.records import TS


class PlainTag(TagBase):
    """A tag with nothing but what every protocol's tags have."""


class TestNormalizer(NormalizerContract):
    @pytest.fixture
    def make(self) -> Make:
        def make(names: Sequence[str]) -> Normalizer:
            return compile_normalizer(
                "press-01", {name: PlainTag() for name in names}, cat=lambda: 1, clock=ManualClock(TS)
            )

        return make
