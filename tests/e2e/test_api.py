"""The API of an agent that runs, asked for all that its own document allows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from agent.web.openapi import document
from tests.support.agent import AgentProcess


def _plain(schema: Any) -> Any:
    """Without places in lists, which schemathesis takes for a mistake where OpenAPI 3.1 has them."""
    if isinstance(schema, dict):
        places = "prefixItems" in schema
        return {
            key: _plain(value) for key, value in schema.items() if not places or key not in ("prefixItems", "items")
        }
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema


#: A stream has no end, and on loopback there is no login.
OTHERWISE = ["/api/v1/stream", "/api/v1/login", "/api/v1/logout"]
SCHEMA = schemathesis.openapi.from_dict(_plain(document())).exclude(path=OTHERWISE)
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of an agent whose device and broker are away."""
    device = {"type": "modbus", "url": "tcp://127.0.0.1:1", "tags": {"level": {"address": "holding:0"}}}
    publishers = {"plant": {"type": "mqtt", "url": "mqtt://127.0.0.1:1"}}
    folder = tmp_path_factory.mktemp("api")
    with AgentProcess(folder, publishers=publishers, devices={"press-01": device}) as agent:
        asyncio.run(agent.start())
        yield agent.port


@SCHEMA.parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_document_allows_is_answered_as_it_says(case: schemathesis.Case[Any], port: int) -> None:
    """Every path, with what fits its parameters and what does not: documented codes, types and shapes; never a 500."""
    case.call_and_validate(base_url=f"http://127.0.0.1:{port}", checks=CHECKS)
