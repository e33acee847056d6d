"""`edge-agent record`: what a Modbus device is asked and answers, into a file."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import BinaryIO, Self

from agent.cli.context import context_of
from agent.cli.mistakes import report
from agent.collectors.modbus.bus.recording import MOST_BYTES, MOST_LINES, NOTE
from agent.config.loader import load
from agent.config.model import Config
from agent.core.errors import ConfigError
from agent.core.recordable import Recordable
from agent.core.text import harmless
from agent.runtime.asking import ControlError, NoAgent, call
from agent.runtime.recording import RecordAnswer, RecordQuestion
from agent.telemetry.logging import configure
from agent.workbench.live import driving, visits_of
from agent.workbench.selected import device_of

#: A device that was lost is tried again after this, seconds.
AGAIN = 1.0


def record(config: Path, name: str, output: Path, seconds: float | None) -> int:
    """0: recorded, until Ctrl-C, `seconds` or the largest size; 1: the device, the agent or the disk; 2: a mistake."""
    configure(level="error", style="console", stream=sys.stderr)
    try:
        loaded = load(config, secrets=False).whole
        device_of(loaded, str(config), name)
        with _File(output) as file:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with suppress(KeyboardInterrupt):
                if not _from_agent(loaded, name, file, seconds):
                    asyncio.run(_alone(loaded, name, file, seconds))
            if not file.transactions:
                sys.stderr.write(f"{name} was not asked for anything in this time: there is no {output}\n")
                return 1
            sys.stderr.write(f"{file.transactions:,} transactions, {file.size:,} bytes in {output}: it {NOTE}\n")
            return 0
    except ConfigError as error:
        report(error, sys.stderr)
        return 2
    except (ControlError, OSError) as error:
        sys.stderr.write(f"{harmless(str(error))}\n")
        return 1


class _FullError(Exception):
    """No more goes in."""


class _File:
    """Takes the lines of a recording; 0600, never over a file that is there already."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self._lines = 0
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise ConfigError(str(self._path), None, "stands there already", "name another file with -o") from None
        except OSError as error:
            hint = "name another file with -o"
            raise ConfigError(str(self._path), None, f"cannot be written: {error.strerror}", hint) from None
        self._file = os.fdopen(handle, "wb")
        return self

    @property
    def transactions(self) -> int:
        """How many are in it; the first line is none."""
        return max(0, self._lines - 1)

    def take(self, line: bytes) -> None:
        """One more line. Raises _FullError where the file has its largest size."""
        assert self._file is not None  # noqa: S101  # entered before
        if self.size + len(line) + 1 > MOST_BYTES or self.transactions >= MOST_LINES:
            raise _FullError
        self.size += self._file.write(line + b"\n")
        self._lines += 1

    def __exit__(self, *_exc: object) -> None:
        assert self._file is not None  # noqa: S101  # entered before
        self._file.close()
        if not self.transactions:
            self._path.unlink(missing_ok=True)


def _from_agent(config: Config, name: str, file: _File, seconds: float | None) -> bool:
    """Through the agent that runs; False where none does. Raises ControlError."""
    data_dir = config.agent.data_dir

    def ask(question: RecordQuestion) -> RecordAnswer:
        answer = call(data_dir, "record", question, RecordAnswer)
        for line in answer.lines:
            file.take(line.encode())
        if answer.lost:
            sys.stderr.write(f"{answer.lost} transactions are missing: they came faster than they were taken\n")
        return answer

    until = None if seconds is None else time.monotonic() + seconds
    try:
        begun = ask(RecordQuestion(name))
    except NoAgent:
        return False
    sys.stderr.write(f"recording {name} through the agent that runs, until Ctrl-C\n")
    try:
        while until is None or time.monotonic() < until:
            ask(RecordQuestion(name, begun.id))
    except _FullError:
        _say_full()
        return True
    finally:
        with suppress(ControlError, _FullError):
            ask(RecordQuestion(name, begun.id, stop=True))
    return True


async def _alone(config: Config, name: str, file: _File, seconds: float | None) -> None:
    """Over a connection of its own, at the device's intervals."""
    context = context_of("record")
    device = config.devices[name]
    collector = device.build(name, context)
    if not isinstance(collector, Recordable):
        raise ConfigError("command line", None, f"{name} cannot be recorded", "only Modbus devices can")
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    undo = collector.record(_guarded(file, over))
    sys.stderr.write(f"recording {name} over a connection of its own (no agent runs here), until Ctrl-C\n")

    async def read() -> None:
        while True:
            async with aclosing(visits_of(name, device, collector, context)) as visits:
                async for _ in visits:
                    pass
            await context.clock.sleep(AGAIN)

    error: OSError | None = None
    try:
        async with driving(context.buses), asyncio.TaskGroup() as group:
            reading = group.create_task(read(), name=f"record {name}")
            try:
                async with asyncio.timeout(seconds):
                    await over
            except TimeoutError:
                pass
            except _FullError:
                _say_full()
            except OSError as fault:
                error = fault  # raised below, not wrapped in groups
            finally:
                reading.cancel()
    finally:
        undo()
    if error is not None:
        raise error


def _guarded(file: _File, over: asyncio.Future[None]) -> Callable[[bytes], None]:
    """`take` for a collector: it never raises."""

    def take(line: bytes) -> None:
        if over.done():
            return
        try:
            file.take(line)
        except (_FullError, OSError) as error:
            over.set_exception(error)

    return take


def _say_full() -> None:
    sys.stderr.write(f"the recording has its largest size, {MOST_BYTES >> 20} MiB or {MOST_LINES:,} transactions\n")
