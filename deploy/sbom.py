# noqa: INP001 - a script
"""Software bill of materials: CycloneDX 1.5 JSON of everything that deploy/lock/runtime.txt installs, and of what is
bundled into the page.

python3 deploy/sbom.py > edge-agent.cdx.json        needs nothing but Python; the hashes are the lock file's
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from version import version as tagged

ROOT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_BUNDLED = re.compile(r"^=+\n(\S+) (\S+)$", re.MULTILINE)


def components(lock: str) -> list[dict[str, Any]]:
    """One for each pinned distribution, with the digests of its files and the marker it is installed under."""
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if pin := _PIN.match(line):
            name, version, marker = pin.groups()
            one: dict[str, Any] = {
                "type": "library",
                "bom-ref": f"pkg:pypi/{name.lower()}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name.lower()}@{version}",
                "properties": [{"name": "python:marker", "value": marker}] if marker else [],
            }
            found.append(one)
        elif found and (digest := _HASH.search(line)):
            found[-1]["properties"].append({"name": "lock:file:sha256", "value": digest[1]})
    return found


def bundled(page: Path) -> list[dict[str, Any]]:
    """One for each npm package whose licence the page's notices have, with the digest that deno.lock holds it to."""
    locked = json.loads((page / "deno.lock").read_text(encoding="utf-8"))["npm"]
    found: list[dict[str, Any]] = []
    for name, version in _BUNDLED.findall((page / "notices.txt").read_text(encoding="utf-8")):
        digest = base64.b64decode(locked[f"{name}@{version}"]["integrity"].removeprefix("sha512-")).hex()
        purl = f"pkg:npm/{name}@{version}"
        hashes = [{"alg": "SHA-512", "content": digest}]
        found.append(
            {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": hashes}
        )
    return found


def document() -> dict[str, object]:
    """The whole."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = components((ROOT / "deploy" / "lock" / "runtime.txt").read_text(encoding="utf-8"))
    parts += bundled(ROOT / "agent" / "web" / "page")
    version = tagged()
    root = f"pkg:pypi/{project['name']}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "purl": root,
            }
        },
        "components": parts,
        "dependencies": [{"ref": root, "dependsOn": [one["bom-ref"] for one in parts]}],
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
    sys.stdout.write("\n")
