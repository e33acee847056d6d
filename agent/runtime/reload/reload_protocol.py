"""What `edge-agent diff` and `edge-agent reload` ask the agent that runs, and its answers."""

from __future__ import annotations

from msgspec import Struct

from agent.config.report import Report


class DiffQuestion(Struct):
    """`file`: what the command's `-c` resolves to; None: whatever the agent was started with."""

    file: str | None = None


class ReloadQuestion(Struct):
    """`wait`: seconds for the changed parts to be back; None: the answer comes as soon as it is applied."""

    file: str | None = None
    wait: float | None = None


class ReloadAnswer(Struct):
    """Either `mistakes`, and nothing was done, or a report; `late` are changed parts that were not back in time."""

    mistakes: list[str] = []
    report: Report | None = None
    late: dict[str, str] = {}  #: `devices.press-01` → why
