"""deploy/kubernetes: what its objects and the configurations in them must agree about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config.loader import load
from agent.config.shards import owners
from agent.historian.loading import load_historian
from tests.support.processes import agent_command, run_process

ROOT = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
OBJECTS = sorted(path for path in ROOT.rglob("*.yaml") if path.name not in ("agent.yaml", "config.yaml"))


def objects(kind: str | None = None) -> list[tuple[Path, dict[str, Any]]]:
    """Every object of every file, patches among them."""
    found = [(path, one) for path in OBJECTS for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    return [(path, one) for path, one in found if kind in (None, one["kind"])]


WORKLOADS = [one for path, one in objects("StatefulSet") if path.name != "shards.yaml"]


@pytest.mark.parametrize(("overlay", "count"), [("gateway", 1), ("shards", 3)])
def test_the_agents_configurations_are_right(overlay: str, count: int) -> None:
    """They load with what the pod's environment gives, and fit what the pod offers: port, volume, secrets."""
    environ = {"POD_INDEX": str(count - 1), "SHARDS": str(count)}
    loaded = load(ROOT / "overlays" / overlay / "agent.yaml", environ, secrets=False)
    config = loaded.config
    assert config.http is not None
    assert (config.http.host, config.http.port, str(config.agent.data_dir)) == ("0.0.0.0", 8080, "/data")
    assert (config.agent.reload, config.agent.shard.count) == ("watch", count)
    assert set(owners(loaded.whole).values()) == set(range(count))  # the example leaves no shard without devices


def test_planned_at_a_desk() -> None:
    """docs/kubernetes.md: `plan` shows who reads what, without the cluster's secrets."""
    page = (ROOT.parents[1] / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    [line] = re.findall(r"`(POD_INDEX=\S+ SHARDS=\S+ edge-agent plan .*)`", page)
    index, shards, _, *words = line.split()
    done = run_process(*agent_command(*words), env=dict(one.split("=") for one in (index, shards)))
    assert (done.returncode, done.stderr) == (0, "")
    assert "plant: shard 3, " in done.stdout


def test_the_historians_configuration_is_right() -> None:
    """Likewise; two of them need a group."""
    loaded = load_historian(ROOT / "overlays" / "historian" / "config.yaml", {"POD_NAME": "historian-1"}, secrets=False)
    settings = loaded.config.historian
    assert (settings.id, settings.group) == ("historian-1", "plant")
    assert (loaded.config.http.port if loaded.config.http else None) == 8081


def test_as_many_shards_as_replicas() -> None:
    """The overlay as it stands is one that runs."""
    [(_, patch)] = [(path, one) for path, one in objects("StatefulSet") if path.name == "shards.yaml"]
    [container] = patch["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "SHARDS", "value": str(patch["spec"]["replicas"])}]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one["metadata"]["name"])
def test_pods_are_restricted(workload: dict[str, Any]) -> None:
    """Pod Security Standards, profile restricted; and a read-only root, no token, secrets only for its group."""
    spec = workload["spec"]["template"]["spec"]
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert {next(iter(volume.keys() - {"name"})) for volume in spec["volumes"]} <= {"configMap", "secret", "emptyDir"}
    assert [volume["secret"]["defaultMode"] for volume in spec["volumes"] if "secret" in volume] == [0o440]
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        assert "memory" in container["resources"]["limits"]
    [(_, namespace)] = objects("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_belongs_together_has_one_label() -> None:
    """Policy, budget and service of a workload select its pods."""
    for kind, key in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector"), ("Service", "selector")):
        selected = [one["spec"][key] for _, one in objects(kind)]
        labels = [one.get("matchLabels", one) for one in selected]
        assert sorted(label["app.kubernetes.io/name"] for label in labels) == ["edge-agent", "historian"]


def test_kustomizations_name_files_that_are_there() -> None:
    """Each resource, patch and file."""
    for path, one in objects("Kustomization"):
        files = [entry.rpartition("=")[2] for made in one.get("configMapGenerator", ()) for entry in made["files"]]
        for name in (*one.get("resources", ()), *(patch["path"] for patch in one.get("patches", ())), *files):
            assert (path.parent / name).exists(), f"{path}: {name}"


def test_networks_are_written_into_an_overlay() -> None:
    """docs/kubernetes.md: the patch replaces what the base allows, and nothing else."""
    page = (ROOT.parents[1] / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    paths = re.findall(r"op: replace, path: (/spec/egress/\S+),", page)
    [(_, policy)] = [one for one in objects("NetworkPolicy") if one[1]["metadata"]["name"] == "edge-agent"]
    replaced = []
    for path in paths:
        part: Any = policy
        for key in path.strip("/").split("/"):
            part = part[int(key) if key.isdigit() else key]
        replaced.append(part)
    assert replaced == ["192.168.10.0/24", "192.168.20.0/24"]
