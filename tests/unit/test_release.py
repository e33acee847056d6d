"""`make release`: what it refuses, and where the version comes from. That it builds: tests/e2e/test_built.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    for file in (".ci/release", "deploy/version.py"):
        (tmp_path / file).parent.mkdir()
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [3.2.1] - unreleased\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "tag.gpgSign=false")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True)


def refusal(folder: Path) -> str:
    done = subprocess.run([folder / ".ci" / "release"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not (folder / "dist").exists()
    return done.stderr


def version(folder: Path, **environment: str) -> str:
    command = [sys.executable, str(folder / "deploy" / "version.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return done.stdout.strip()


def test_a_release_is_what_its_tag_says(checkout: Path) -> None:
    """No tag, none that is a version, files in no commit, or no date: nothing is built; the answer says what to do."""
    assert "this commit has no tag, and the tag is the version -> git tag v1.2.3" in refusal(checkout)
    git(checkout, "tag", "v3-final")
    assert "the tag v3-final is no version" in refusal(checkout)
    git(checkout, "tag", "-d", "v3-final")
    git(checkout, "tag", "v3.2.1")
    (checkout / "new").touch()
    assert "files differ from the tag v3.2.1" in refusal(checkout)
    (checkout / "new").unlink()
    assert "CHANGELOG.md has no section '## [3.2.1] - DATE'" in refusal(checkout)


#: Stand in for what builds: a minute of packages from an index.
NO_BASE = "#!/bin/sh\necho 'image: not built: no base' >&2\ntouch dist/edge-agent-3.2.1-any.tar.gz\n"


def test_a_release_has_its_image_or_says_that_it_wants_none(checkout: Path) -> None:
    """Where no image could be built it fails, and leaves no checksums; `IMAGE=no` is a release without one."""
    tools = {".ci/bundle": NO_BASE, ".venv/bin/hatchling": "#!/bin/sh\n", ".venv/bin/python": "#!/bin/sh\n"}
    for name, text in tools.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
        (checkout / name).chmod(0o755)
    (checkout / ".gitignore").write_text(".venv\ndist\n")
    (checkout / "CHANGELOG.md").write_text("## [3.2.1] - 2026-12-01\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "dated")
    git(checkout, "tag", "v3.2.1")
    sums = checkout / "dist" / "release" / "SHA256SUMS"
    for image, code in (("", 1), ("no", 0)):
        command = [checkout / ".ci" / "release"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "IMAGE": image})
        assert (done.returncode, sums.exists()) == (code, code == 0), done.stderr
        assert ("release: not complete" in done.stderr) == (code == 1)


def test_the_version_is_the_tag(checkout: Path) -> None:
    """Exactly there; behind it and with changes the version tells so, and of a source without a repository nothing."""
    assert re.fullmatch(r"0\.0\.0\+g[0-9a-f]{7,}", version(checkout))
    git(checkout, "tag", "v3.2.1")
    assert version(checkout) == "3.2.1"
    (checkout / "CHANGELOG.md").write_text("changed")
    assert version(checkout) == "3.2.1+dirty"
    git(checkout, "commit", "-qam", "second")
    assert re.fullmatch(r"3\.2\.1\.post1\+g[0-9a-f]{7,}", version(checkout))
    shutil.rmtree(checkout / ".git")
    assert version(checkout) == "0.0.0"
    assert version(checkout, EDGE_AGENT_VERSION="v3.2.1") == "3.2.1"
