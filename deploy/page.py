# noqa: INP001 - a script, and a hook of hatchling
"""Bundles the page: agent/web/page (TypeScript) -> agent/web/static (never committed), with deno from PyPI.

    python deploy/page.py            build it
    python deploy/page.py check      formats, lint, types and unit tests of the sources
    python deploy/page.py --lenient  build it; where that fails say so and go on (the API works without a page)

Also the build hook of the wheel: a wheel is never built without its page, an editable install is (`make` builds it).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parents[1]

#: `--frozen`: what deno.lock does not name, with its hash, is not bundled.
BUNDLE = ["bundle", "--quiet", "--frozen", "--platform", "browser", "--minify", "--outdir"]
CHECKS = [
    ["fmt", "--check", "--quiet"],
    ["lint", "--quiet"],
    ["check", "--quiet", "."],
    ["test", "--quiet", "--frozen"],
]


class PageError(Exception):
    """The page cannot be built; the text says what to do."""


def deno() -> str:
    """The path of the program."""
    try:
        from deno import find_deno_bin

        return str(find_deno_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("deno")
    if found is None:
        raise PageError("deno is not installed, which bundles the page: pip install -r deploy/lock/build.txt")
    return found


def run(page: Path, arguments: list[str]) -> None:
    """Deno, in the folder of the sources. Raises PageError."""
    environment = os.environ | {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "DENO_NO_PROMPT": "1"}
    done = subprocess.run([deno(), *arguments], cwd=page, env=environment, check=False)  # noqa: S603 - no shell, our words
    if done.returncode:
        raise PageError(
            f"deno {arguments[0]} failed (see above). Building needs the npm registry, or a mirror named in "
            "NPM_CONFIG_REGISTRY, until its cache is filled"
        )


def build(root: Path = ROOT) -> Path:
    """Bundle the page into static/, as a whole or not at all; the folder. Raises PageError."""
    page, static = root / "agent/web/page", root / "agent/web/static"
    made = static.with_name("static.new")
    shutil.rmtree(made, ignore_errors=True)
    run(page, [*BUNDLE, str(made), "main.tsx"])
    html = (page / "index.html").read_text(encoding="utf-8")
    for name in ("main.js", "main.css"):
        digest = hashlib.sha256((made / name).read_bytes()).hexdigest()[:12]
        html = html.replace(f"static/{name}", f"static/{name}?{digest}")
    (made / "index.html").write_text(html, encoding="utf-8")
    for name in ("icon.svg", "notices.txt"):
        shutil.copy(page / name, made)
    shutil.rmtree(static, ignore_errors=True)
    made.rename(static)
    return static


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it packs the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page into what will be packed."""
        if version == "editable":
            self.app.display_info("the page is not built for an editable install: python deploy/page.py")
            return
        try:
            build(Path(self.root))
        except PageError as error:
            self.app.abort(f"the page cannot be built: {error}")
        build_data["artifacts"].append("/agent/web/static")


def main() -> int:
    """See the head of this file."""
    try:
        if "check" in sys.argv[1:]:
            for arguments in CHECKS:
                run(ROOT / "agent/web/page", arguments)
        else:
            build()
    except PageError as error:
        lenient = "--lenient" in sys.argv[1:] and os.environ.get("CI") != "true"
        sys.stderr.write(f"page: {error}\n")
        if lenient:
            sys.stderr.write("page: the agent runs without it; / tells how to build it\n")
        return 0 if lenient else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
