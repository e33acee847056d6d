"""`make bundle` and `make release`, in a clone, and what comes out of them installed where there is no index."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.processes import ROOT, run_process

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

#: Nothing of an index: neither the configured ones nor directories of wheels.
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": "", "PYTHONPATH": ""}


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is committed, with the environment of the checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    folder = tmp_path / "clone"
    git("clone", "--quiet", str(ROOT), str(folder))
    (folder / ".git" / "info" / "exclude").write_text("/.venv\n")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def run(*argv: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = run_process(*argv, cwd=cwd, env=env, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_bundle_installs_without_an_index(clone: Path, tmp_path: Path) -> None:
    """Its own install.sh, with nothing but what it brings; the agent that is there understands its examples."""
    secret = clone / "deploy" / "compose" / "secrets" / "mqtt_password"
    secret.parent.mkdir()
    secret.write_text("of whoever built the bundle")
    run(".ci/bundle", cwd=clone)
    [archive] = (path for path in (clone / "dist").glob("*.tar.gz") if "-image" not in path.name)
    with tarfile.open(archive) as bundle:
        bundle.extractall(tmp_path, filter="data")
    [folder] = tmp_path.glob("edge-agent-*")
    assert (folder / "deploy" / "compose" / "compose.yaml").exists()
    assert not (folder / "deploy" / "compose" / "secrets").exists()
    installed = tmp_path / "opt"
    version = run(sys.executable, "deploy/version.py", cwd=clone).strip()
    assert run("./install.sh", str(installed), cwd=folder, env=NO_INDEX).strip() == f"edge-agent {version}"
    program = str(installed / "bin" / "edge-agent")
    for extra in ("configs/demo.yaml", "configs/examples/historian.yaml", "deploy/systemd/agent.yaml"):
        run(program, "check", "-c", extra, cwd=folder, env=NO_INDEX)
    run(str(installed / "bin" / "python"), "-c", "import psycopg, serial, google.protobuf", cwd=folder, env=NO_INDEX)

    (folder / "README.md").write_text("changed on the way")
    spoiled = run_process("./install.sh", str(tmp_path / "other"), cwd=folder, env=NO_INDEX)
    assert spoiled.returncode != 0
    assert "README.md: FAILED" in spoiled.stdout + spoiled.stderr
    assert not (tmp_path / "other").exists()


def test_a_release_is_complete(clone: Path, tmp_path: Path) -> None:
    """Of its tag: wheel, sdist, bundle, SBOM and licences, each with its checksum; the wheel has the page and runs."""
    changes = clone / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("## [Unreleased]", "## [Unreleased]\n\n## [9.8.7] - 2026-12-01"))
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgSign=false")
    git("-C", str(clone), *who, "commit", "--quiet", "--allow-empty", "--all", "--message", "Date the release")
    git("-C", str(clone), "-c", "tag.gpgSign=false", "tag", "v9.8.7")
    run(".ci/release", cwd=clone, env={"IMAGE": "no"})
    made = clone / "dist" / "release"
    stem = "industrial_edge_agent-9.8.7"
    bundle = f"edge-agent-9.8.7-{platform.machine()}.tar.gz"
    names = {f"{stem}-py3-none-any.whl", f"{stem}.tar.gz", "edge-agent.cdx.json", "NOTICES", bundle}
    assert {path.name for path in made.iterdir()} == names | {"SHA256SUMS"}
    lines = [line.split() for line in (made / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert sums == {name: hashlib.sha256((made / name).read_bytes()).hexdigest() for name in names}
    run(sys.executable, "-m", "venv", "--system-site-packages", str(tmp_path / "venv"), cwd=tmp_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", str(made / f"{stem}-py3-none-any.whl"),
        cwd=tmp_path, env=NO_INDEX)  # fmt: skip
    where = run(python, "-c", "import agent; print(agent.__path__[0])", cwd=tmp_path, env=NO_INDEX).strip()
    assert where.startswith(str(tmp_path))
    assert run(python, "-c", "import agent; print(agent.__version__)", cwd=tmp_path, env=NO_INDEX).strip() == "9.8.7"
    assert (Path(where) / "web" / "static" / "index.html").exists()
