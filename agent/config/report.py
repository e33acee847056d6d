"""The difference between what runs and what the files say, as it may be shown: values redacted, effects named. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from agent.config.diff import Change, DeviceChange, Difference, difference
from agent.config.loader import Loaded
from agent.config.model import Config
from agent.config.secret_files import all_secret_files
from agent.config.shown import Shown

#: What a changed device does: its connection stays (only tags changed); the connection it shares with others stays;
#: it disconnects and connects anew.
DeviceEffect = Literal["keeps its connection", "keeps a shared connection", "reconnects"]
#: What a changed publisher does: its session goes on, or ends and another begins.
PublisherEffect = Literal["in place", "new session"]


class KeyReport(Struct):
    """One key whose value changed, as it would be written. Null: absent."""

    key: str
    old: Any
    new: Any


class TagsReport(Struct):
    """Tags of one device."""

    added: list[str] = []
    removed: list[str] = []
    changed: dict[str, list[KeyReport]] = {}


class DeviceReport(Struct):
    """A device that runs and is not as the files say."""

    effect: DeviceEffect
    changes: list[KeyReport]
    tags: TagsReport


class PublisherReport(Struct):
    """A publisher likewise."""

    effect: PublisherEffect
    changes: list[KeyReport]


class Section(Struct):
    """Devices or publishers."""

    added: list[str] = []
    removed: list[str] = []


class DeviceSection(Section):
    """Devices."""

    changed: dict[str, DeviceReport] = {}


class PublisherSection(Section):
    """Publishers."""

    changed: dict[str, PublisherReport] = {}


class Anew(Struct):
    """A secret or certificate file whose contents changed: used at the next connection."""

    key: str
    file: str


class Report(Struct):
    """All that differs. `running` and `files` are hashes of the two configurations."""

    running: str
    files: str
    restart: list[KeyReport]
    settings: list[KeyReport]
    devices: DeviceSection
    publishers: PublisherSection
    read_anew: list[Anew]

    def __bool__(self) -> bool:
        sections = (self.devices, self.publishers)
        parts = any(section.added or section.removed or section.changed for section in sections)
        return bool(self.restart or self.settings or self.read_anew or parts)


def report(old: Loaded, new: Loaded, found: Difference | None = None) -> Report:
    """What differs between the configuration that runs and another. `found`: the same, where it is known already."""
    found = difference(old.config, new.config) if found is None else found
    before, after = Shown(old), Shown(new)

    def shown(changes: Iterable[Change], *place: str) -> list[KeyReport]:
        return [
            KeyReport(str(change), before.at((*place, *change.key)), after.at((*place, *change.key)))
            for change in changes
        ]

    def device(name: str, change: DeviceChange) -> DeviceReport:
        place = ("devices", name)
        where = {tag: key for key, table in new.config.devices[name].tables().items() for tag in table}
        changed = {tag: shown(keys, *place, where[tag], tag) for tag, keys in change.tags_changed.items()}
        tags = TagsReport(list(change.tags_added), list(change.tags_removed), changed)
        return DeviceReport(_effect(old.config, new.config, found, name), shown(change.changes, *place), tags)

    return Report(
        old.hash,
        new.hash,
        shown(found.restart),
        shown(found.settings),
        DeviceSection(
            list(found.devices_added),
            list(found.devices_removed),
            {name: device(name, change) for name, change in found.devices_changed.items()},
        ),
        PublisherSection(
            list(found.publishers_added),
            list(found.publishers_removed),
            {
                name: PublisherReport(
                    "in place" if change.in_place else "new session", shown(change.changes, "publishers", name)
                )
                for name, change in found.publishers_changed.items()
            },
        ),
        _read_anew(old, new),
    )


def _effect(old: Config, new: Config, found: Difference, name: str) -> DeviceEffect:
    if found.devices_changed[name].tags_only:
        return "keeps its connection"
    connection = new.devices[name].connection()
    if connection is None or old.devices[name].connection() != connection:
        return "reconnects"
    for other, device in new.devices.items():
        change = found.devices_changed.get(other)
        stays = other in old.devices and device.enabled and (change is None or change.tags_only)
        if stays and device.connection() == connection:
            return "keeps a shared connection"
    return "reconnects"


def _read_anew(old: Loaded, new: Loaded) -> list[Anew]:
    """Files that both name, by the same key, with contents that are not those of the time the old one was read."""
    before: dict[str, Path] = dict(all_secret_files(old.config))
    return [
        Anew(key, str(file))
        for key, file in all_secret_files(new.config)
        if before.get(key) == file
        if old.reads.secrets.get(file) != new.reads.secrets.get(file)
    ]
