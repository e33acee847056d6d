"""Reaching the agent that runs: for the commands that ask it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.cli.mistakes import report
from agent.cli.words import harmless
from agent.config.whereabouts import data_dir_of, is_historian
from agent.core.errors import ConfigError
from agent.runtime.asking import ControlError, NoAgent, call, data_dirs

T = TypeVar("T")

#: Exit code where no agent runs.
NO_AGENT = 3


class UnreachableError(Exception):
    """The agent cannot be asked; what there is to say has been said. `code` is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Running:
    """The agent that `-c FILE` or `--data-dir DIR` names."""

    def __init__(self, config: Path, data_dir: Path | None, *, as_json: bool) -> None:
        """Raises UnreachableError where the file does not even tell a `data_dir`."""
        self._json = as_json
        self._config = config
        self.file = None if data_dir is not None else os.path.realpath(config)
        try:
            self.data_dir = data_dir if data_dir is not None else data_dir_of(config)
        except ConfigError as error:
            if as_json:
                document({"error": f"{config} cannot be read", "mistakes": [str(one) for one in error.mistakes]})
            report(error, sys.stderr)
            raise UnreachableError(2) from None

    def ask(self, verb: str, question: object, answer: type[T], *, timeout: float = 60.0) -> T:
        """Its answer. Raises UnreachableError."""
        try:
            return call(self.data_dir, verb, question, answer, timeout=timeout)
        except NoAgent as error:
            raise self._unreachable(NO_AGENT, f"{error}{self._elsewhere()}") from None
        except ControlError as error:
            raise self._unreachable(1, str(error)) from None

    def _elsewhere(self) -> str:
        """The agent that runs this file, where that names another `data_dir` by now."""
        for data_dir in data_dirs() if self.file else ():
            with suppress(ControlError):
                if call(data_dir, "file", None, str, timeout=1.0) == self.file:
                    return (
                        f"; the one that runs {self.file} was started on {data_dir}: another data_dir needs a restart "
                        f"-> ask it with --data-dir {data_dir}"
                    )
        return ""

    def _unreachable(self, code: int, reason: str) -> UnreachableError:
        if code == NO_AGENT and self.file is not None and is_historian(self._config):
            reason = reason.replace("agent", "historian", 1)
        sys.stderr.write(f"{harmless(reason)}\n")
        if self._json:
            document({"error": reason})
        return UnreachableError(code)


def document(value: object) -> None:
    """One JSON document on standard output, in ASCII: what a terminal might obey is escaped."""
    text = json.dumps(msgspec.to_builtins(value), indent=2)
    sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")
