"""Where an agent keeps its data, by its configuration, also while that has mistakes: a command must reach the agent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from agent.config.files import Reads, read_sources
from agent.config.located import Broken, Map
from agent.config.model import AgentSettings
from agent.config.shape import close
from agent.core.errors import ConfigError, Mistake

_WRITTEN = re.compile(r"""\bdata_dir\s*:\s*(?:"([^"]+)"|'([^']+)'|([^\s,}#][^,}#\n]*))""")


def of_historian(data: Mapping[object, object]) -> bool:
    """Whether the top level of a configuration is a historian's."""
    return "historian" in data


def is_historian(config: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the file is a historian's configuration; False also where it cannot be read."""
    sources, _ = read_sources(config, environ, [], Reads())
    return bool(sources) and sources[0].shown == str(config) and of_historian(sources[0].data)


def data_dir_of(config: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """`agent.data_dir` (or `historian.data_dir`) of the configuration in `config`, whatever else is wrong with it.

    Where not even the YAML can be read, the first `data_dir:` in its text counts. Raises ConfigError where the file
    cannot be read at all, or misspells the key: the default would be somebody else's.
    """
    mistakes: list[Mistake] = []
    sources, _ = read_sources(config, environ, mistakes, Reads())
    base = config.absolute().parent
    if sources and sources[0].shown == str(config):
        agent = sources[0].data.get("historian" if of_historian(sources[0].data) else "agent")
        written = agent.get("data_dir") if isinstance(agent, dict) else None
        if isinstance(written, str) and not isinstance(written, Broken):
            return base / written
        _refuse_misspelt(agent)
        return AgentSettings.model_fields["data_dir"].default  # type: ignore[no-any-return]
    try:
        found = _WRITTEN.search(config.read_text(encoding="utf-8-sig", errors="replace"))
    except OSError:
        raise ConfigError.of(mistakes) from None
    if found is None:
        raise ConfigError.of(mistakes)
    return base / next(group for group in found.groups() if group).strip()


def _refuse_misspelt(agent: object) -> None:
    """Raises ConfigError for a key that seems to be `data_dir`."""
    if not isinstance(agent, Map):
        return
    for key in agent:
        if key != "data_dir" and close(key, ["data_dir"]):
            place = agent.place(key)
            raise ConfigError(place.file, place.line, f"`{key}` is no key of the agent", "write `data_dir`")
