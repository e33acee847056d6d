"""A page of the documentation, run as a reader runs it: files are written, commands called, output compared.

A `<!-- name -->` before a block makes it a file. `sh` blocks are commands, `text` blocks what the commands before them
print: figures, units of bytes and columns may differ, `…` stands for anything.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.support.ports import free_port
from tests.support.processes import Process, agent_command, process
from tests.support.waiting import eventually

BLOCK = re.compile(r"(?:<!-- (\S+) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Commands that go on, and what they print when they work; those that only listen go on until there is text to compare.
LASTING = {"simulate": r"until Ctrl-C", "run": r"device\.online"}
LISTENING = {"verify": r"is online", "tail": r" = "}
#: `status` tells of the machine too: its clock may not be set, its disk may be full. `convert` may carry over a part.
CODES = {"status": {0, 1}, "convert": {0, 1}}
OF_THE_MACHINE = re.compile(r"Clock|Disk|[\w-]+: (all well|\d+ things? )")


class Step(NamedTuple):
    """A file to write, a command, or the lines that the commands before it print."""

    file: str = ""
    content: str = ""
    lines: tuple[str, ...] = ()


def steps(page: str) -> Iterator[Step]:
    """In the order of the page."""
    for file, language, content in BLOCK.findall(page):
        if file:
            yield Step(file, content)
        elif language == "sh":
            for line in content.splitlines():
                command = re.sub(r"^\S*/bin/", "", line.split("  #")[0].strip())
                if command.startswith("edge-agent "):
                    yield Step("", command)
        elif language == "text":
            yield Step(lines=tuple(content.splitlines()))


def shape(line: str) -> str:
    """A line without its figures, and without what depends on the width of columns."""
    line = re.sub(r"\d[\d.,:]*", "#", line)
    line = re.sub(r"# (record|reading|declaration|tag|device)s?\b", r"# \1", line)
    return " ".join(re.sub(r"# (?:[KMG]i)?B\b", "# B", line).split())


def fits(wanted: str, printed: str) -> bool:
    """Whether a printed line begins as the page has it."""
    return re.match(".*".join(map(re.escape, shape(wanted).split("…"))), printed) is not None


def _says(one: Process, words: str) -> bool:
    return re.search(words, one.stderr + one.stdout) is not None


async def _interrupted(one: Process) -> None:
    """Ctrl-C, and its end in order."""
    one.signal(signal.SIGINT)
    assert await one.wait(20) == 0, one.tail()


class Reader:
    """Somebody who does what a page says, in a folder of their own, with ports of their own."""

    def __init__(self, folder: Path, ports: Mapping[str, str]) -> None:
        self._folder = folder
        self._ports = {**ports, "8080": str(free_port())}
        self._processes = ExitStack()
        self._lasting: list[Process] = []
        self._listening: list[tuple[str, Process]] = []
        self._printed = ""
        self.done = 0

    def moved(self, text: str) -> str:
        """A text with this reader's ports."""
        for usual, port in self._ports.items():
            text = re.sub(rf"\b{usual}\b", port, text)
        return text

    def write(self, file: str, content: str) -> None:
        """As the page has it, but for the ports; the agent's page gets one of its own."""
        http = "" if file != "agent.yaml" or "http:" in content else "http: {port: 8080}\n"
        (self._folder / file).write_text(self.moved(content + http), encoding="utf-8")

    async def read(self, page: str) -> None:
        """From top to bottom, then Ctrl-C to what still runs, the newest first."""
        with self._processes:
            for step in steps(page):
                if step.file:
                    self.write(step.file, step.content)
                elif step.content:
                    await self._call(step.content)
                else:
                    await self._compare(step.lines)
            while self._lasting:
                await _interrupted(self._lasting.pop())

    def _start(self, name: str, arguments: list[str]) -> Process:
        return self._processes.enter_context(process(*agent_command(name, *arguments), cwd=self._folder))

    async def _call(self, command: str) -> None:
        _, name, *arguments = shlex.split(self.moved(command).split(" > ")[0])
        one = self._start(name, arguments)
        self.done += 1
        ends = {"--seconds", "--once"} & set(arguments)
        if name in LISTENING and not ends:
            self._listening.append((name, one))
            return
        if name in LASTING:
            self._lasting.append(one)
            await eventually(partial(_says, one, LASTING[name]), 60, what=name)
            if broker := re.search(r"broker: mqtt://127\.0\.0\.1:(\d+)", one.stderr):
                self._ports["1883"] = broker[1]
        else:
            code = await one.wait(90)
            for _ in range(60):  # a device that a busy machine has kept from its pace is degraded for a minute
                if name != "status" or " degraded " not in one.stdout:
                    break
                one = self._start(name, arguments)
                code = await one.wait(90)
            assert code in CODES.get(name, {0}), f"{command}\n{one.tail()}"
        if " > " in command:
            self.write(command.split(" > ")[1].strip(), one.stdout)
        self._printed += one.stdout + one.stderr

    async def _compare(self, lines: tuple[str, ...]) -> None:
        while self._listening:
            name, one = self._listening.pop()
            await eventually(partial(_says, one, LISTENING[name]), 60, what=name)
            await _interrupted(one)
            self._printed += one.stdout + one.stderr
        files = "".join(path.read_text(encoding="utf-8") for path in self._folder.glob("*.yaml"))
        printed = {shape(line) for line in (self._printed + files).splitlines()}
        for line in filter(str.strip, lines):
            wanted = self.moved(line)
            if not OF_THE_MACHINE.match(line):
                assert any(fits(wanted, one) for one in printed), f"nobody prints: {line}\n{self._printed[-3000:]}"
        self._printed = ""
