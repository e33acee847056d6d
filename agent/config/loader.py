"""`load`: files → one frozen configuration, or every mistake in one ConfigError."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.config import checks, located, routed, shards
from agent.config.device_tables import DeviceTables
from agent.config.files import Reads, SourceFile, digest_of, read_sources
from agent.config.fingerprint import fingerprint
from agent.config.grid import file_of, place_key
from agent.config.located import Map, Place
from agent.config.model import Config
from agent.config.parts import Parts
from agent.config.secret_files import all_secret_files
from agent.config.sections import collect
from agent.config.templates import templates_of
from agent.config.validate import validate
from agent.core.errors import ConfigError, Mistake
from agent.core.image import SELF, Elsewhere
from agent.settings.outbox import OutboxSettings

_PARTS = ("devices", "devices_file", "templates", "publishers")  #: top-level keys that are read one by one
_EXTENSION = "x-"  #: top-level keys that begin with it are the user's own (a place for anchors)


@dataclass(frozen=True)
class Loaded:
    """What was read."""

    config: Config  #: what this agent does; of one of several shards only its devices, and its own id
    hash: str  #: of the effective configuration, without secrets; the same for the same meaning
    files: tuple[Path, ...]  #: every YAML and CSV file it came from, the main file first
    written: Mapping[tuple[Hashable, ...], str] = field(default_factory=dict)
    """Values that came out of the environment, as written (`tcp://${HOST}:502`), by their path in the configuration."""
    reads: Reads = field(default_factory=Reads)
    """What it was read from, with the state of each file when it was."""
    shared: Config | None = None  #: all of it, where several agents share it
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)  #: the devices that other shards read

    @property
    def whole(self) -> Config:
        """The devices of all shards."""
        return self.config if self.shared is None else self.shared


def load(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    secrets: bool = True,
    reads: Reads | None = None,
    places: Map | None = None,
    overload: bool = False,
) -> Loaded:
    """Read and validate the configuration in `path`.

    Raises ConfigError with all mistakes, in the order of files and lines: it goes on behind a mistake as far as there
    is sense in it. Without `secrets`, secret and certificate files may be missing: what needs them waits for them.
    `reads` is filled with what was read, also where mistakes are found; `places` with the data itself, which knows
    where each key stands (tables, ranges and templates put in): warnings want it, an agent that runs does not.
    With `overload` a bus may be asked for more than it can: `plan` says by how much, and what would help.
    """
    mistakes: list[Mistake] = []
    reads = Reads() if reads is None else reads
    sources, shown = read_sources(path, environ, mistakes, reads, located=places is not None)
    files = [source.base / Path(source.shown).name for source in sources]
    if not sources or sources[0].shown != str(path):
        raise ConfigError.of(_in_order(mistakes, shown))
    head = _head(sources[0], mistakes, secrets=secrets)
    templates = templates_of(sources, environ, mistakes)
    described = [held for one in sources if isinstance(held := one.data.get("templates"), Map)]
    broken = {str(name) for held in described for name in held} - templates.keys()
    parts = Parts(
        environ, _good_outbox(sources[0]), mistakes,
        templates=templates, broken_templates=broken, secrets=secrets, seen=reads.tables,
        kept=None if places is None else {},
    )  # fmt: skip
    devices = collect(sources, "devices", mistakes)
    tables = DeviceTables(templates, environ, mistakes, seen=reads.tables)
    tables.add_to(devices, sources)
    publishers = collect(sources, "publishers", mistakes)
    known = [*devices, *([SELF] if head is not None and head.agent.self else [])]
    written = {name: entry.data.bare() for name, entry in devices.items()}
    if places is None:  # each is let go once it is built: all of them together are larger than what they become
        for source in sources:
            source.data.pop("devices", None)
    built_devices = {name: parts.device(name, devices.pop(name)) for name in written}
    built_publishers = {name: parts.publisher(name, entry) for name, entry in publishers.items()}
    routes = {name: publisher for name, publisher in built_publishers.items() if publisher is not None}
    raw = {name: entry.data for name, entry in publishers.items()}
    for name in publishers:
        mistakes.extend(checks.dangling_globs(name, raw[name], known))
    mistakes.extend(checks.disagreeing_devices(built_devices, written))
    good = {name: device for name, device in built_devices.items() if device is not None}
    mistakes.extend(checks.claimed_twice(good, written))
    if not overload:
        mistakes.extend(checks.overloaded_buses(good, written))
    values = {**_written(sources[0].data), **parts.written}
    if head is not None and not mistakes:  # what is wrong with a device would only be reported again
        mistakes.extend(checks.former_names(head.agent.data_dir, routes, raw))
        together = head.model_copy(update={"devices": built_devices, "publishers": routes})
        mistakes.extend(routed.mistakes(together, raw))
        mistakes.extend(routed.same_in_each_shard(together, raw, values))
    if (mistakes or head is None) and not all(source.located for source in sources):
        reads.forget()  # once more, for the lines
        return load(path, environ, secrets=secrets, reads=reads, places=Map(str(path), 0), overload=overload)
    if mistakes or head is None:
        raise ConfigError.of(_in_order(mistakes, shown + [name for _, name in (*tables.tables, *parts.tables)]))
    if places is not None:
        _keep(places, sources[0].data, parts.kept or {})
    config = head.model_copy(update={"devices": built_devices, "publishers": routes})
    files += [file for file, _ in (*tables.tables, *parts.tables)]
    reads.secrets.update({file: digest_of(file) for _, file in all_secret_files(config)})
    shared = config if config.agent.shard.count > 1 else None
    return Loaded(
        shards.own(config), fingerprint(config), tuple(files), values, reads, shared, shards.elsewhere(config)
    )


def _written(main: Map) -> dict[tuple[Hashable, ...], str]:
    """What came out of the environment, but for devices and publishers: their makers know."""
    rest = main.copy_as()
    for key in ("devices", "publishers"):
        rest.pop(key, None)
        rest.raw.pop(key, None)
    return dict(located.written(rest))


def _keep(places: Map, main: Map, parts: Mapping[tuple[str, str], tuple[Map, Place]]) -> None:
    """Everything in the main file's own data, devices and publishers as they were put together."""
    places.file, places.line = main.file, main.line
    for key, value in main.items():
        places.put(key, value, main.place(key))
    for section in ("devices", "publishers"):
        together = Map(*main.place(section))
        for (kind, name), (data, place) in parts.items():
            if kind == section:
                together.put(name, data, place)
        if together:
            places.put(section, together, main.place(section))


