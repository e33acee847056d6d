"""One device or one publisher: raw data → its own model, picked by `type:`."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from agent.config import checks, registry
from agent.config.files import rows_of
from agent.config.located import Broken, Map, Place, written
from agent.config.meant import is_tag
from agent.config.sections import WrittenPart
from agent.config.shape import close, keys_at
from agent.config.tables import ColumnKind, TableKind, read_table
from agent.config.templates import DeviceTemplate, Used, told_once, use
from agent.config.validate import validate
from agent.config.words import show, unknown_key
from agent.core.errors import Mistake
from agent.settings.devices import DeviceConfig
from agent.settings.outbox import OutboxSettings
from agent.settings.publishers import PublisherConfig
from agent.settings.slim import Slimmer

#: Tags of a whole configuration: 2 kB of memory each, and 20 s until so many are read.
MOST_TAGS = 200_000


class Parts:
    """Makes the models of devices and publishers; notes mistakes, and the tables it read."""

    def __init__(
        self,
        environ: Mapping[str, str],
        outbox: Map | None,
        mistakes: list[Mistake],
        *,
        templates: Mapping[str, DeviceTemplate],
        broken_templates: Collection[str],
        secrets: bool,
        seen: dict[Path, str],
        kept: dict[tuple[str, str], tuple[Map, Place]] | None = None,
    ) -> None:
        """Without `secrets`, secret and certificate files may be missing. Tables are entered in `seen`, as in Reads.

        Where there is a `kept`, the data each part is made of is entered in it.

        What is wrong with `broken_templates` is noted already.
        """
        self._templates = templates
        self._broken_templates = broken_templates
        self.tables: list[tuple[Path, str]] = []  #: tag tables: file, name for people
        self.written: dict[tuple[Hashable, ...], str] = {}  #: what came out of the environment, as written
        self.kept = kept
        self._secrets = secrets
        self._seen = seen
        self._environ = environ
        self._outbox_default = outbox
        self._mistakes = mistakes
        self._tags = 0  #: of the devices so far, written out

    def device(self, name: str, entry: WrittenPart) -> DeviceConfig | None:
        """The device's model, None after noting why not; it is noted once that there are too many tags."""
        if self._tags > MOST_TAGS:
            return None
        given = entry.data.get("template")
        if given is None or isinstance(given, Broken):
            return self._device(name, entry, None)
        template = self._templates.get(str(given))
        if template is None:
            if str(given) not in self._broken_templates:
                guess = close(given, list(self._templates))
                hint = f"did you mean `{guess}`?" if guess else "describe it under `templates:`"
                reason = f"`devices.{name}.template`: there is no template {show(given)}"
                self._mistakes.append(Mistake(*entry.data.place("template"), reason, hint))
            return None
        used = use(template, name, entry, self._environ, self._mistakes)
        if used is None:
            return None
        before = len(self._mistakes)
        device = self._device(name, entry._replace(data=used.data), used)
        self._mistakes[before:] = [told_once(mistake, used, name) for mistake in self._mistakes[before:]]
        return device

    def _device(self, name: str, entry: WrittenPart, used: Used | None) -> DeviceConfig | None:
        section = ("devices", name)
        model = self._model(registry.COLLECTORS, section, entry.data, entry.place)
        if model is None:
            return None
        if used is not None and used.template.base != entry.source.base:
            checks.anchor_files(model, entry.data, used.template.base, used.places)
        data = self._spread(name, self._with_table(name, entry, model), model)
        if self._tags > MOST_TAGS:
            return None
        self._mistakes.extend(checks.missing_files(model, data, entry.source.base, section, secrets=self._secrets))
        self.written.update(written(data, section))
        if self.kept is not None:
            self.kept[section] = data, entry.place
        device = validate(model, data, base=entry.source.base, section=section, mistakes=self._mistakes)
        if not isinstance(device, DeviceConfig):
            return None
        self._mistakes.extend(checks.wrong_locations(name, device, data))
        slimmer = Slimmer()
        for table in device.tables().values():
            for tag, keys in table.items():
                table[tag] = slimmer.slim(keys)
        return device

    def publisher(self, name: str, entry: WrittenPart) -> PublisherConfig | None:
        """The publisher's model with encoder and outbox put in, None after noting why not."""
        section = ("publishers", name)
        model = self._model(registry.PUBLISHERS, section, entry.data, entry.place)
        data = entry.data.copy_as()
        encoder = self._encoder((*section, "encoder"), data)
        if model is None:
            return None
        self.written.update(written(data, section))
        data.pop("encoder", None)
        if encoder is not None:
            data["encoder"] = encoder
        self._merge_outbox(data)
        if self.kept is not None:
            self.kept[section] = data, entry.place
        self.written.update(written(data["outbox"], (*section, "outbox")) if isinstance(data["outbox"], Map) else ())
        self._mistakes.extend(checks.missing_files(model, data, entry.source.base, section, secrets=self._secrets))
        publisher = validate(model, data, base=entry.source.base, section=section, mistakes=self._mistakes)
        return publisher if isinstance(publisher, PublisherConfig) else None

    def _model(
        self, kind: registry.PartKind, section: Sequence[str], data: Map, place: Place
    ) -> type[BaseModel] | None:
        """The model that `type:` picks."""
        name = ".".join(section)
        given = data.get("type")
        known = registry.known(kind)
        if isinstance(given, Broken):
            return None
        if given is None:
            more = ", or `template: …`" if self._templates and kind is registry.COLLECTORS else ""
            hint = f"add `type: …`, one of {', '.join(known)}{more}"
            if kind is registry.COLLECTORS and is_tag(data):
                hint = "it looks like a tag: indent it further, below `tags:` of its device"
            elif section[-1] == "tags":
                hint = "indent `tags:` further, below its device"
            elif (
                other := next((key for key in ("protocol", "driver", "kind") if data.get(key) in known), None)
            ) is not None:
                hint = f"write `type: {data[other]}` instead of `{other}:`"
            self._mistakes.append(Mistake(*place, f"`{name}` has no `type`", hint))
            return None
        try:
            return registry.resolve(kind, str(given))
        except registry.UnknownType:
            guess = close(given, known)
            hint = f"did you mean {guess}?" if guess else f"write one of {', '.join(known)}"
            reason = f"`{name}.type`: no {kind.word} is of type {show(given)}"
            self._mistakes.append(Mistake(*data.place("type"), reason, hint))
        except registry.BrokenType as error:
            self._mistakes.append(Mistake(*data.place("type"), f"`{name}.type`: {error}", "install what it needs"))
        return None

    def _encoder(self, section: tuple[str, ...], data: Map) -> BaseModel | None:
        given = data.get("encoder")
        place = data.place("encoder")
        if given is None:
            given = Map(*place)
            given.put("type", "json", place)
        if not isinstance(given, Map):
            if not isinstance(given, Broken):
                meant = given if given in registry.known(registry.ENCODERS) else "json"
                reason = f"`{'.'.join(section)}`: {show(given)} is not a mapping"
                self._mistakes.append(Mistake(*place, reason, f"write {{type: {meant}}}"))
            return None
        model = self._model(registry.ENCODERS, section, given, place)
        if model is None:
            return None
        return validate(model, given, base=Path(), section=section, mistakes=self._mistakes)

    def _merge_outbox(self, data: Map) -> None:
        """Put the top-level `outbox:` under the publisher's own, key by key."""
        own = data.get("outbox")
        if own is not None and not isinstance(own, Map):
            return  # validation says what is wrong with it
        merged = own.copy_as() if own is not None else Map(*data.place("outbox"))
        for key in self._outbox_default or ():
            if key not in merged and self._outbox_default is not None:
                default = self._outbox_default
                merged.put(key, default[key], default.place(key), default.raw.get(key))
        data["outbox"] = merged or OutboxSettings()

    def _with_table(self, name: str, entry: WrittenPart, model: type[BaseModel]) -> Map:
        """The device's data with the tags of its `tags_file` added to `tags`."""
        data = entry.data
        file = data.get("tags_file")
        if not isinstance(file, str) or isinstance(file, Broken) or not file:
            return data
        shown = str(Path(entry.source.shown).parent / file)
        self.tables.append((entry.source.base / file, shown))
        rows = rows_of(entry.source.base / file, shown, data.place("tags_file"), self._mistakes, self._seen)
        data = data.copy_as()
        if rows is None:
            del data["tags_file"]  # said already
            return data
        kind = TableKind("tag", "tag", "address", lambda path: _column(model, path))
        table = read_table(rows, shown, self._environ, kind, self._mistakes)
        own = data.get("tags")
        if own is None or isinstance(own, Map):
            data["tags"] = self._joined(name, own if own is not None else Map(*data.place("tags_file")), table)
        return data

    def _spread(self, device: str, data: Map, model: type[BaseModel]) -> Map:
        """The device's data with every range of tags written out."""
        tags = data.get("tags")
        self._count(device, 1, data, "tags")  # without tags of its own a device is to find some
        if not isinstance(tags, Map) or not issubclass(model, DeviceConfig):
            return data
        ranges: dict[object, Mapping[str, object]] = {}
        for tag, keys in tags.items():
            try:
                many = model.spread(str(tag), keys)
            except ValueError as error:
                reason, _, hint = str(error).partition("; ")
                self._mistakes.append(Mistake(*tags.place(tag), f"`devices.{device}.tags.{tag}`: {reason}", hint))
                many = {}
            self._count(device, 1 if many is None else len(many), tags, tag)
            if self._tags > MOST_TAGS:
                return data
            if many is not None:
                ranges[tag] = many
        if not ranges:
            return data
        spread = Map(tags.file, tags.line)
        for tag, keys in tags.items():
            place = tags.place(tag)
            for name, one in ranges.get(tag, {tag: keys}).items():
                if name in spread:
                    first = spread.place(name)
                    reason = f"`devices.{device}.tags.{name}` stands here a second time; the first is in {first}"
                    self._mistakes.append(Mistake(*place, reason, "keep one of them"))
                    continue
                spread.put(name, _like(keys, one) if tag in ranges else keys, place, tags.raw.get(tag))
        data = data.copy_as()
        data["tags"] = spread
        return data

    def _count(self, device: str, tags: int, data: Map, key: object) -> None:
        """So many tags more; they stand at `key`."""
        before, self._tags = self._tags, self._tags + tags
        if before <= MOST_TAGS < self._tags:
            reason = f"`devices.{device}.tags`: with these the configuration has more than {MOST_TAGS:,} tags"
            self._mistakes.append(Mistake(*data.place(key), reason, "divide the devices among several agents"))

    def _joined(self, device: str, own: Map, table: Map) -> Map:
        tags = own.copy_as()
        for tag in table:
            if tag in tags:
                reason = f"`devices.{device}.tags.{tag}` stands here a second time; the first is in {tags.place(tag)}"
                self._mistakes.append(Mistake(*table.place(tag), reason, "keep one of them"))
            else:
                tags.put(tag, table[tag], table.place(tag))
        return tags


def _like(keys: object, given: object) -> object:
    """`given` with the places of the keys it was made of."""
    if not isinstance(keys, Map) or not isinstance(given, Mapping):
        return given
    copy = keys.copy_as()
    copy.update(given)
    return copy


def _column(model: type[BaseModel], path: Sequence[str]) -> ColumnKind:
    for depth, step in enumerate(path):
        keys = list(keys_at(model, ("tags", "any", *path[:depth])))
        if step not in keys:
            guess = close(step, keys)
            meant = [*path[:depth], guess, *path[depth + 1 :]] if guess else None
            return ColumnKind(meant, unknown_key(".".join(path), step, keys))
    return ColumnKind(list(path))
