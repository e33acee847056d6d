"""`edge-agent browse`: what is in an OPC UA server, as tags of a configuration."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar

from agent.cli.context import context_of
from agent.cli.mistakes import on_command_line, refusable
from agent.cli.words import counted, harmless
from agent.collectors.opcua.address.nodeid import NodeAddress, parse_node_id
from agent.collectors.opcua.config import OpcUaConfig
from agent.collectors.opcua.connect.ways import ways_to
from agent.collectors.opcua.plan import FoundKeys, Selection, TagPoint
from agent.collectors.opcua.survey import Survey, reached
from agent.collectors.opcua.tag import OF_THE_SERVER
from agent.collectors.opcua.trust.guard import TrustGuard
from agent.collectors.opcua.trust.security import access_of
from agent.collectors.opcua.wire.limits import WireLimits
from agent.config.loader import load
from agent.core.errors import AgentError, ConfigError
from agent.settings.values import parse_duration
from agent.telemetry.logging import configure
from agent.workbench.adhoc import device_at
from agent.workbench.browse import COLUMNS, FoundTags, csv_of, device_name, tags_of, tree
from agent.workbench.live import driving
from agent.workbench.merged import Addition, add_tags, replace
from agent.workbench.selected import device_of
from agent.workbench.spelled import spelled, unique, yaml_lines


@dataclass(frozen=True)
class BrowseWish:
    """What is looked for, and where the result goes."""

    target: str  #: URL, or a device of the configuration
    root: str = "i=85"
    paths: Sequence[str] = ()
    exclude: Sequence[str] | None = None  #: None: what the server holds about itself
    types: Sequence[str] = ()
    depth: int = 32
    max_nodes: int = 10_000
    rate: float | None = None
    timeout: str | None = None
    access: Mapping[str, str | None] | None = None  #: policy, mode, server_certificate, username, password_file
    format: str | None = None
    output: Path | None = None

    @property
    def csv(self) -> bool:
        """Whether a table is wanted."""
        return self.format == "csv" or (
            self.format is None and self.output is not None and self.output.suffix == ".csv"
        )


class _Target:
    """Who is asked, and as whom."""

    def __init__(self, look: BrowseWish, config: Path, *, given: bool) -> None:
        """Raises ConfigError. `given`: the configuration was named on the command line."""
        self.adhoc = "://" in look.target
        self.agent, self.data_dir = "browse", Path()
        self.tags: Sequence[NodeAddress] = ()
        if not self.adhoc:
            loaded = load(config, secrets=True)
            device = device_of(loaded.whole, str(config), look.target)
            agent = loaded.config.agent
            self.agent, self.data_dir, self.name = agent.id, agent.data_dir, look.target
        else:
            keys = _access(look.access or {})
            device = device_at(look.target, (), {**keys, "timeout": look.timeout or "5s"}, {})
            if "security" in keys or given:
                self.agent, self.data_dir = _of_agent(config, given=given)
            self.keys = {"type": "opcua", "url": look.target, **keys}
            self.name = device_name(look.target)
        if not isinstance(device, OpcUaConfig):
            hint = "edge-agent scan looks around in Modbus devices"
            raise ConfigError(look.target, None, f"a device of type {device.type} has no address space", hint)
        if look.timeout is not None:
            device = device.model_copy(update={"timeout": parse_duration(look.timeout)})
        self.device = device
        self.tags = [tag.address for tag in device.tags.values() if isinstance(tag.address, NodeAddress)]


@refusable
def browse(config: Path | None, look: BrowseWish) -> int:
    """0: looked through; 1: nothing found, refused, or lost half way (what was found is printed); 2: a mistake."""
    configure(level="error", style="console", stream=sys.stderr)
    with on_command_line():
        target = _Target(look, config or Path("agent.yaml"), given=config is not None)
        outside = OF_THE_SERVER if look.exclude is None else look.exclude
        selection = Selection(
            parse_node_id(look.root), tuple(look.paths) or ("*",), tuple(outside), look.max_nodes, _any_keys
        )
    mask = os.umask(0o077)  # certificates, as the agent has them
    survey = Survey()
    failed = False
    try:
        asyncio.run(_look(target, selection, look, survey))
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was found until then:\n")
    except AgentError as error:
        sys.stderr.write(f"{target.device.where()}: {harmless(str(error))}\n")
        failed = True
    finally:
        os.umask(mask)
    return _tell(target, survey, look) or int(failed)


async def _look(target: _Target, selection: Selection, look: BrowseWish, survey: Survey) -> None:
    device = target.device
    context = context_of(target.agent, target.data_dir)
    clock, buses = context.clock, context.buses
    ways = ways_to(device.all_urls, device.reverse, context, announced=device.endpoint_url, allow=device.allow)
    context.begin()
    guard = TrustGuard(target.name, target.agent, access_of(dict(device)), target.data_dir / "pki", clock)
    limits = WireLimits(device.limits.message_bytes, device.limits.array, device.limits.string_bytes)
    session = f"{target.agent}/browse"
    async with driving(buses), reached(next(iter(ways.values())), guard, session, device.timeout, limits) as connection:
        pause = 1.0 / look.rate if look.rate else 0.0
        steps = survey.steps(connection, selection, look.depth, target.name, clock, pause=pause)
        with Bar(console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("", total=None)
            async with aclosing(steps):
                async for step in steps:
                    words = f"{step.found:,} found  {harmless(step.what)[-50:]}"
                    bar.update(task, description=words, completed=step.described, total=step.found or None)


def _any_keys(name: str) -> FoundKeys:
    return FoundKeys(True, None, None, TagPoint(0, name, NodeAddress(0, 0), 0.0, 1))


def _access(given: Mapping[str, str | None]) -> dict[str, Any]:
    security = {key: given[key] for key in ("policy", "mode", "server_certificate") if given.get(key)}
    keys = {key: given[key] for key in ("username", "password_file") if given.get(key)}
    return {**({"security": security} if security else {}), **keys}


def _of_agent(config: Path, *, given: bool) -> tuple[str, Path]:
    """Whose certificate is shown, and whose trust list counts."""
    if not given and not config.exists():
        hint = "name its configuration: -c agent.yaml"
        raise ConfigError("command line", None, "security needs the agent's certificate and its trust list", hint)
    agent = load(config).config.agent
    return agent.id, agent.data_dir


# --- the result -------------------------------------------------------------------------------------------------------


def _tell(target: _Target, survey: Survey, look: BrowseWish) -> int:
    def same(node: str) -> str:
        try:
            return _by_uri(parse_node_id(node.replace("$${", "${")), survey.namespaces.uris).text
        except ValueError:
            return node

    about = survey.about
    if about is not None:
        product = about.product or "a server that does not say what it is"
        _say(f"{target.device.where()}: {product}; it offers {about.offers}; users: {about.users}")
    known = () if target.adhoc else {_by_uri(one, survey.namespaces.uris).text for one in target.tags}
    found = tags_of(survey.found, look.types, known)
    for line in tree(found):
        _say(f"  {line}")
    for line in _remarks(target, survey, found, look):
        _say(line)
    variables = counted(len(survey.found), "variable")
    _say(f"{counted(len(found.tags), 'tag')} of {variables}, {survey.looked:,} nodes looked at")
    if not found.tags:
        return 0 if found.known else 1
    keys = target.keys if target.adhoc else None
    if look.output is None:
        _print(target, keys, found, survey, csv=look.csv)
        return 0
    try:
        if look.csv:
            _into_table(look.output, found, same)
        else:
            added = add_tags(look.output, Addition(target.name, keys, found.tags, found.comments, same))
            count = counted(added.added, "tag")
            _say(f"{look.output}: {count} added to {added.device}, {added.kept:,} stood there already")
    except ConfigError:
        _print(target, keys, found, survey, csv=look.csv)  # what took minutes to find is not thrown away
        raise
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{harmless(line)}\n")


def _by_uri(address: NodeAddress, namespaces: Sequence[str]) -> NodeAddress:
    """The same node, by the URI of its namespace where that has one of its own."""
    index = address.namespace
    if isinstance(index, str) or index >= len(namespaces) or namespaces.count(namespaces[index]) != 1:
        return address
    return NodeAddress(namespaces[index], address.identifier)


def _remarks(target: _Target, survey: Survey, found: FoundTags, look: BrowseWish) -> list[str]:
    undescribed = len(survey.found) - survey.described
    facts = {
        f"left out: {found.unreadable:,} that this user may not read": found.unreadable,
        f"left out: {found.other:,} of another type": found.other,
        f"left out: {found.known:,} that are configured already": found.known,
        f"left out: {found.unwritable:,} whose node ids are no text": found.unwritable,
        f"there are more than --max-nodes {look.max_nodes:,}; raise it, or narrow --path": survey.cut,
        f"there is more below --depth {look.depth}": survey.deep,
        f"{survey.refused:,} nodes may not be looked below": survey.refused,
        f"{undescribed:,} were not asked about: they have no units and types": undescribed,
        f"{found.indexed:,} lie in namespaces without a URI: their ns= is good for today only": found.indexed,
    }
    about = survey.about
    if about is not None and about.secured and not access_of(dict(target.device)).secured:
        facts[f"nothing is encrypted here, and the server could: --policy {about.secured[0]}"] = True
    return [words for words, so in facts.items() if so]


def _print(target: _Target, keys: Mapping[str, Any] | None, found: FoundTags, survey: Survey, *, csv: bool) -> None:
    if csv:
        sys.stdout.write(csv_of(found.tags))
        return
    product = survey.about.product if survey.about is not None else None
    lines = [f"# {harmless(f'{target.device.where()}, {product or chr(45)}')}", "devices:", f"  {target.name}:"]
    lines += [f"    {key}: {spelled(value)}" for key, value in (keys or {}).items()]
    lines += ["    tags:", *yaml_lines(found.tags, found.comments, "      ")]
    sys.stdout.write("\n".join(lines) + "\n")


def _into_table(file: Path, found: FoundTags, same: Any) -> None:
    """A table that is there keeps its rows and its columns."""
    try:
        text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
        rows = list(csv.DictReader(text.splitlines()))
        columns = next(csv.reader(text.splitlines()), None)
        if columns is None:
            replace(file, csv_of(found.tags))
            _say(f"{file}: {counted(len(found.tags), 'tag')}")
            return
        if not {"tag", "node"} <= set(columns):
            hint = f"its first line names the columns: {', '.join(COLUMNS)}"
            raise ConfigError(str(file), 1, "the table has no columns `tag` and `node`", hint)
        names, nodes = {row["tag"] for row in rows}, {same(row["node"]) for row in rows if row.get("node")}
        fresh: dict[str, Mapping[str, Any]] = {}
        for wanted, keys in found.tags.items():
            if same(str(keys["node"])) not in nodes:
                fresh[unique(wanted, {*names, *fresh})] = keys
        replace(file, text + ("" if text.endswith("\n") else "\n") + csv_of(fresh, columns, header=False))
        _say(f"{file}: {counted(len(fresh), 'row')} added, {len(found.tags) - len(fresh)} stood there already")
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(str(file), None, f"cannot be used: {reason}", "name another file") from None
