"""Takes out of any text what the configuration keeps secret, for what is handed to people outside the plant.

What is shown of the agent (status, events, metrics) holds no secret by itself. This is the second lock: a library's
error text may quote a password, and nobody can know all of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.config.loader import Loaded
from agent.config.secret_files import all_secret_files
from agent.core.text import HIDDEN, without_credentials

_NAME = re.compile(r"\$\{([^}]*)\}")
_LABEL = re.compile(r'"(?:[^"\\]|\\.)*"')
#: Shorter ones are taken out only where they are the whole text: "on" is in every other word.
_SHORTEST = 4
_LARGEST_FILE = 1 << 20


class Redaction:
    """The secrets of one configuration: values of `${NAME}`, and every line of its secret and certificate files."""

    def __init__(self, loaded: Loaded | None = None, environ: Mapping[str, str] = os.environ) -> None:
        """Without a configuration only users and queries of URLs are taken out. Reads the secret files."""
        self._instead = {} if loaded is None else {**dict(_from_files(loaded)), **dict(_from_names(loaded, environ))}
        # the longest first: one secret may begin with another
        known = sorted((one for one in self._instead if len(one) >= _SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, value: Any) -> Any:
        """The same JSON-able data without them, in keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key) if isinstance(key, str) else key: self(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self(one) for one in value]
        return value

    def text(self, text: str) -> str:
        """One text without them."""
        if text in self._instead:
            return self._instead[text]
        return without_credentials(self._known.sub(self._named, text) if self._known is not None else text)

    def metrics(self, page: str) -> str:
        """A page of metrics: only the values of labels are texts that come from outside."""
        return "\n".join(line if line.startswith("#") else _LABEL.sub(self._label, line) for line in page.split("\n"))

    def _named(self, match: re.Match[str]) -> str:
        return self._instead[match[0]]

    def _label(self, match: re.Match[str]) -> str:
        plain = match[0][1:-1].replace(r"\n", "\n").replace(r"\"", '"').replace(r"\\", "\\")
        text = self.text(plain).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'"{text}"'


def _from_names(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for written in loaded.written.values():
        for name in _NAME.findall(written):
            if value := environ.get(name, ""):
                yield value, f"${{{name}}}"


def _from_files(loaded: Loaded) -> Iterator[tuple[str, str]]:
    for _, file in all_secret_files(loaded.config):
        for line in _lines(file):
            if line := line.strip():
                yield line, HIDDEN


def _lines(file: Path) -> list[str]:
    try:
        if not file.is_file() or file.stat().st_size > _LARGEST_FILE:
            return []
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []  # whoever needs it cannot read it either
