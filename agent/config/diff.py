"""What changed between two configurations, and what each change costs. Pure: decides, does nothing.

Effective models are compared, never texts: where something stands (`include`, `templates`, `devices_file`,
`tags_file`), the order of keys, and how a value is written (`1s`, `1000ms`) make no difference. Contents of secret and
certificate files are not part of a model either (see `agent.runtime.reload.watch`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel

from agent.config.model import Config
from agent.settings.publishers import PublisherConfig

#: Keys of a publisher that are applied while its session goes on; all that stands below them too. A former name
#: (`was`) is only looked at when an outbox is opened.
IN_PLACE = frozenset({
    ("replay",), ("window",), ("devices",), ("max_rate",), ("was",),
    ("outbox", "max_bytes"), ("outbox", "max_age"), ("outbox", "min_free_disk"), ("outbox", "when_full"),
    ("outbox", "keep_acked"), ("outbox", "compress"),
})  # fmt: skip
#: Keys of a publisher, and of `agent:`, that cannot change in a running process.
_RESTART_PUBLISHER = frozenset({("outbox", "durability"), ("outbox", "disk")})
_RESTART_AGENT = frozenset({("id",), ("data_dir",), ("shard",)})
#: Where something stands changes no meaning; what `outbox:` at the top says is in every publisher's own.
_NOT_COMPARED = frozenset({"include", "templates", "devices_file", "outbox", "devices", "publishers", "agent"})
_WHERE_FROM = "tags_file"

Key = tuple[str, ...]


class Change(NamedTuple):
    """One key whose value changed.

    `key` is a path of names, below the device, publisher or tag it is listed under; else from the top. `old` and `new`
    are model values (numbers in base units, nested models; None where the key is absent or null). They hold what came
    out of the environment and user names in URLs: show them through `agent.config.shown`, never as they are.
    """

    key: Key
    old: object
    new: object

    def __str__(self) -> str:
        return ".".join(self.key)


@dataclass(frozen=True)
class DeviceChange:
    """A device that is in both configurations and not the same."""

    changes: tuple[Change, ...] = ()
    """Keys of the device itself. `location` is the effective one: it changes with `agent.location` where the device has
    none of its own."""
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    tags_changed: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    """Tags that are in both, by name, with their keys. Tags not named in any of the three are equal."""

    @property
    def tags_only(self) -> bool:
        """Whether the device keeps its connection: nothing but its tags changed. Else it is replaced."""
        return not self.changes


@dataclass(frozen=True)
class PublisherChange:
    """A publisher that is in both configurations and not the same."""

    changes: tuple[Change, ...]
    """Keys of the publisher, below `outbox` and `encoder` too; `outbox` is the effective one, with the defaults of the
    top-level `outbox:` put in."""

    @property
    def in_place(self) -> bool:
        """Whether its session goes on. Else the session ends and another begins, with the same open outbox."""
        return all(_under(change.key, IN_PLACE) for change in self.changes)


@dataclass(frozen=True)
class Difference:
    """All that changed from one configuration to another. False where nothing did.

    An empty difference does not mean equal hashes: a default that nothing uses is not a change.
    """

    restart: tuple[Change, ...] = ()
    """What cannot change in a running process, keys from the top (`agent.id`, `publishers.plant.outbox.durability`).
    One of these and nothing is applied. They are not repeated in the other fields."""
    settings: tuple[Change, ...] = ()
    """What is applied in place, keys from the top: `log`, `http`, `history`, and of `agent:` all that needs no restart.
    `agent.location` is in here, and in every device that it moves."""
    devices_added: tuple[str, ...] = ()
    devices_removed: tuple[str, ...] = ()
    devices_changed: Mapping[str, DeviceChange] = field(default_factory=dict)
    publishers_added: tuple[str, ...] = ()
    publishers_removed: tuple[str, ...] = ()
    publishers_changed: Mapping[str, PublisherChange] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((
            self.restart, self.settings, self.devices_added, self.devices_removed, self.devices_changed,
            self.publishers_added, self.publishers_removed, self.publishers_changed,
        ))  # fmt: skip


def difference(old: Config, new: Config) -> Difference:
    """What has to happen so that an agent that runs `old` runs `new`. Names are in the order of their configuration."""
    agent = list(_changes(old.agent, new.agent))
    restart = [_below("agent", change) for change in agent if _under(change.key, _RESTART_AGENT)]
    settings = [_below("agent", change) for change in agent if not _under(change.key, _RESTART_AGENT)]
    settings += _changes(old, new, but=_NOT_COMPARED)
    publishers: dict[str, PublisherChange] = {}
    for name in old.publishers.keys() & new.publishers.keys():
        found = list(_changes(_effective(old, name), _effective(new, name)))
        restart += [
            _below("publishers", _below(name, change)) for change in found if _under(change.key, _RESTART_PUBLISHER)
        ]
        rest = tuple(change for change in found if not _under(change.key, _RESTART_PUBLISHER))
        if rest:
            publishers[name] = PublisherChange(rest)
    for name in _missing(new.publishers, old.publishers):
        former = new.publishers[name].was
        if former in old.publishers:  # its outbox is open, and is closed only once all that is new has been opened
            restart.append(Change(("publishers", name, "was"), None, former))
    devices = {name: _device(old, new, name) for name in new.devices if name in old.devices}
    return Difference(
        restart=tuple(restart),
        settings=tuple(settings),
        devices_added=_missing(new.devices, old.devices),
        devices_removed=_missing(old.devices, new.devices),
        devices_changed={name: change for name, change in devices.items() if change is not None},
        publishers_added=_missing(new.publishers, old.publishers),
        publishers_removed=_missing(old.publishers, new.publishers),
        publishers_changed={name: publishers[name] for name in new.publishers if name in publishers},
    )


def _effective(config: Config, name: str) -> PublisherConfig:
    publisher = config.publishers[name]
    return publisher if publisher.outbox is not None else publisher.model_copy(update={"outbox": config.outbox})


def _device(old: Config, new: Config, name: str) -> DeviceChange | None:
    before, after = old.devices[name], new.devices[name]
    where = old.location_of(name), new.location_of(name)
    if where[0] == where[1] and _same(before, after):
        return None
    tables = before.tables().keys() & after.tables().keys()
    changes = list(_changes(before, after, but=frozenset({_WHERE_FROM, "location", *tables})))
    if where[0] != where[1]:
        changes.append(Change(("location",), *where))
    tags_before, tags_after = before.tag_table, after.tag_table
    changed = {tag: tuple(_changes(tags_before[tag], tags_after[tag])) for tag in tags_after if tag in tags_before}
    change = DeviceChange(
        tuple(changes),
        _missing(tags_after, tags_before),
        _missing(tags_before, tags_after),
        {tag: found for tag, found in changed.items() if found},
    )
    return change if change != DeviceChange() else None


def _changes(old: BaseModel, new: BaseModel, *, but: frozenset[str] = frozenset()) -> Iterator[Change]:
    """The keys that differ, as deep as both sides have the same model there."""
    for name in dict.fromkeys((*type(old).model_fields, *type(new).model_fields)):
        before, after = getattr(old, name, None), getattr(new, name, None)
        if name in but or before is after or _same(before, after):
            continue
        if isinstance(before, BaseModel) and isinstance(after, BaseModel) and type(before) is type(after):
            yield from (_below(name, change) for change in _changes(before, after))
        else:
            yield Change((name,), before, after)


def _same(old: object, new: object) -> bool:
    """Equal in type too: `scale: 1` keeps integers, `scale: 1.0` does not."""
    if type(old) is not type(new):
        return False
    if isinstance(old, BaseModel):
        theirs = new.__dict__
        return all(value is theirs[name] or _same(value, theirs[name]) for name, value in old.__dict__.items())
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return old == new


def _below(name: str, change: Change) -> Change:
    return change._replace(key=(name, *change.key))


def _under(key: Key, keys: frozenset[Key]) -> bool:
    return any(key[:depth] in keys for depth in range(1, len(key) + 1))


def _missing(these: Mapping[str, object], those: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(name for name in these if name not in those)
