from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "deploy/lock").glob("*.txt"))
TOP = {
    "agent", "configs", "deploy", "docs", "tests", "Makefile", "pyproject.toml", "Dockerfile", "README.md",
    "CHANGELOG.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md", ".ci", ".github", ".gitignore", ".dockerignore",
    ".pre-commit-config.yaml",
}  # fmt: skip


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(lock: Path) -> dict[str, Version]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", lock.read_text(), re.MULTILINE)
    return {name.lower(): Version(version) for name, version in found}


def named(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def sources(folder: str) -> Iterator[Path]:
    yield from sorted((ROOT / folder).rglob("*.py"))


def test_locks_are_hashed_and_carry_no_address() -> None:
    """Every locked package has a hash, and no lock file names an index or any other address."""
    assert {lock.stem for lock in LOCKS} == {"build", "demo", "docs", "runtime", "test"}
    for lock in LOCKS:
        text = lock.read_text()
        assert "://" not in text, lock.name
        assert "--index" not in text, lock.name
        assert "--find-links" not in text, lock.name
        entries = re.split(r"\n(?=[A-Za-z0-9])", text)
        assert all("--hash=sha256:" in entry for entry in entries), lock.name


@pytest.mark.parametrize(("lock", "extras"), [("runtime", []), ("demo", ["demo"]), ("test", ["demo", "test", "check"])])
def test_locks_fulfil_pyproject(lock: str, extras: list[str]) -> None:
    """What pyproject.toml asks for is locked, in a version that its ranges allow."""
    project = pyproject()["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    versions = locked(ROOT / f"deploy/lock/{lock}.txt")
    for requirement in map(Requirement, wanted):
        if named(requirement) != "industrial-edge-agent":
            assert versions[named(requirement)] in requirement.specifier, str(requirement)


def test_locks_agree() -> None:
    """The tests run with the versions that the image and the demo get; the site has an environment of its own."""
    everything = locked(ROOT / "deploy/lock/test.txt")
    for lock in LOCKS:
        if lock.stem == "docs":
            continue
        assert locked(lock).items() <= everything.items(), lock.name


def test_hints_name_the_missing_library_itself() -> None:
    """The distribution may not be where the reader's pip looks, and `edge-agent` there is somebody else's."""
    for file in (*sources("agent"), *sorted((ROOT / "docs").rglob("*.md"))):
        assert not re.search(r"pip install [^`\n]*edge-agent", file.read_text()), file


def test_the_image_has_no_broker_and_no_test_tool() -> None:
    """The embedded broker and the tools of tests and checks stay out of the image."""
    assert not locked(ROOT / "deploy/lock/runtime.txt").keys() & {"iotcore", "pytest", "mypy", "ruff", "hatchling"}


def test_images_are_of_the_newest_release() -> None:
    """The version that compose file and Kubernetes start is the one that the changelog speaks of last."""
    unreleased, newest, *_ = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert unreleased == "Unreleased"
    for file in (
        "compose/compose.yaml",
        "kubernetes/base/statefulset.yaml",
        "kubernetes/overlays/historian/historian.yaml",
    ):
        images = re.findall(
            r"image: (?:\$\{EDGE_AGENT_IMAGE:-)?edge-agent:([^\s}]+)", (ROOT / "deploy" / file).read_text()
        )
        assert set(images) == {newest}, file


def test_dockerfile_is_plain() -> None:
    """No heredoc, no COPY --link or RUN --mount, locked and hashed dependencies, a numeric user above 10000."""
    text = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"<<-?['\"]?[A-Z]|--link|--mount|^# *syntax", text, re.MULTILINE)
    assert len(re.findall(r"^FROM \$\{BASE_IMAGE\}", text, re.MULTILINE)) == text.count("FROM ")
    assert text.count("--require-hashes") == 2
    user = re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert user
    assert min(map(int, user.groups())) > 10000
    assert "curl" not in text


def test_dockerignore_lets_in_what_the_dockerfile_copies() -> None:
    """Every file the Dockerfile copies from the context is let in by .dockerignore."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert source in allowed
            assert (ROOT / source).exists(), source


def test_compose_is_hardened_and_its_files_exist() -> None:
    """Every service has a read-only root, no capabilities and bounded logs; what it mounts is here."""
    folder = ROOT / "deploy/compose"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["logging"]["options"].keys() >= {"max-size", "max-file"}
        assert "mem_limit" in service
        for volume in service["volumes"]:
            if volume.startswith("./"):
                assert (folder / volume.split(":")[0]).is_file()


def test_systemd_starts_the_agent_again_for_ever() -> None:
    """After whatever end, after a pause, and however often."""
    lines = (ROOT / "deploy/systemd/edge-agent.service").read_text().splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0", "Type=notify"} <= set(lines)
    assert any(re.fullmatch(r"RestartSec=[1-9]\d*", line) for line in lines)


def test_make_has_its_promised_targets() -> None:
    """The targets that the README and the pages name exist, and each is explained by `make help`."""
    helped = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(helped) >= {"help", "setup", "demo", "test", "check", "bench", "soak", "lock", "clean"}


def test_scripts_are_executable() -> None:
    """What make calls can be executed."""
    for script in (ROOT / ".ci").iterdir():
        assert os.access(script, os.X_OK), script.name


def test_a_python_that_is_named_is_taken(tmp_path: Path) -> None:
    """The system's without ensurepip gives way to another, but not where it is named: set-up says what it lacks."""
    lacks, other, script = tmp_path / "lacks", tmp_path / "python3", tmp_path / "script"
    lacks.write_text(f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    script.write_text((ROOT / ".ci/python").read_text().replace("/usr/bin/python3", str(lacks)))
    for path in (lacks, other, script):
        path.chmod(0o755)
    for named, chosen in (("", other), (str(lacks), lacks)):
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": named}
        said = subprocess.run(["/bin/sh", script], env=env, capture_output=True, text=True, check=True)
        assert (said.stdout, said.stderr) == (f"{chosen}\n", "")


def test_top_level_holds_what_the_design_names() -> None:
    """Nothing has settled at the top level that the design does not name."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()} | {".git"}
    names = {path.name for path in ROOT.iterdir()} - ignored
    assert {name for name in names if not name.endswith(".egg-info")} <= TOP


def test_files_stay_small() -> None:
    """No file of the agent is longer than 400 lines."""
    long = [str(path.relative_to(ROOT)) for path in sources("agent") if len(path.read_text().splitlines()) > 400]
    assert not long


def test_one_class_name_means_one_thing() -> None:
    """Two public classes of one name describe one thing, to somebody else: on the wire, over HTTP, in the database."""
    views = {
        "encoders/schema.py", "encoders/common/messages.py", "consumer/contract.py", "historian/items.py",
        "historian/report/facts.py", "web/schema/status.py", "web/schema/answers.py",
    }  # fmt: skip
    places: dict[str, list[str]] = {}
    for path in sources("agent"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT / "agent")))
    assert not {name: where for name, where in places.items() if len(set(where) - views) > 1}


def test_tests_do_not_sleep() -> None:
    """Outside tests/support nobody sleeps: tests wait for conditions. `asyncio.sleep(0)` only lets others run."""
    sleeping = []
    for path in sources("tests"):
        if path.is_relative_to(ROOT / "tests/support") or path.is_relative_to(ROOT / "tests/bench"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"asyncio.sleep", "time.sleep"}:
                lets_run = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
                if not lets_run or ast.unparse(node.func) == "time.sleep":
                    sleeping.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not sleeping


def test_every_test_says_its_truth() -> None:
    """Each test function has a docstring that states what holds."""
    silent = []
    for path in sources("tests"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not silent


def test_nothing_is_left_to_do() -> None:
    """No marker of unfinished work is left in the agent."""
    words = re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|XXX)\\b|raise NotImplementedError")
    left = [str(path.relative_to(ROOT)) for path in sources("agent") if words.search(path.read_text())]
    assert not left


# Which rooms may touch a library: foreign exceptions are translated there and nowhere else.
TOUCHES = {
    "asyncua": ("collectors/opcua", "simulator", "workbench", "testing"),
    "pymodbus": ("collectors/modbus", "simulator", "workbench", "testing"),
    "paho": ("publishers/mqtt", "consumer", "simulator", "testing"),
    "iotcore": ("simulator",),
    "sqlite3": (
        "outbox",
        "historian/stores",
        "runtime/history/store.py",
        "collectors/opcua/history/logbook.py",
        "testing",
    ),
    "psycopg": ("historian/stores",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "typer": ("cli",),
}


def imported(path: Path) -> set[str]:
    """Top names of the modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_libraries_are_touched_only_in_their_rooms() -> None:
    """A protocol's library is imported in its own room only, and never by the model of its configuration."""
    strays = []
    for path in sources("agent"):
        place = path.relative_to(ROOT / "agent").as_posix()
        strays += [
            f"{place} imports {library}"
            for library in imported(path) & TOUCHES.keys()
            if not place.startswith(TOUCHES[library]) or place.endswith("/config.py")
        ]
    assert not strays


def test_nothing_writes_to_a_device() -> None:
    """Outside the simulator and the test twins no line names a write service or a write function of a protocol."""
    writes = re.compile(
        r"write_(register|registers|coil|coils|value|values|attribute|attribute_value|params|mask_write_register)\b"
        r"|mask_write_register|readwrite_registers|\bWriteRequest\b|\bWriteValue\b|\bset_value\b|\bcall_method\b"
        r"|WriteSingle|WriteMultiple"
    )
    found = []
    for path in sources("agent"):
        place = path.relative_to(ROOT / "agent").as_posix()
        if not place.startswith(("simulator/", "testing/")) and writes.search(path.read_text()):
            found.append(place)
    assert not found
