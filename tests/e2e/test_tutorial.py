"""docs/tutorial.md, from an unknown plant to data at the broker: its commands are run, and say what stands there."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.ports import free_port
from tests.support.processes import Process, agent_command, process
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
PLANT = (ROOT / "configs" / "examples" / "tutorial-plant.yaml").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (\S+) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Commands that go on, and what they say when they work; those that only listen go on until there is text to compare.
LASTING = {"simulate": r"until Ctrl-C", "run": r"agent\.started"}
LISTENING = {"verify": r"is online", "tail": r"zone_1 = \d"}


class Step(NamedTuple):
    """A file to write, or a command with the lines it says."""

    file: str
    content: str
    lines: tuple[str, ...] = ()


def steps(page: str) -> Iterator[Step]:
    """In the order of the page; a text block belongs to the commands before it."""
    commands: list[str] = []
    for file, language, content in BLOCK.findall(page):
        if file:
            yield Step(file, content)
        elif language == "sh":
            commands = content.split("\n")[:-1]
            yield from (Step("", command) for command in commands)
        elif language == "text":
            yield Step("", "", tuple(content.split("\n")[:-1]))


def shape(line: str) -> str:
    """A line without its figures, and without what depends on the width of columns."""
    return " ".join(re.sub(r"\d[\d.,:]*", "#", line).replace("KiB", "GiB").split())


def says(one: Process, words: str) -> bool:
    return re.search(words, one.stderr + one.stdout) is not None


@pytest.mark.timeout(240)
async def test_the_tutorial(tmp_path: Path) -> None:
    """Every command ends well and every line of output on the page is printed, but for its figures."""
    ports = {"5020": str(free_port()), "4841": str(free_port()), "1883": ""}

    def moved(text: str) -> str:
        for usual, port in ports.items():
            text = re.sub(rf"\b{usual}\b", port, text) if port else text
        return text

    (tmp_path / "tutorial-plant.yaml").write_text(moved(PLANT).replace("../../data", "plant-data"), encoding="utf-8")
    said, done = "", 0
    with ExitStack() as stack:
        lasting: list[Process] = []
        listening: list[tuple[str, Process]] = []
        for step in steps(PAGE):
            if step.file:
                http = f"http: {{port: {free_port()}}}\n" if step.file == "agent.yaml" else ""
                (tmp_path / step.file).write_text(moved(step.content) + http, encoding="utf-8")
                continue
            if step.content:
                _, name, *arguments = shlex.split(moved(step.content))
                one = stack.enter_context(process(*agent_command(name, *arguments), cwd=tmp_path))
                done += 1
                if name in LISTENING:
                    listening.append((name, one))
                    continue
                if name in LASTING:
                    lasting.append(one)
                    await eventually(partial(says, one, LASTING[name]), what=name)
                    if broker := re.search(r"broker: mqtt://127\.0\.0\.1:(\d+)", one.stderr):
                        ports["1883"] = broker[1]
                else:
                    assert await one.wait(90) == 0, f"{step.content}\n{one.tail()}"
                said += one.stdout + one.stderr
                continue
            while listening:
                name, one = listening.pop()
                await eventually(partial(says, one, LISTENING[name]), what=name)
                await interrupted(one)
                said += one.stdout + one.stderr
            files = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.yaml"))
            printed = {shape(line) for line in (said + files).splitlines()}
            for line in step.lines:
                wanted = shape(moved(line))
                assert any(one.startswith(wanted) for one in printed), f"nobody says: {line}\n{said[-3000:]}"
            said = ""
        assert done == len(re.findall(r"^edge-agent ", PAGE, re.MULTILINE))
        while lasting:
            await interrupted(lasting.pop())


async def interrupted(one: Process) -> None:
    """Ctrl-C, and its end in order."""
    one.signal(signal.SIGINT)
    assert await one.wait(20) == 0, one.tail()
