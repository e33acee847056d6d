"""A collector that is read into a notebook."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.plan import ConnectionPace
from agent.core.flow import Loss, Sample
from agent.testing.context import SimpleContext

BRISK = ConnectionPace(silence=0.5, pulse=0.5, again=0.1, session=30.0, close=1.0)


class Notebook:
    """What a collector has said, by tag name: (value, status, src, ts), oldest first."""

    def __init__(self, names: list[str], samples: AsyncIterator[Sample], context: SimpleContext) -> None:
        self._names = names
        self._samples = samples
        self.context = context
        self.said: dict[str, list[tuple[Any, int, int | None, int]]] = {name: [] for name in names}
        self.reasons: dict[str, str | None] = {}
        self.doubted: dict[str, int] = {}  #: newest source times that were not believed
        self.losses: list[Loss] = []
        self.labels: dict[str, Mapping[int, str]] = {}
        self.types: dict[str, str] = {}
        self.samples: list[Sample] = []

    async def turn(self) -> Sample:
        """The next sample."""
        sample = await anext(self._samples)
        self.samples.append(sample)
        for name in sample.found:
            self._names.append(name)
            self.said[name] = []
        self.losses += sample.losses
        self.labels |= {self._names[position]: texts for position, texts in (sample.labels or {}).items()}
        for position, name in (sample.types or {}).items():
            self.types[self._names[position]] = name
        for answer in sample.answers:
            assert len(answer.tags) == len(answer.values)
            for at, position in enumerate(answer.tags):
                name = self._names[position]
                status = answer.status if isinstance(answer.status, int) else answer.status[at]
                src = None if answer.src is None else answer.src[at]
                reason = answer.reason if isinstance(answer.reason, str) else (answer.reason or {}).get(at)
                self.said[name].append((answer.values[at], status, src, answer.ts))
                self.reasons[name] = reason
                if answer.doubted is not None and (doubt := answer.doubted[at]) is not None:
                    self.doubted[name] = doubt
        return sample

    async def until(self, done: Any) -> None:
        """Read on until `done()`; pytest's timeout is the deadline."""
        while not done():
            await self.turn()

    async def heard(self, *names: str) -> None:
        """Read on until each of these tags (all, if none is named) has said something."""
        await self.until(lambda: all(self.said[name] for name in names or self._names))

    def newest(self, name: str) -> Any:
        return self.said[name][-1][0]

    def status(self, name: str) -> int:
        return self.said[name][-1][1]

    @property
    def note(self) -> dict[str, Any]:
        note = self.context.notes["dev", "opcua"]
        assert isinstance(note, dict)
        return note


def config(url: str | None, tags: dict[str, Any], **more: Any) -> OpcUaConfig:
    """A device; a tag given as text is its node. Without a url it is one that calls."""
    table = {name: {"node": tag} if isinstance(tag, str) else tag for name, tag in tags.items()}
    usual: dict[str, Any] = {"type": "opcua", "url": url, "interval": "50ms", "timeout": "20s", "tags": table}
    return OpcUaConfig.model_validate(usual | more)


@asynccontextmanager
async def collecting(
    url: str, tags: dict[str, Any], *, pace: ConnectionPace = BRISK, **more: Any
) -> AsyncIterator[Notebook]:
    """A collector that is open."""
    made = config(url, tags, **more)
    context = SimpleContext()
    async with made.build("dev", context, pace).open() as samples:
        yield Notebook(list(made.tag_table), samples, context)
