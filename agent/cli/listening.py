"""What `tail` and `verify` share: which broker, listening until Ctrl-C or for a while, and how they end."""

from __future__ import annotations

import asyncio
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import NamedTuple, ParamSpec

from agent.cli.mistakes import refusable
from agent.config.loader import load
from agent.consumer.marks import UserProperties
from agent.consumer.source import DEFAULT_ROOT, said_on, uncovered
from agent.consumer.subscriber import Subscriber
from agent.consumer.target import access_of
from agent.core.errors import ConfigError, PermanentError, leaves
from agent.core.text import harmless
from agent.publishers.mqtt.access import Access
from agent.publishers.mqtt.config import MqttConfig

P = ParamSpec("P")


def with_exit_code(command: Callable[P, int]) -> Callable[P, int]:
    """What `command` raises is printed on standard error: 2 for what the user got wrong, 1 for what cannot be."""

    @refusable
    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return command(*args, **kwargs)
        except PermanentError as error:
            sys.stderr.write(f"{harmless(str(error))}\n")
            return 1

    return run


class Listener(ABC):
    """Somebody who listens."""

    @property
    @abstractmethod
    def topics(self) -> list[str]:
        """What to subscribe to."""

    @abstractmethod
    def heard(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """One message, at once."""

    def marked(self, topic: str, payload: bytes, properties: UserProperties, *, retained: bool) -> None:
        """One message that only its user properties name, at once."""
        del properties
        self.heard(topic, payload, retained=retained)

    @abstractmethod
    def interrupted(self) -> None:
        """Our own connection was away, and the broker kept nothing for us."""


class ListenSource(NamedTuple):
    """What to listen to."""

    access: Access
    root: str  #: first level of the topics that are the agent's own
    topics: list[str]  #: filters


def source_of(
    url: str | None, root: str | None, config: Path | None, *, publisher: str | None = None, topics: Sequence[str] = ()
) -> ListenSource:
    """The broker and its topics: of `url`, else of `publisher` (default: the first one) of `config`.

    `topics` are filters beside `ROOT/#`; a configuration knows by itself where its readings go. Raises ConfigError
    where the configuration has mistakes, or nothing names a broker.
    """
    if url is not None:
        top = root or DEFAULT_ROOT
        try:
            return ListenSource(access_of(url), top, uncovered([f"{top}/#", *topics]))
        except PermanentError as error:
            raise ConfigError("--url", None, error.reason, error.hint) from None
    if config is None:
        raise ConfigError(
            "command line", None, "no broker to listen to", "give --url mqtt://host:1883, or -c agent.yaml"
        )
    loaded = load(config).config
    for name, one in loaded.publishers.items():
        if isinstance(one, MqttConfig) and publisher in (None, name):
            top = root or one.root
            return ListenSource(
                one.access(), top, uncovered([f"{top}/#", *said_on(one, name, loaded.agent.id), *topics])
            )
    what = "no publisher of type mqtt" if publisher is None else f"no publisher {publisher!r} of type mqtt"
    raise ConfigError(str(config), None, what, "give --url mqtt://host:1883")


def listen(access: Access, listener: Listener, seconds: float | None, stop: asyncio.Event | None = None) -> None:
    """Until SIGINT or SIGTERM, for `seconds`, or until the listener sets `stop`.

    Raises PermanentError where the broker refuses us or is not there.
    """
    asyncio.run(_listen(access, listener, seconds, stop or asyncio.Event()))


async def _listen(access: Access, listener: Listener, seconds: float | None, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    subscriber = Subscriber(
        access, listener.topics, listener.heard, on_interrupted=listener.interrupted, on_marked=listener.marked
    )
    where = ", ".join(server.name for server in access.servers)
    listening = f"listening to {', '.join(listener.topics)} at {where}\n"
    ever = False
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(subscriber.run(), name="subscriber")
            standing = group.create_task(_say(subscriber.subscribed, listening), name="subscribed")
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stop.wait()
            ever = standing.done()
            standing.cancel()
            running.cancel()
    except* PermanentError as errors:
        raise next(leaves(errors)) from None
    if not ever:
        raise PermanentError(f"the broker at {where} was never there: {subscriber.reason}")


async def _say(standing: asyncio.Event, text: str) -> None:
    """For people only: standard output is for what was heard."""
    await standing.wait()
    sys.stderr.write(text)
