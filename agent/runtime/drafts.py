"""What a configuration is made into, before any of it runs: parts that are built, and nothing that has begun.

Building plans ten thousand tags takes its time and touches nothing that runs, so a reload does it in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Never, TypeVar

from msgspec import structs

from agent.config.diff import DeviceChange, Difference
from agent.config.model import Config
from agent.core.clock import Clock
from agent.core.errors import ConfigError, PermanentError
from agent.core.image import Image
from agent.core.ports import Bus, Encoder, Publisher
from agent.core.sessions import Sessions
from agent.normalize import compile_normalizer
from agent.runtime.catalogue import Version
from agent.runtime.context import RunningContext
from agent.runtime.outlet import Wants
from agent.runtime.south.work import Work
from agent.runtime.supervisor import UnbuiltError
from agent.settings.devices import DeviceConfig
from agent.settings.publishers import PublisherConfig

T = TypeVar("T")
MakeContext = Callable[[dict[str, Bus]], RunningContext]


@dataclass
class Answers:
    """Whether a route sends records once more when a consumer asks for them. That may change while it runs."""

    on: bool

    def __call__(self) -> bool:
        return self.on


class Unbuilt:
    """Stands for a part that could not be built: who opens it meets the reason, so that it costs this part only."""

    def __init__(self, reason: BaseException) -> None:
        self.reason = reason

    def begin(self, *_: object) -> Never:
        """Raises the reason."""
        raise UnbuiltError(self.reason)

    open = begin


def _built(build: Callable[[], T]) -> T | Unbuilt:
    """Libraries that are missing and bugs of plugins show here."""
    try:
        return build()
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - told by whoever opens it, or refuses it
        return Unbuilt(error)


@dataclass(frozen=True)
class DeviceDraft:
    """One device, ready to begin."""

    name: str
    config: DeviceConfig
    location: list[str]
    context: RunningContext
    work: Work
    version: Version


@dataclass(frozen=True)
class RouteDraft:
    """One publisher, ready to begin; its outbox is opened when it does."""

    name: str
    config: PublisherConfig
    context: RunningContext
    wants: Wants
    answers: Answers
    encoder: Encoder
    publisher: Publisher


@dataclass(frozen=True)
class Draft:
    """All that is new in a configuration, built."""

    config: Config
    difference: Difference
    devices: Mapping[str, DeviceDraft] = field(default_factory=dict)
    routes: Mapping[str, RouteDraft] = field(default_factory=dict)

    @property
    def unbuilt(self) -> dict[str, BaseException]:
        """Components that could not be built, and why."""
        built: list[tuple[str, object]] = [(f"device {one.name}", one.work.collector) for one in self.devices.values()]
        for one in self.routes.values():
            built += [(f"publisher {one.name}", one.publisher), (f"publisher {one.name}", one.encoder)]
        return {name: part.reason for name, part in built if isinstance(part, Unbuilt)}


def draft_route(
    name: str, config: PublisherConfig, context: RunningContext, *, sessions: Sessions, clock: Clock
) -> RouteDraft:
    """Raises PermanentError where it cannot work."""
    if config.encoder is None:
        reason = f"publisher {name} has no encoder"
        raise PermanentError(reason, "write `encoder: {type: json}`")
    wants, answers = Wants(tuple(config.devices)), Answers(config.resends)
    route = config.route(name, context.agent)
    info = structs.replace(route, wants=wants, resend=answers, sessions=sessions, clock=clock)
    encoder, publisher = _built(partial(config.encoder.build, info)), _built(partial(config.build, name, context))
    return RouteDraft(name, config, context, wants, answers, encoder, publisher)


def draft_device(
    name: str,
    config: DeviceConfig,
    location: list[str],
    version: Version,
    context: RunningContext,
    *,
    image: Image,
    clock: Clock,
    change: DeviceChange | None = None,
) -> DeviceDraft:
    """`change`: what distinguishes it from the device of this name that is read now."""
    table = config.tag_table
    if not config.enabled:
        table = {tag: one.model_copy(update={"enabled": False}) for tag, one in table.items()}
    tags = list(table.values())
    disabled = tuple(position for position, tag in enumerate(tags) if not tag.enabled)
    same = unchanged(change)
    names = list(table)

    def value_type(position: int, raw: str) -> str:
        if position < len(tags):
            return tags[position].value_type(raw)
        return config.found_tag(image.devices[name].tags[position].tag).value_type(raw)

    work = Work(
        collector=_built(partial(config.build, name, context)),
        normalizer=compile_normalizer(
            name, table, cat=lambda: image.devices[name].cat, clock=clock, found=config.found_tag
        ),
        disabled_tags=disabled,
        disabled_now=tuple(position for position in disabled if not same(names[position])),
        finds_tags=config.enabled and config.finds_tags,
        intervals=tuple(config.scan_intervals) if config.enabled else (),
        value_type=value_type,
        found_info=config.found_info,
    )
    return DeviceDraft(name, config, location, context, work, version)


def unchanged(change: DeviceChange | None) -> Callable[[str], bool]:
    """Whether a tag of the new configuration is what it was in the old one."""
    if change is None:
        return lambda _tag: False
    changed = {*change.tags_added, *change.tags_changed}
    return lambda tag: tag not in changed
