"""Some of the tags of a device, by name or glob; or its bare registers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from agent.config.model import Config
from agent.config.shape import close
from agent.config.words import list_keys
from agent.core.errors import ConfigError
from agent.settings.devices import DeviceConfig


def device_of(config: Config, file: str, name: str) -> DeviceConfig:
    """The device of that name. Raises ConfigError where there is none."""
    device = config.devices.get(name)
    if device is None:
        raise ConfigError(file, None, f"there is no device {name!r}", _hint(name, list(config.devices)))
    return device


def with_tags(config: Config, file: str, name: str, globs: Sequence[str]) -> DeviceConfig:
    """The device with only the tags that a glob names; all without globs. Raises ConfigError for what is not there."""
    device = device_of(config, file, name)
    tags = {tag: one for tag, one in device.tags.items() if not globs or any(fnmatchcase(tag, glob) for glob in globs)}
    for glob in globs:
        if not any(fnmatchcase(tag, glob) for tag in tags):
            raise ConfigError(file, None, f"the device {name} has no tag {glob!r}", _hint(glob, list(device.tags)))
    enabled = {tag: one.model_copy(update={"enabled": True}) for tag, one in tags.items()} if globs else tags
    return device.model_copy(update={"tags": enabled, "enabled": True})


def registers_of(device: DeviceConfig) -> DeviceConfig:
    """The registers its tags cover, each as a tag of type uint16 named by its address. Raises ConfigError."""
    places = device.registers()
    if places is None:
        hint = "byte orders are a matter of Modbus registers"
        raise ConfigError("command line", None, f"a device of type {device.type} has no registers", hint)
    if not places.tags:
        raise ConfigError("command line", None, "no register to read", "name a tag, or a range: holding:100..103")
    return places


def _hint(name: str, known: Sequence[str]) -> str:
    guess = close(name, known)
    return f"did you mean {guess}?" if guess else list_keys(known)
