"""`edge-agent tail`: readings as they pass on a broker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from agent.cli.listening import Listener, ListenSource, listen, source_of, with_exit_code
from agent.cli.words import harmless, harmless_json
from agent.consumer.audit import Audit
from agent.consumer.contract import AgentStatus, AgentStreams, Decoded, DeviceStatus, GapNotice, Reading, Readings
from agent.consumer.marks import Marked, UserProperties


@with_exit_code
def tail(  # noqa: PLR0913 - an argument for each word of the command
    url: str | None, root: str | None, config: Path | None, seconds: float | None, json: bool = False,
    *, publisher: str | None = None, topics: Sequence[str] = (), device: str | None = None, tag: str | None = None,
    once: bool = False,
) -> int:  # fmt: skip
    """Print every reading, status and gap once, until Ctrl-C or for `seconds`. 0, 2 for a bad configuration, else 1.

    `device` and `tag` are globs. With `once` it ends with the first message that has readings asked for, prints nothing
    but these, and the code is 1 where none came within `seconds`.
    Payloads of encoders other than `json` (umh, value, influx, template) are printed as they are, behind their topic.
    """
    source = source_of(url, root, config, publisher=publisher, topics=topics)
    enough = asyncio.Event()
    listener = _Tail(source, json=json, device=device, tag=tag, enough=enough if once else None)
    listen(source.access, listener, seconds, enough)
    return 1 if once and not enough.is_set() else 0


class _Tail(Listener):
    """Prints; the audit behind it only knows which messages are repetitions."""

    def __init__(
        self,
        source: ListenSource,
        *,
        json: bool,
        device: str | None,
        tag: str | None,
        enough: asyncio.Event | None = None,
    ) -> None:
        self._device, self._tag = device, tag
        self._enough = enough  #: set by the first readings asked for; None: there are never enough
        self._audit = Audit(source.root)
        self._topics = source.topics
        self._json = json

    @property
    def topics(self) -> list[str]:
        return self._topics

    def heard(self, topic: str, payload: bytes, *, retained: bool) -> None:
        before = len(self._audit.ledger.findings)
        message = self._audit.feed(topic, payload, retained=retained)
        if message is not None:
            message = self._chosen(message)
        lines = () if message is None else (_as_json if self._json else _as_text)(message)
        self._say(before, lines, readings=isinstance(message, Readings))

    def marked(self, topic: str, payload: bytes, properties: UserProperties, *, retained: bool) -> None:
        """A payload of somebody else's shape."""
        before = len(self._audit.ledger.findings)
        mark = self._audit.feed_marked(topic, payload, properties, retained=retained)
        wanted = mark is not None and self._wants(mark.device)
        lines = (_marked_json if self._json else _marked_text)(mark, payload) if mark and wanted else ()
        self._say(before, lines, readings=bool(mark and wanted))

    def _wants(self, device: str) -> bool:
        return self._device is None or fnmatchcase(device, self._device)

    def _chosen(self, message: Decoded) -> Decoded | None:
        """What of a message was asked for; None where nothing is."""
        if isinstance(message, AgentStatus):
            return message  # that concerns every device
        if isinstance(message, AgentStreams) or not self._wants(message.device):
            return None
        if self._tag is None:
            return message
        if not isinstance(message, Readings):
            return None
        readings = [one for one in message.readings if fnmatchcase(one.tag, self._tag)]
        return msgspec.structs.replace(message, readings=readings) if readings else None

    def _say(self, before: int, lines: Iterable[str], *, readings: bool) -> None:
        if self._enough is not None:
            if not readings or self._enough.is_set():
                return
            self._enough.set()
        for finding in self._audit.ledger.findings[before:]:
            sys.stderr.write(f"{harmless(str(finding))}\n")
        show = harmless_json if self._json else harmless
        sys.stdout.writelines(f"{show(line)}\n" for line in lines)
        sys.stdout.flush()

    def interrupted(self) -> None:
        self._audit.interrupted()
        sys.stderr.write("connected again; what was published meanwhile was not heard\n")


def _marked_text(mark: Marked, payload: bytes) -> Iterator[str]:
    late = " historical" if mark.historical else ""
    for line in payload.decode("utf-8", "replace").split("\n"):
        yield f"{mark.topic} {line}{late}"


def _marked_json(mark: Marked, payload: bytes) -> Iterator[str]:
    names = ("topic", "agent", "device", "epoch", "seq")
    said: dict[str, object] = {name: getattr(mark, name) for name in names} | {
        "index": mark.part[0],
        "of": mark.part[1],
    }
    if mark.historical:
        said["historical"] = True
    yield msgspec.json.encode(said | {"payload": payload.decode("utf-8", "replace")}).decode()


def _as_json(message: Decoded) -> Iterator[str]:
    if isinstance(message, Readings):
        for reading in message.readings:
            fields = {name: value for name, value in msgspec.structs.asdict(reading).items() if value is not None}
            record = {"agent": message.agent, "device": message.device, "epoch": message.epoch, "seq": message.seq}
            if message.historical:
                record["historical"] = True
            yield msgspec.json.encode(record | {"value": None} | fields).decode()
    elif isinstance(message, GapNotice):
        yield msgspec.json.encode({"gap": message}).decode()
    else:
        yield msgspec.json.encode({"status": message}).decode()


def _as_text(message: Decoded) -> Iterator[str]:
    match message:
        case Readings():
            mark = " historical" if message.historical else " snapshot" if message.snapshot else ""
            for reading in message.readings:
                yield f"{_time(reading.ts)} {message.device}/{reading.tag} = {_value(reading)}{mark}"
        case GapNotice():
            numbers = "" if message.from_seq is None else f" seq {message.from_seq}-{message.to_seq}"
            span = f"{_time(message.from_ts)} to {_time(message.to_ts)}"
            yield f"gap {message.kind} {message.device}{numbers}, {span}: {message.reason}"
        case AgentStatus():
            yield f"agent {message.agent} {message.state}"
        case DeviceStatus():
            yield f"device {message.device} {message.state}" + (f": {message.reason}" if message.reason else "")


def _value(reading: Reading) -> str:
    value = msgspec.json.encode(reading.value).decode()
    parts = [value, reading.unit or "", f"({reading.label})" if reading.label else ""]
    if reading.quality != "good":
        parts.append(f"[{reading.quality}{f' {reading.code}' if reading.code else ''}]")
    if reading.why:
        parts.append(f"why={reading.why}")
    return " ".join(part for part in parts if part)


def _time(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
