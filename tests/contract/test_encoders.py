"""Every encoder keeps the contract of its port."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.registry import ENCODERS, known, resolve
from agent.core.ports import Encoder, RouteInfo
from agent.settings.publishers import EncoderConfig
from agent.testing.encoder_contract import EncoderContract

#: What a type needs to be told; the others work as they are.
MORE: dict[str, dict[str, Any]] = {
    "sparkplug_b": {"group": "plant"},
    "template": {"topic": "{root}/{device}", "reading": {"name": "{tag}", "value": "{value}"}},
}


class TestEncoders(EncoderContract):
    @pytest.fixture(params=known(ENCODERS))
    def encoder(self, request: pytest.FixtureRequest) -> Encoder:
        """One of each type."""
        model = resolve(ENCODERS, request.param)
        assert issubclass(model, EncoderConfig)
        config = model.model_validate({"type": request.param, **MORE.get(request.param, {})})
        return config.build(RouteInfo(name="plant", agent="gw-01"))