def _head(main: SourceFile, mistakes: list[Mistake], *, secrets: bool) -> Config | None:
    """Everything but devices and publishers."""
    data = main.data.copy_as()
    for key in list(data):
        if not isinstance(key, str):
            mistakes.append(checks.misplaced(key, data.place(key), list(Config.model_fields)))
        if not isinstance(key, str) or key in _PARTS or key.startswith(_EXTENSION):
            del data[key]
    include = data.get("include", [])
    if not isinstance(include, list) or not all(isinstance(pattern, str) for pattern in include):
        del data["include"]  # said when the files were read
    mistakes.extend(checks.missing_files(Config, data, main.base, (), secrets=secrets))
    return validate(Config, data, base=main.base, mistakes=mistakes)


def _good_outbox(main: SourceFile) -> Map | None:
    """The top-level `outbox:`, unless it has mistakes: they are reported once, not again for every publisher."""
    outbox = main.data.get("outbox")
    if not isinstance(outbox, Map) or validate(OutboxSettings, outbox, base=main.base, mistakes=[]) is None:
        return None
    return outbox


def _in_order(mistakes: Sequence[Mistake], shown: Sequence[str]) -> list[Mistake]:
    rank = {name: index for index, name in reversed(list(enumerate(shown)))}
    found = (mistake if mistake.line else replace(mistake, line=None) for mistake in dict.fromkeys(mistakes))
    return sorted(dict.fromkeys(found), key=lambda one: (_rank(one, rank), *place_key(one)))


def _rank(mistake: Mistake, rank: Mapping[str, int]) -> tuple[int, str]:
    """By files in the order they are read; cells of a sheet where its workbook stands."""
    file = mistake.path.rpartition("!")[0] or mistake.path
    return next((rank[name] for name in (file, file_of(file)) if name in rank), len(rank)), file
