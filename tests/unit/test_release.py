"""`make release`: what it refuses. That it builds takes half a minute and the page's tools; a release shows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a version and one commit."""
    for folder in (".ci", "agent"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / ".ci" / "release", tmp_path / ".ci")
    (tmp_path / "agent" / "__init__.py").write_text('__version__ = "3.2.1"\n')
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


def test_a_release_is_what_its_tag_says(checkout: Path) -> None:
    """No tag, another one, files in no commit, or no date: nothing is built, and the answer says what to do."""
    assert "the tag of this commit is missing -> git tag v3.2.1" in refusal(checkout)
    git(checkout, "tag", "v3.2.0")
    assert "says 3.2.1, the tag of this commit is v3.2.0" in refusal(checkout)
    git(checkout, "tag", "-d", "v3.2.0")
    git(checkout, "tag", "v3.2.1")
    (checkout / "new").touch()
    assert "files differ from the tag v3.2.1" in refusal(checkout)
    (checkout / "new").unlink()
    assert "CHANGELOG.md has no section '## [3.2.1] - DATE'" in refusal(checkout)
