"""What the running agent adds to a support bundle, part by part, redacted before it leaves the agent.

    {"verb": "support", "question": {"part": "events"}}

The agent redacts, not the command: only it knows the environment it was started with.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib import metadata
from typing import Any, Literal

import msgspec
from msgspec import Struct

from agent import __version__
from agent.config.loader import Loaded
from agent.config.redaction import Redaction
from agent.core.threads import calculated
from agent.runtime.control import Control
from agent.runtime.status.overview import Overview
from agent.runtime.status.views import Views
from agent.telemetry.exposition import exposition
from agent.telemetry.metrics import REGISTRY

Part = Literal["config", "status", "events", "metrics", "versions"]
_DISTRIBUTION = "industrial-edge-agent"


class SupportQuestion(Struct):
    """One part of the bundle: a large configuration must not cost the others their place in an answer."""

    part: Part


class Support:
    """Answers the verb `support`."""

    def __init__(self, views: Views, overview: Overview, loaded: Callable[[], Loaded]) -> None:
        """`loaded` gives the configuration in force."""
        self._views = views
        self._overview = overview
        self._loaded = loaded

    def serve(self, control: Control) -> Callable[[], None]:
        """Answer from now on; returns the undo."""
        return control.serve("support", self.answer, SupportQuestion)

    async def answer(self, question: SupportQuestion) -> Any:
        """The part, as JSON-able data; metrics are a text."""
        found = await self._part(question.part)
        return await calculated(_redacted, found, self._loaded())

    async def _part(self, part: Part) -> Any:
        match part:
            case "config":
                return {"config": await self._views.config(), "reloads": self._views.reloads()}
            case "status":
                # the command that asks for it by hand is asked the same way: measured now
                self._overview.look()
                return self._views.status()
            case "events":
                return self._views.events(None, "debug")
            case "metrics":
                self._overview.look()
                return b"".join(exposition(REGISTRY))
            case "versions":
                return versions()


def versions() -> dict[str, Any]:
    """Of this process: the agent, Python, the system, and the libraries the agent names as its own."""
    return {
        "edge_agent": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        wanted = metadata.requires(_DISTRIBUTION) or ()
    except metadata.PackageNotFoundError:
        return found
    for requirement in sorted(wanted):
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
    return found


def _redacted(found: Any, loaded: Loaded) -> Any:
    redaction = Redaction(loaded)
    if isinstance(found, bytes):
        return redaction.metrics(found.decode())
    return redaction(msgspec.json.decode(msgspec.json.encode(found)))
