"""The image can be built for amd64 and arm64: every locked package has a wheel for both (deploy/wheels.py)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

LOCK = Path(__file__).resolve().parents[2] / "deploy" / "lock"
WHEELS: dict[str, dict[str, str]] = json.loads((LOCK / "wheels.json").read_text())
#: Name, version, and the hashes below. A marker is passed over: a wheel more does no harm.
ENTRY = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+).*\n((?: +--hash=sha256:[0-9a-f]{64}.*\n?)+)", re.MULTILINE)
LOCKED = {
    (name, version): set(re.findall("[0-9a-f]{64}", hashes))
    for name, version, hashes in ENTRY.findall((LOCK / "runtime.txt").read_text())
}


def test_every_machine_and_python_is_looked_at() -> None:
    """What the images and bundles are built for, and what pyproject.toml promises."""
    assert {place.split()[1] for place in WHEELS} == {"x86_64", "aarch64"}
    classifiers = re.findall(r"Python :: (3\.\d+)\"", (LOCK.parents[1] / "pyproject.toml").read_text())
    assert {place.split()[0] for place in WHEELS} == set(classifiers)


@pytest.mark.parametrize("place", WHEELS)
def test_every_package_has_a_wheel(place: str) -> None:
    """For this machine, of the locked version, with one of the locked hashes. `make lock` mends what fails here."""
    machine, found = place.split()[1], set()
    for name, digest in WHEELS[place].items():
        project, version, _, tags = parse_wheel_filename(name)
        platforms = {tag.platform for tag in tags}
        assert any(one == "any" or one.endswith(f"_{machine}") for one in platforms), name
        assert digest in LOCKED[project, str(version)], name
        found.add((str(project), str(version)))
    assert found == LOCKED.keys()
