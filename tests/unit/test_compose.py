"""deploy/compose: what its file and the configurations beside it must agree about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from agent.config.loader import load
from agent.historian.loading import load_historian

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())


def given(service: str) -> set[str]:
    """Files of secrets that a service finds."""
    return {f"/run/secrets/{name}" for name in COMPOSE["services"][service]["secrets"]}


def test_the_configurations_are_right() -> None:
    """They load, keep their data in the volumes, and lead to each other."""
    agent = load(FOLDER / "agent.yaml", {}, secrets=False).config
    historian = load_historian(FOLDER / "historian.yaml", {}, secrets=False).config
    assert {str(agent.agent.data_dir), str(historian.historian.data_dir)} == {"/data"}
    assert "postgres/plant" in historian.historian.database
    assert COMPOSE["services"]["postgres"]["environment"]["POSTGRES_DB"] == "plant"
    assert historian.http is not None
    assert COMPOSE["services"]["historian"]["environment"]["EDGE_AGENT_HTTP_PORT"] == str(historian.http.port)


def test_the_image_is_built_with_its_version() -> None:
    """The git tag is not in the context of the build: the README gives it, under the name that the Dockerfile takes."""
    folder = FOLDER.parent.parent
    assert "${VERSION:-0.0.0}" in COMPOSE["services"]["agent"]["build"]["args"]["VERSION"]
    assert "VERSION=$(python3 ../../deploy/version.py) docker compose build" in (FOLDER / "README.md").read_text()
    assert "ARG VERSION=0.0.0" in (folder / "Dockerfile").read_text()


def test_secrets_are_files_that_whoever_needs_them_gets() -> None:
    """Each that a configuration names is given to its service; the README makes each of them."""
    texts = {
        "agent": FOLDER / "agent.yaml",
        "historian": FOLDER / "historian.yaml",
        "broker": FOLDER / "mosquitto.conf",
        "postgres": FOLDER / "database.sql",
        "grafana": FOLDER.parent / "grafana" / "provisioning" / "datasources" / "edge.yaml",
    }
    for service, path in texts.items():
        environment = COMPOSE["services"][service].get("environment", {})
        text = path.read_text() + " ".join(environment.values())
        assert set(re.findall(r"/run/secrets/\w+", text)) == given(service), service
    readme = (FOLDER / "README.md").read_text()
    [names] = re.findall(r"for name in (.*); do", readme)
    made = {f"{name}_password" for name in names.split()} | {"mosquitto_passwd"}
    assert made == COMPOSE["secrets"].keys()


def test_grafana_is_told_what_its_data_source_asks_for() -> None:
    """Each variable of the provisioned data source is set, and what is mounted is there."""
    grafana = COMPOSE["services"]["grafana"]
    source = (FOLDER.parent / "grafana" / "provisioning" / "datasources" / "edge.yaml").read_text()
    assert set(re.findall(r"\$(EDGE_\w+)", source)) <= grafana["environment"].keys()
    for volume in grafana["volumes"]:
        if volume.startswith("."):
            assert (FOLDER / volume.split(":")[0]).is_dir()
