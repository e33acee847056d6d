"""`edge-agent diff`: what the files say against what runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.cli.running import Running, UnreachableError, document
from agent.cli.words import harmless
from agent.config.report import DeviceReport, KeyReport, PublisherReport, Report
from agent.runtime.reload.reload_protocol import DiffQuestion, ReloadAnswer, ReloadQuestion

#: Reading, validating and (for a reload) applying take the agent less than this, seconds; then it does not answer.
PATIENCE = 20.0
#: So many tags of one device are listed; --json lists all of them.
MOST_TAGS = 20
_EFFECTS = {
    "keeps its connection": "keeps its connection, other tags are not affected",
    "keeps a shared connection": "is set up anew; the connection it shares stays",
    "reconnects": "disconnects and connects anew",
    "in place": "applied in place, its session goes on",
    "new session": "its session ends, another begins",
}


def diff(config: Path, data_dir: Path | None, *, as_json: bool = False, patience: float = PATIENCE) -> int:
    """0: nothing differs; 1: something does, or no answer; 2: mistakes; 3: no agent runs."""
    answer = ask(config, data_dir, "diff", DiffQuestion, as_json=as_json, timeout=patience)
    if isinstance(answer, int):
        return answer
    return 1 if answer.report else 0


def ask(
    config: Path,
    data_dir: Path | None,
    verb: str,
    question: Callable[[str | None], DiffQuestion | ReloadQuestion],
    *,
    as_json: bool,
    timeout: float,
) -> ReloadAnswer | int:
    """The agent's report, which has been shown; the exit code where there is none, and it has been said why.

    `question` is given the file that the agent should be running.
    """
    try:
        running = Running(config, data_dir, as_json=as_json)
        answer = running.ask(verb, question(running.file), ReloadAnswer, timeout=timeout)
    except UnreachableError as error:
        return error.code
    if as_json:
        document(answer)
    refusal(answer.mistakes)
    if answer.report is None:
        return 2
    if not as_json:
        show(answer.report)
    return answer


def show(report: Report) -> None:
    """The report for people, on standard output."""
    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines(report)))


def refusal(mistakes: Sequence[str]) -> None:
    """Why nothing was done, on standard error."""
    if mistakes:
        number = len(mistakes)
        sys.stderr.write("".join(f"{harmless(mistake)}\n" for mistake in mistakes))
        sys.stderr.write(f"{number} mistake{'s' if number > 1 else ''}: the configuration that runs stays in force\n")


def lines(report: Report) -> Iterator[str]:
    """The report, line by line."""
    if not report:
        yield f"no difference: the agent runs what the files say ({report.running})"
        return
    if report.restart:
        yield "needs a restart of the agent; until then nothing of this is applied"
        yield from _changes(report.restart)
    if report.settings:
        yield "settings, applied in place"
        yield from _changes(report.settings)
    yield from _section("device", report.devices.added, report.devices.removed)
    for name, device in report.devices.changed.items():
        yield from _device(name, device)
    yield from _section("publisher", report.publishers.added, report.publishers.removed)
    for name, publisher in report.publishers.changed.items():
        yield from _publisher(name, publisher)
    if report.read_anew:
        yield "read anew at the next connection, healthy ones stay"
        yield from (f"    {one.key}: {one.file}" for one in report.read_anew)


def _section(word: str, added: Sequence[str], removed: Sequence[str]) -> Iterator[str]:
    yield from (f"+ {word} {name}: new" for name in added)
    yield from (f"- {word} {name}: removed" for name in removed)


def _device(name: str, device: DeviceReport) -> Iterator[str]:
    yield f"~ device {name}: {_EFFECTS[device.effect]}"
    yield from _changes(device.changes)
    tags = device.tags
    yield from _most([f"    + tag {tag}" for tag in tags.added])
    yield from _most([f"    - tag {tag}" for tag in tags.removed])
    changed = [
        KeyReport(f"tag {tag}: {one.key}", one.old, one.new) for tag, keys in tags.changed.items() for one in keys
    ]
    yield from _most(list(_changes(changed)))


def _publisher(name: str, publisher: PublisherReport) -> Iterator[str]:
    yield f"~ publisher {name}: {_EFFECTS[publisher.effect]}"
    yield from _changes(publisher.changes)


def _most(found: list[str]) -> Iterator[str]:
    yield from found[:MOST_TAGS]
    if len(found) > MOST_TAGS:
        yield f"    … and {len(found) - MOST_TAGS} more (--json lists all)"


def _changes(changes: Sequence[KeyReport]) -> Iterator[str]:
    for one in changes:
        if one.old == one.new:
            yield f"    {one.key}: {_value(one.new)}, in a part that is not shown"
        else:
            yield f"    {one.key}: {_value(one.old)} → {_value(one.new)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(one)}" for key, one in value.items() if one is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
