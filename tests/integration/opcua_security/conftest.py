"""A server with every security, and the certificates around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.opcua.server import Hall
from tests.integration.opcua_security.fort import Fort
from tests.support.opcua_pki import Pair, make_pair


@pytest.fixture(scope="session")
def hall() -> Iterator[Hall]:
    """Where servers run."""
    opened = Hall()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where certificates of the whole session lie."""
    return tmp_path_factory.mktemp("papers")


@pytest.fixture(scope="session")
def server_pair(papers: Path) -> Pair:
    """The server's certificate."""
    return make_pair(papers, "server")


@pytest.fixture(scope="session")
def user_pair(papers: Path) -> Pair:
    """A user's certificate."""
    return make_pair(papers, "user", uri=None)


@pytest.fixture(scope="session")
def fort(hall: Hall, server_pair: Pair) -> Fort:
    """One secured server for all tests that change nothing about it."""
    return Fort.build_sync(hall, server_pair)
