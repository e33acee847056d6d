"""Modules that are run by whoever asks them first, and never where nobody does."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agent.core.later import UNUSED, postpone

Run = Callable[[], list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Which modules of a package of this test have been run, in order."""
    package = tmp_path / "latecomer"
    package.mkdir()
    for name in ("__init__", "part", "other"):
        (package / f"{name}.py").write_text("import sys\nsys.ran.append(__name__)\nvalue = __name__\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "ran", [], raising=False)
    yield lambda: list(sys.ran)  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.partition(".")[0] == "latecomer"]:
        del sys.modules[name]


def test_a_part_is_run_without_its_package(run: Run) -> None:
    """What the package would import beside it costs nothing until somebody asks for a name of the package."""
    postpone("latecomer")
    part = import_module("latecomer.part")
    assert (part.value, run()) == ("latecomer.part", ["latecomer.part"])
    package: Any = import_module("latecomer")
    assert package.part is part
    assert run() == ["latecomer.part"]
    assert (package.value, package.part, package.value) == ("latecomer", part, "latecomer")
    assert run() == ["latecomer.part", "latecomer"]


def test_a_part_is_postponed_as_well(run: Run) -> None:
    """However it is imported it is the same; asking runs it, once, and a name that is not there is told."""
    postpone("latecomer.other")
    package: Any = import_module("latecomer")
    other = import_module("latecomer.other")
    assert package.other is other
    assert run() == ["latecomer"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = other.nothing
    assert (other.value, run()) == ("latecomer.other", ["latecomer", "latecomer.other"])


def test_what_has_been_run_or_is_not_there_stays_as_it_is(run: Run) -> None:
    """No second copy of a module; a missing one is missing when it is imported."""
    package = import_module("latecomer")
    postpone("latecomer", "latecomer_missing")
    assert import_module("latecomer") is package
    assert run() == ["latecomer"]
    with pytest.raises(ModuleNotFoundError):
        import_module("latecomer_missing")


def test_one_that_fails_fails_for_whoever_asks(run: Run, tmp_path: Path) -> None:
    """Its file has gone meanwhile, or has a mistake: an error of the import, where it is used."""
    (tmp_path / "latecomer" / "other.py").write_text("import latecomer_missing\n")
    postpone("latecomer.other")
    other: Any = import_module("latecomer.other")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="latecomer_missing"):
            _ = other.value
    assert run() == ["latecomer"]


def test_another_thread_that_asks_waits(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two serial buses open at once: none of them finds half a module."""
    began, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "gate", (began.set, go_on.wait), raising=False)
    (tmp_path / "latecomer" / "other.py").write_text("import sys\nfor step in sys.gate:\n    step()\nvalue = 7\n")
    postpone("latecomer.other")
    other: Any = import_module("latecomer.other")
    with ThreadPoolExecutor() as threads:
        first = threads.submit(lambda: other.value)
        began.wait()
        second = threads.submit(lambda: other.value)
        with suppress(TimeoutError):
            second.result(0.05)
        go_on.set()
    assert (first.result(), second.result(), run()) == (7, 7, ["latecomer"])


def test_it_may_ask_itself_and_have_names_made_when_asked(run: Run, tmp_path: Path) -> None:
    """As in any import: what is not there yet is not there, and a `__getattr__` of its own is asked."""
    text = "import latecomer.other as me\nhad = hasattr(me, 'had')\ndef __getattr__(name):\n    return name.upper()\n"
    (tmp_path / "latecomer" / "other.py").write_text(text)
    postpone("latecomer.other")
    other: Any = import_module("latecomer.other")
    assert (other.anything, other.had, run()) == ("ANYTHING", False, ["latecomer"])


def test_two_threads_that_ask_cannot_wait_for_each_other() -> None:
    """Nothing that one of them loads asks for it again: locks are taken in the order of the imports, which ends."""
    script = """
import os, sys
from agent.core import later

class Lock:
    held, twice = False, []
    def __enter__(self):
        self.twice += [self] * self.held
        self.held = True
    def __exit__(self, *_):
        self.held = False

later.RLock = Lock
later.postpone(*later.UNUSED)
for name in later.UNUSED:  # each with nothing loaded by another
    if not os.fork():
        getattr(sys.modules[name], "nothing", None)
        os._exit(bool(Lock.twice))
    print(name, os.wait()[1])
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "".join(f"{name} 0\n" for name in UNUSED)
