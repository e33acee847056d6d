"""What a valid configuration amounts to, and what is odd about it. For people; pure but for the look at file modes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel

from agent.config import memory, routed
from agent.config.buses import NEARLY_FULL, buses
from agent.config.model import Config
from agent.config.registry import shadowed
from agent.settings.devices import DeviceConfig
from agent.settings.values import is_loopback

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SECRET_FILES = ("password_file", "token_file", "key_file", "private_key")


def warnings(config: Config) -> list[str]:
    """What is allowed, but probably not meant."""
    return [
        *shadowed(),
        *_empty(config),
        *_secrets(config),
        *_open_http(config),
        *_odd_devices(config),
        *_read_twice(config),
        *_odd_hosts(config),
        *_odd_data_dir(config.agent.data_dir),
        *_uncarried(config),
        *_busy_buses(config),
        *routed.warnings(config),
        *memory.warnings(config),
    ]


def tags_of(device: DeviceConfig) -> tuple[int, int]:
    """Tags of a device that are read, and all of them."""
    table = device.tag_table.values()
    return (sum(tag.enabled for tag in table) if device.enabled else 0), len(table)


def _empty(config: Config) -> Iterator[str]:
    if not config.publishers:
        yield "publishers: there are none; nothing is sent"
    if not config.devices:
        yield "devices: there are none; nothing is read"
    for name, device in config.devices.items():
        if not device.tag_table and not device.finds_tags:
            yield f"devices.{name}: has no tags"


def _secrets(config: Config) -> Iterator[str]:
    parts: list[tuple[str, BaseModel | None]] = [("http", config.http)]
    parts += [(f"publishers.{name}", publisher) for name, publisher in config.publishers.items()]
    parts += [(f"devices.{name}", device) for name, device in config.devices.items()]
    for section, part in parts:
        for key, file in _secret_files(part, section):
            about = _look(file)
            if about is not None and about.st_mode & stat.S_IRWXO:
                yield f"{key}: {file} may be read by every user of this machine; chmod o= it"


def _look(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except (OSError, ValueError):
        return None  # not there, or in a folder that this user may not enter: who needs it says so


def _secret_files(part: BaseModel | None, section: str) -> Iterator[tuple[str, Path]]:
    for name in type(part).model_fields if part is not None else ():
        value = getattr(part, name)
        if isinstance(value, Path) and name in _SECRET_FILES:
            yield f"{section}.{name}", value
        elif isinstance(value, BaseModel):
            yield from _secret_files(value, f"{section}.{name}")


def _open_http(config: Config) -> Iterator[str]:
    http = config.http
    if http is not None and http.auth is None and not is_loopback(http.host):
        yield "http: without `auth:` only /healthz and /readyz answer from beyond this machine"
    elif http is not None and http.tls is None and not is_loopback(http.host):
        yield "http: the token of `auth:` crosses the network in clear; give `tls: {cert_file: …, key_file: …}`"


def _odd_devices(config: Config) -> Iterator[str]:
    for name, device in config.devices.items():
        yield from (f"devices.{name}.{words}" for words in device.oddities())


def _read_twice(config: Config) -> Iterator[str]:
    first: dict[str, str] = {}
    for name, device in config.devices.items():
        who = device.answers() if device.enabled else None
        if who is not None and first.setdefault(who, name) != name:
            yield f"devices.{name}: reads {who}, as devices.{first[who]} does; put their tags under one of them"


def _odd_hosts(config: Config) -> Iterator[str]:
    for section, parts in (("publishers", config.publishers), ("devices", config.devices)):
        for name, part in parts.items():
            host = urlsplit(str(getattr(part, "url", None) or "")).hostname or ""
            if re.fullmatch(r"[0-9]+(\.[0-9]+)+", host) and not _is_ipv4(host):
                yield f"{section}.{name}.url: {host} is no IPv4 address: four numbers from 0 to 255"
            elif re.search(r"[${}]", host):
                yield f"{section}.{name}.url: {host} is no host; only ${{NAME}} takes an environment variable"


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _odd_data_dir(data_dir: Path) -> Iterator[str]:
    if re.match(r"[A-Za-z]:[\\/]", data_dir.name) or re.fullmatch(r"[A-Za-z]:", data_dir.parent.name):
        yield f"agent.data_dir: {data_dir.name} is a path of Windows; write one of Linux, /var/lib/edge-agent"
        return
    try:
        there = _nearest(data_dir)
    except OSError:
        return  # in a folder that this user may not enter, as systemd keeps it: the agent may
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield f"agent.data_dir: {data_dir} cannot be made or written by this user; chown it, or name another folder"


def _nearest(folder: Path) -> Path:
    """The folder, or of those above it the first that is there."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return folder if folder == folder.parent else _nearest(folder.parent)
    return folder


def _uncarried(config: Config) -> Iterator[str]:
    globs = [glob for publisher in config.publishers.values() for glob in publisher.devices]
    for name in config.devices:
        if globs and not any(fnmatchcase(name, glob) for glob in globs):
            yield f"devices.{name}: no publisher carries it"


def _busy_buses(config: Config) -> Iterator[str]:
    for bus in buses(config.devices):
        if bus.share > NEARLY_FULL:
            yield f"{bus}; one slow answer and cycles are skipped"


def writable_by_others(files: Iterable[Path], data_dir: Path) -> Iterator[str]:
    """Anybody who can write to these files controls the agent, or what it reports."""
    for path, what in [*((file, "configuration") for file in files), (data_dir, "data_dir")]:
        about = _look(path)
        mode = 0 if about is None else about.st_mode & (stat.S_IWOTH if about.st_gid == about.st_uid else _OTHERS_WRITE)
        if mode:  # a group with the number of the owner is his own
            who = "every user" if mode & stat.S_IWOTH else "its group"
            yield f"{path}: this {what} may be written by {who} of this machine; chmod go-w it"
