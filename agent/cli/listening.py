"""What `tail` and `verify` share: which broker, and listening until Ctrl-C or for a while."""

from __future__ import annotations

import asyncio
import signal
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from agent.config.loader import load
from agent.consumer.source import DEFAULT_ROOT, target_of
from agent.consumer.subscriber import Subscriber
from agent.consumer.target import Target
from agent.core.errors import PermanentError, leaves
from agent.publishers.mqtt.config import MqttConfig


class Listener(ABC):
    """Somebody who listens."""

    @property
    @abstractmethod
    def topics(self) -> list[str]:
        """What to subscribe to."""

    @abstractmethod
    def heard(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """One message, at once."""

    @abstractmethod
    def interrupted(self) -> None:
        """Our own connection was away, and the broker kept nothing for us."""


def source_of(url: str | None, root: str | None, config: Path | None) -> tuple[Target, str]:
    """The broker and the first level of its topics: of `url`, else of the first publisher of `config`.

    Raises ConfigError where the configuration has mistakes, PermanentError where neither names a broker.
    """
    if url is not None:
        return Target.of(url), root or DEFAULT_ROOT
    if config is None:
        raise PermanentError("no broker to listen to", "give --url mqtt://host:1883, or -c agent.yaml")
    for publisher in load(config).config.publishers.values():
        if isinstance(publisher, MqttConfig):
            return target_of(publisher), root or publisher.root
    raise PermanentError(f"{config} has no publisher of type mqtt", "give --url mqtt://host:1883")


def listen(target: Target, listener: Listener, seconds: float | None) -> None:
    """Until SIGINT or SIGTERM, or for `seconds`. Raises PermanentError where the broker refuses us or is not there."""
    asyncio.run(_listen(target, listener, seconds))


async def _listen(target: Target, listener: Listener, seconds: float | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    subscriber = Subscriber(target, listener.topics, listener.heard, on_interrupted=listener.interrupted)
    listening = f"listening to {', '.join(listener.topics)} at {target.host}:{target.port}\n"
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
        raise PermanentError(f"the broker at {target.host}:{target.port} was never there: {subscriber.reason}")


async def _say(standing: asyncio.Event, text: str) -> None:
    """For people only: standard output is for what was heard."""
    await standing.wait()
    sys.stderr.write(text)
