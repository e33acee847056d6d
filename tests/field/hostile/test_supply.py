"""What the image is made of: every pin is in the bill of materials, every licence in the notices."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.agent import REPOSITORY


def test_the_bill_of_materials_has_every_pin_with_its_digests() -> None:
    """CycloneDX, from the lock file alone."""
    done = subprocess.run(
        [sys.executable, "deploy/sbom.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    lock = (REPOSITORY / "deploy" / "lock" / "runtime.txt").read_text(encoding="utf-8")
    pins = [line.split()[0].split(";")[0] for line in lock.splitlines() if "==" in line.split("#")[0]]
    assert [f"{one['name']}=={one['version']}" for one in said["components"]] == pins
    assert all(any(each["name"] == "lock:file:sha256" for each in one["properties"]) for one in said["components"])
    assert said["metadata"]["component"]["version"] not in ("", "0")


def test_the_notices_have_the_licence_of_what_is_lgpl() -> None:
    """Asyncua is; whoever hands the image on has to hand on its text."""
    done = subprocess.run(
        [sys.executable, "deploy/notices.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    said = done.stdout.partition("\nasyncua ")[2].partition("=" * 78)[0]
    assert "Lesser General Public License" in said.splitlines()[0]
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in said.upper()
