"""`load_historian`: a file → one frozen configuration, or every mistake in one ConfigError."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from agent.config import checks
from agent.config.files import Reads, read_sources
from agent.config.grid import place_key
from agent.config.located import Map
from agent.config.validate import validate
from agent.core.errors import ConfigError, Mistake
from agent.historian.config import HistorianConfig, SourceConfig
from agent.settings.values import is_loopback

_EXTENSION = "x-"  #: top-level keys that begin with it are the user's own


class LoadedHistorian(NamedTuple):
    """What was read."""

    config: HistorianConfig
    warnings: list[str]


def load_historian(path: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool = True) -> LoadedHistorian:
    """Read and validate the configuration in `path`. Raises ConfigError with all mistakes.

    Without `secrets`, secret and certificate files may be missing: they are read at each connection.
    """
    mistakes: list[Mistake] = []
    sources, _ = read_sources(path, environ, mistakes, Reads())
    if not sources or sources[0].shown != str(path):
        raise ConfigError.of(mistakes)
    main = sources[0]
    data = main.data.copy_as()
    for key in [key for key in data if isinstance(key, str) and key.startswith(_EXTENSION)]:
        del data[key]
    config = validate(HistorianConfig, data, base=main.base, mistakes=mistakes)
    mistakes.extend(checks.missing_files(HistorianConfig, data, main.base, (), secrets=secrets))
    named = data.get("sources")
    for name, source in named.items() if isinstance(named, Map) else ():
        if isinstance(source, Map):
            section = ("sources", str(name))
            mistakes.extend(checks.missing_files(SourceConfig, source, main.base, section, secrets=secrets))
    if mistakes or config is None:
        raise ConfigError.of(_in_order(mistakes))
    return LoadedHistorian(config, _odd(config))


def _in_order(mistakes: list[Mistake]) -> list[Mistake]:
    return sorted(dict.fromkeys(mistakes), key=place_key)


def _odd(config: HistorianConfig) -> list[str]:
    """What is allowed, but probably not meant."""
    found = []
    http = config.http
    if http is not None and not is_loopback(http.host) and http.auth is None:
        found.append(
            f"http.host {http.host}: beyond this machine only /healthz and /readyz answer; give http.auth for the rest"
        )
    for name, source in config.sources.items():
        readable = any(url.startswith(("mqtt://", "ws://")) for url in (source.url, *source.other_urls))
        local = all(is_loopback(host.rpartition(":")[0]) for host in source.hosts())
        if readable and not local and (source.password is not None or source.password_file is not None):
            found.append(f"sources.{name}.url: the password crosses the network readable; mqtts:// encrypts")
    if config.plant.calendar is not None and not os.access(config.plant.calendar, os.F_OK):
        found.append(f"plant.calendar: there is no file {config.plant.calendar}")
    return found
