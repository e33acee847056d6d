"""What the page is made of, without a browser: types of the API, its size, its own unit tests, the event catalogue."""

from __future__ import annotations

import ast
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.publishers.mqtt import reasons
from agent.telemetry.events import EVENTS
from agent.telemetry.events.devices import DEGRADED
from agent.web import files
from agent.web.openapi import document
from tests.support.processes import ROOT

PAGE = ROOT / "agent/web/page"
_ERRORS = {"ConnectionLost", "TransientError", "PermanentError"}
MOST_BYTES = 120_000  #: compressed, all together


def test_types_are_those_of_the_api() -> None:
    """The page's types are what deploy/page_types.py makes of the OpenAPI document of now."""
    sys.path.insert(0, str(ROOT / "deploy"))
    try:
        from page_types import types  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    assert (PAGE / "api/types.ts").read_text() == types(document()), (
        "python deploy/page_types.py > agent/web/page/api/types.ts"
    )


def test_built_page_is_small() -> None:
    """All that a browser loads stays below 120 kB, compressed."""
    built = files.built()
    assert {"index.html", "main.js", "main.css"} <= built.keys(), "make setup builds the page"
    assert sum(len(gzip.compress(file.content, 9)) for file in built.values()) <= MOST_BYTES


def test_unit_tests_of_the_page() -> None:
    """Formats, lint, types and unit tests of the TypeScript sources pass."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy/page.py"), "check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_event_is_told_in_chinese_too() -> None:
    """words/events.zh.json has a meaning for each event of the catalogue, and a remedy where the catalogue has one."""
    told = json.loads((PAGE / "words/events.zh.json").read_text(encoding="utf-8"))
    assert told["causes"].keys() == DEGRADED.keys()
    wanted = {name: {"meaning", "remedy"} if event.remedy else {"meaning"} for name, event in EVENTS.items()}
    assert {name: set(words) for name, words in told["events"].items()} == wanted, "agent/web/page/words/events.zh.json"


def test_every_reason_is_told_in_chinese_too() -> None:
    """What a collector or a publisher gives as its reason is known to words/reasons.ts, and has no English half."""
    rows = [*reasons.CONNACK.items(), *reasons.PUBACK.items(), *reasons.DISCONNECT.items()]
    told = [f"{row.text} (0x{code:02X})" for code, row in rows]
    told += [reason for room in ("collectors", "publishers") for reason in _reasons(ROOT / "agent" / room)]
    assert len(told) > 100
    script = """import { inChinese } from "./words/catalogue.ts";
        console.log(JSON.stringify(JSON.parse(Deno.args[0]).map((one: string) => one.split(" -> ").map(inChinese))))"""
    done = subprocess.run(
        [str(ROOT / ".venv/bin/deno"), "eval", "--ext=ts", script, json.dumps(told)], capture_output=True, text=True,
        check=True, cwd=PAGE,
    )  # fmt: skip
    english = re.compile("[a-z]{2,} [a-z]{2,}")
    left = [one for one, parts in zip(told, json.loads(done.stdout), strict=True) if english.search(" -> ".join(parts))]
    assert left == [], "agent/web/page/words/reasons.ts"


def _reasons(folder: Path) -> Iterator[str]:
    """The texts of the errors that are raised there; X1 for what is put in."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ERRORS and node.args:
                text = node.args[0]
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value
                elif isinstance(text, ast.JoinedStr):
                    yield "".join(str(one.value) if isinstance(one, ast.Constant) else "X1" for one in text.values)


@pytest.mark.parametrize(
    ("arguments", "ci", "code"), [((), "false", 1), (("--lenient",), "false", 0), (("--lenient",), "true", 1)]
)
def test_without_deno_it_says_what_is_missing(tmp_path: Path, arguments: tuple[str, ...], ci: str, code: int) -> None:
    """A build without deno ends with the line to type; a desk may go on without the page, CI may not."""
    (tmp_path / "deno.py").write_text("raise ImportError('not installed')\n")
    environment = {"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path), "CI": ci}
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy/page.py"), *arguments], capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    assert done.returncode == code
    assert "pip install -r deploy/lock/build.txt" in done.stderr
    assert ("/ tells how to build it" in done.stderr) is (code == 0)


def test_licences_of_others_are_there() -> None:
    """The notices name each package that deno.lock bundles, in its version."""
    notices = files.built()["notices.txt"].content.decode()
    for package, version in re.findall(r'"npm:([a-z-]+)@([\d.]+)":', (PAGE / "deno.lock").read_text()):
        assert package == "axe-core" or f"{package} {version}\n" in notices, package  # axe-core is the tests'


def test_nothing_inline_and_nobody_else() -> None:
    """No inline script or style that the Content-Security-Policy would refuse, and no address of anybody else."""
    built = files.built()
    html = built["index.html"].content.decode()
    assert "<style" not in html
    assert "style=" not in html
    assert all(' src="static/' in part for part in html.split("<script")[1:])
    for name, file in built.items():
        text = file.content.decode().replace("http://www.w3.org/", "")
        assert "http://" not in text, name
        assert "https://" not in text, name
