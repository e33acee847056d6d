"""What the image is made of: every pin is in the bill of materials, every licence in the notices."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from tests.support.agent import REPOSITORY


def test_the_bill_of_materials_has_every_pin_with_its_digests() -> None:
    """CycloneDX, from the lock files alone: those of Python, and what the page is bundled with."""
    done = subprocess.run(
        [sys.executable, "deploy/sbom.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    lock = (REPOSITORY / "deploy" / "lock" / "runtime.txt").read_text(encoding="utf-8")
    pins = [line.split()[0].split(";")[0] for line in lock.splitlines() if "==" in line.split("#")[0]]
    page = [one for one in said["components"] if one["purl"].startswith("pkg:npm/")]
    python = [one for one in said["components"] if one not in page]
    assert [f"{one['name']}=={one['version']}" for one in python] == pins
    assert all(any(each["name"] == "lock:file:sha256" for each in one["properties"]) for one in python)
    assert {one["name"] for one in page} == {"preact", "uplot"}
    assert all(len(one["hashes"][0]["content"]) == 128 for one in page)
    assert said["metadata"]["component"]["version"] not in ("", "0")


def test_the_notices_have_the_licences_of_what_is_shipped() -> None:
    """Asyncua is LGPL, and its text has to go with it; tools of the tests are not shipped, the page's libraries are."""
    done = subprocess.run(
        [sys.executable, "deploy/notices.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert {"asyncua", "pydantic_core", "preact", "uplot"} <= set(re.findall(r"^=+\n(\S+) ", done.stdout, re.MULTILINE))
    assert "\nansible-core " not in done.stdout
    said = done.stdout.partition("\nasyncua ")[2].partition("=" * 78)[0]
    assert "Lesser General Public License" in said.splitlines()[0]
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in said.upper()
