"""What no single section can know: names that refer to each other, files that must exist, colliding clients."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.config.buses import FULL, buses
from agent.config.files import where_files_are
from agent.config.grid import file_of
from agent.config.located import Broken, List, Map, Place, find, named
from agent.config.model import check_segment
from agent.config.secret_files import is_secret_file, unusable
from agent.config.shape import alternatives, close
from agent.config.words import list_keys
from agent.core.errors import Mistake
from agent.outbox import outbox_path
from agent.outbox.file.takeover import both
from agent.settings.devices import DeviceConfig
from agent.settings.publishers import PublisherConfig


def missing_files(
    model: type[BaseModel], data: Map, base: Path, section: Sequence[str], *, secrets: bool = True
) -> Iterator[Mistake]:
    """Every file a section names must be there and readable; without `secrets` only those that are read now."""
    for key, field in _may_name_files(model).items():
        value = data.get(key)
        for kind in alternatives(field.annotation):
            if not isinstance(kind, type):
                continue
            if issubclass(kind, Path) and isinstance(value, str) and not isinstance(value, Broken):
                if is_secret_file(key) and not secrets:
                    continue
                if (found := unusable(key, base / file_of(value))) is not None:
                    reason, hint = found
                    if reason.startswith("there is no") and not Path(value).is_absolute():
                        hint = where_files_are(value)
                    yield Mistake(*data.place(key), f"`{'.'.join((*section, key))}`: {reason}", hint)
            elif issubclass(kind, BaseModel) and isinstance(value, Map):
                yield from missing_files(kind, value, base, (*section, key), secrets=secrets)


def anchor_files(model: type[BaseModel], data: Map, base: Path, places: Collection[tuple[str, int]]) -> None:
    """Relative names of files that stand at `places` start at `base`, whatever those around them start at."""
    for key, field in _may_name_files(model).items():
        value, at = data.get(key), data.place(key)
        for kind in alternatives(field.annotation):
            if not isinstance(kind, type):
                continue
            if issubclass(kind, Path) and isinstance(value, str) and not isinstance(value, Broken):
                if (at.file, at.line) in places:
                    data.put(key, str(base / value), at, data.raw.get(key))
            elif issubclass(kind, BaseModel) and isinstance(value, Map):
                anchor_files(kind, value, base, places)


@cache
def _may_name_files(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {
        name: field
        for name, field in model.model_fields.items()
        for kind in alternatives(field.annotation)
        if isinstance(kind, type)
        if (issubclass(kind, Path) and not name.endswith("_dir"))
        or (issubclass(kind, BaseModel) and _may_name_files(kind))
    }


def dangling_globs(name: str, data: Map, devices: Sequence[str]) -> Iterator[Mistake]:
    """Each glob of a publisher's `devices:` must mean at least one device."""
    globs = data.get("devices")
    if not isinstance(globs, List):
        return
    if not globs:
        yield Mistake(
            *data.place("devices"), f"`publishers.{name}.devices`: an empty list carries nothing", 'write ["*"] for all'
        )
    for index, glob in enumerate(globs):
        if (
            isinstance(glob, str)
            and not any(fnmatchcase(device, glob) for device in devices)
            and (devices or glob != "*")
        ):
            guess = close(glob, devices)
            hint = f"did you mean {guess}?" if guess else f"there are {', '.join(devices) or 'no devices'}"
            yield Mistake(*globs.place(index), f"`publishers.{name}.devices`: no device matches {glob!r}", hint)


def disagreeing_devices(devices: Mapping[str, DeviceConfig | None], raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """Devices on one connection must agree about it: the first would have its way, the others silently not."""
    seen: dict[str, tuple[str, dict[str, object]]] = {}
    for name, device in devices.items():
        shared = device.connection() if device is not None else None
        if shared is None:
            continue
        where, agreed = shared
        first, theirs = seen.setdefault(where, (name, agreed))
        for key, value in agreed.items():
            if theirs[key] != value:
                reason = f"`devices.{name}` shares {where} with `devices.{first}`, but says another `{key}`"
                yield Mistake(*raw[name].place(key.partition(".")[0]), reason, "let both say the same")


def claimed_twice(devices: Mapping[str, DeviceConfig], raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """What a device must have for itself two cannot have."""
    seen: dict[str, str] = {}
    for name, device in devices.items():
        claim = device.claim()
        if claim is None:
            continue
        first = seen.setdefault(claim.what, name)
        if first != name:
            reason = f"`devices.{name}.{claim.key}`: {claim.what} is `devices.{first}` already"
            yield Mistake(*raw[name].place(claim.key), reason, claim.hint)


def wrong_locations(name: str, device: DeviceConfig, data: Map) -> Iterator[Mistake]:
    """A device's location becomes levels of a topic."""
    if device.location is None:
        return
    if not device.location:
        yield Mistake(
            *data.place("location"), f"`devices.{name}.location`: an empty list", "leave it out for the agent's"
        )
    for index, segment in enumerate(device.location):
        try:
            check_segment(segment)
        except ValueError as error:
            reason, _, hint = str(error).partition("; ")
            yield Mistake(*find(data, ("location", index)).place, f"`devices.{name}.location`: {reason}", hint)


def overloaded_buses(devices: Mapping[str, DeviceConfig], raw: Mapping[str, Map]) -> Iterator[Mistake]:
    """No bus may be asked for more time than there is."""
    for bus in buses(devices):
        if bus.share > FULL:
            place = raw[next(iter(bus.loads))].place("url")
            hint = "choose longer intervals, fewer tags or a higher baud rate, or put some devices on another bus"
            yield Mistake(*place, str(bus), hint)


def former_names(
    data_dir: Path, publishers: Mapping[str, PublisherConfig], raw: Mapping[str, Map]
) -> Iterator[Mistake]:
    """The outbox of a former name can go to one publisher only, and only to one that has none yet."""
    heirs: dict[str, str] = {}
    for name, publisher in publishers.items():
        was = publisher.was
        if was is None:
            continue
        key, place = f"`publishers.{name}.was`", raw[name].place("was")
        old, new = outbox_path(data_dir, was), outbox_path(data_dir, name)
        if was in publishers:
            hint = f"remove `publishers.{was}`, or this key: `was` is for a publisher that is gone"
            yield Mistake(*place, f"{key}: {was} is configured still", hint)
        elif heirs.setdefault(was, name) != name:
            yield Mistake(*place, f"{key}: `publishers.{heirs[was]}` takes the outbox of {was} already", "keep one")
        elif os.access(old, os.F_OK) and os.access(new, os.F_OK):
            reason, hint = both(old, new)
            yield Mistake(*place, f"{key}: {reason}", hint)


def misplaced(key: object, place: Place, allowed: Sequence[str]) -> Mistake:
    """A top-level key that does not exist."""
    guess = close(key, allowed)
    return Mistake(*place, f"`{named(key)}` is not a key", f"did you mean `{guess}`?" if guess else list_keys(allowed))
