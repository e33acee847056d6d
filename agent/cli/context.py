"""What commands build devices with where no agent is: an image of their own, and the buses that the devices share."""

from __future__ import annotations

from pathlib import Path

from agent import __version__
from agent.core.clock import SystemClock
from agent.core.image import AgentInfo, Image
from agent.runtime.context import RunningContext


def context_of(who: str, data_dir: Path = Path()) -> RunningContext:
    """`who` asks the devices. Its `buses` are run by `driving`."""
    return RunningContext(Image(AgentInfo(who, __version__, "")), data_dir, SystemClock(), {})
