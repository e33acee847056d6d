"""Floor 6: the commands. Each is one file, imported when it is called: `edge-agent --help` imports none of them.

Every command returns its exit code: 0 clean, 2 configuration, 1 anything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from agent import __version__

_app = typer.Typer(
    name="edge-agent",
    help="Collects from OPC UA servers and Modbus devices, keeps readings on disk until the broker has them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they would show local variables, passwords among them
    rich_markup_mode=None,
)

_Config = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration.")]
_Seconds = Annotated[float | None, typer.Option(min=0, help="End after this long; default: Ctrl-C.")]
_Topics = Annotated[
    list[str] | None, typer.Option("--topic", metavar="FILTER", help="Beside ROOT/#, with --url: umh/v1/#. Repeatable.")
]
_Publisher = Annotated[str | None, typer.Option("--publisher", help="Which one of -c. Default: the first.")]
_Url = Annotated[str | None, typer.Option(help="Broker, mqtt://HOST:PORT.")]
_Root = Annotated[str | None, typer.Option(help="First level of the agent's topics; default: edge.")]
_Of = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Take broker and root from here.")]
_DEFAULT = Path("agent.yaml")
_Agent = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Instead of -c: the agent that keeps its data there.")
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]


def main() -> None:
    """Run the command that was asked for; leaves with the exit code."""
    _app(prog_name="edge-agent")


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-agent {__version__}")
        raise typer.Exit


@_app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@_app.command("run")
def _run(config: _Config = _DEFAULT) -> None:
    """Run the agent."""
    from agent.cli.run import run

    raise typer.Exit(run(config))


@_app.command("historian")
def _historian(config: _Config = Path("historian.yaml")) -> None:
    """From brokers into a database, exactly once; asks the agents for what is missing."""
    from agent.cli.historian import historian

    raise typer.Exit(historian(config))


@_app.command("report")
def _report(
    config: _Config = Path("historian.yaml"),
    day: Annotated[str | None, typer.Option(metavar="2026-11-28", help="Default: yesterday, at the plant.")] = None,
    lang: Annotated[Literal["en", "zh"], typer.Option(help="Language of the file.")] = "en",
    output: Annotated[
        Path | None, typer.Option("-o", metavar="FILE", help=".html, .csv, .json; else a summary.")
    ] = None,
    verify: Annotated[Path | None, typer.Option(metavar="FILE", help="Make this file anew, and compare.")] = None,
) -> None:
    """What the historian stored of a day. Exit 0, 1 no database, or --verify finds a difference, 2 mistakes."""
    from agent.cli.report import Wanted, report

    raise typer.Exit(report(config, Wanted(day, lang, output, verify)))


@_app.command("status")
def _status(config: _Config = _DEFAULT, data_dir: _Agent = None, as_json: _Json = False) -> None:
    """What is wrong right now, and what to do. Exit 0 all well, 1 something is wrong, 3 no agent runs."""
    from agent.cli.status import status

    raise typer.Exit(status(config, data_dir, as_json=as_json))


@_app.command("demo")
def _demo(seconds: _Seconds = None) -> None:
    """Broker, simulated plant, agent, a live view and an audit."""
    from agent.cli.demo import demo

    raise typer.Exit(demo(seconds))


@_app.command("check")
def _check(
    config: _Config = _DEFAULT,
    live: Annotated[bool, typer.Option("--live", help="Also connect and read every tag once.")] = False,
    device: Annotated[str, typer.Option(metavar="GLOB", help="Only these devices.")] = "*",
    all_tags: Annotated[bool, typer.Option("--all", help="With --live: every tag, not the first 50.")] = False,
    as_json: _Json = False,
) -> None:
    """Validate a configuration. Exit 0, or 2."""
    from agent.cli.check import Asked, check

    raise typer.Exit(check(config, Asked(live, device, all_tags, as_json)))


@_app.command("read")
def _read(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    names: Annotated[list[str], typer.Argument(metavar="DEVICE [TAG...]", help="With --url: addresses or node ids.")],
    config: _Config = _DEFAULT,
    url: Annotated[str | None, typer.Option(help="Without -c: tcp://HOST, opc.tcp://HOST:4840, ...")] = None,
    unit: Annotated[int, typer.Option(help="Modbus unit id, with --url.")] = 1,
    kind: Annotated[str | None, typer.Option("--type", help="Data type, with --url: float32, int16, ...")] = None,
    byte_order: Annotated[str | None, typer.Option(help="ABCD, CDAB, BADC or DCBA, with --url.")] = None,
    length: Annotated[int | None, typer.Option(help="Characters of a string, with --url.")] = None,
    watch: Annotated[str | None, typer.Option(metavar="1s", help="Again and again, until Ctrl-C.")] = None,
    orders: Annotated[bool, typer.Option("--orders", help="The registers in every type and byte order.")] = False,
    expect: Annotated[float | None, typer.Option(help="With --orders: about what the value should be.")] = None,
    as_json: _Json = False,
) -> None:
    """What a tag, or an address, says now. Exit 0, 1 if a tag is bad, 2 for a mistake."""
    from agent.cli.read import Wish, read

    wish = Wish(names, url, unit, kind, byte_order, length, watch, orders, expect, as_json)
    raise typer.Exit(read(config, wish))


@_app.command("plan")
def _plan(
    device: Annotated[str | None, typer.Argument(metavar="[DEVICE]", help="Its requests one by one.")] = None,
    config: _Config = _DEFAULT,
    round_trip: Annotated[str, typer.Option(metavar="20ms", help="From a request to its answer.")] = "20ms",
    as_json: _Json = False,
) -> None:
    """Requests, time, bytes and disk of a configuration. Exit 0, 1 if an interval cannot be met, 2 for mistakes."""
    from agent.cli.plan import plan

    raise typer.Exit(plan(config, device, round_trip, json=as_json))


@_app.command("scan")
def _scan(
    url: Annotated[str, typer.Argument(help="tcp://HOST, rtu+tcp://HOST:PORT, serial:///dev/…?baudrate=9600")],
    units: Annotated[str, typer.Option(help="Unit ids: 1-247, or 1,3,10-20.")] = "1-247",
    span: Annotated[str, typer.Option("--range", help="Offsets of each area.")] = "0-9999",
    area: Annotated[
        list[str] | None, typer.Option(help="holding, input, coil or discrete; default: all. Repeatable.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Requests a second at most.")] = None,
    timeout: Annotated[str, typer.Option(metavar="300ms", help="How long a unit may take to answer.")] = "300ms",
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write, or merge, into this file.")] = None,
) -> None:
    """What answers behind a Modbus address: units, and what can be read of each. Exit 0, 1 nothing, 2 mistakes."""
    from agent.cli.scan import Search, scan

    raise typer.Exit(scan(Search(url, units, span, tuple(area or ()), rate, timeout, output)))


@_app.command("browse")
def _browse(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    target: Annotated[str, typer.Argument(metavar="URL|DEVICE", help="opc.tcp://HOST:4840, or a device of -c.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="The configuration. Default: agent.yaml.")
    ] = None,
    root: Annotated[str, typer.Option(metavar="NODE", help="Where it begins; default: Objects.")] = "i=85",
    path: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Only names that fit: 'Machine/*'.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Default: 'Server/*', 'Aliases/*'.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", metavar="GLOB", help="Only these types: 'float*'.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=32, help="Levels below the root.")] = 32,
    max_nodes: Annotated[int, typer.Option(min=1, max=100_000, help="Variables at most.")] = 10_000,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Requests a second at most.")] = None,
    timeout: Annotated[str | None, typer.Option(metavar="5s", help="How long one answer may take.")] = None,
    policy: Annotated[str | None, typer.Option(help="With a URL: Basic256Sha256, ...; never less than that.")] = None,
    mode: Annotated[str | None, typer.Option(help="Sign or SignAndEncrypt.")] = None,
    server_certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="Pinned; default: the trust list of the agent (-c).")
    ] = None,
    username: Annotated[str | None, typer.Option(help="With --password-file.")] = None,
    password_file: Annotated[str | None, typer.Option(metavar="FILE", help="Its password.")] = None,
    form: Annotated[Literal["yaml", "csv"] | None, typer.Option("--format", help="Default: by -o, else yaml.")] = None,
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write, or merge, into this file.")] = None,
) -> None:
    """What is in an OPC UA server, as tags. Exit 0, 1 nothing, refused or lost half way, 2 mistakes."""
    from agent.cli.browse import BrowseWish, browse

    access = {
        "policy": policy, "mode": mode, "server_certificate": server_certificate, "username": username,
        "password_file": password_file,
    }  # fmt: skip
    excluded = ("Server/*", "Aliases/*") if exclude is None else exclude
    look = BrowseWish(
        target, root, path or (), excluded, kind or (), depth, max_nodes, rate, timeout, access, form, output
    )
    raise typer.Exit(browse(config, look))


@_app.command("convert")
def _convert(
    file: Annotated[Path, typer.Argument(help="Project or configuration of another product.")],
    kind: Annotated[
        Literal["kepware", "telegraf", "thingsboard", "neuron"] | None,
        typer.Option("--from", help="Its format; default: recognised."),
    ] = None,
) -> None:
    """Another product's configuration as one of edge-agent, YAML. Exit 0 all of it, 1 partly, 2 nothing."""
    from agent.cli.convert import convert_file

    raise typer.Exit(convert_file(file, kind))


@_app.command("schema")
def _schema(what: Annotated[Literal["config", "readings", "historian"], typer.Argument(help="Which.")]) -> None:
    """JSON Schema of the configuration, of the readings, or of a historian's configuration."""
    from agent.cli.schema import schema

    raise typer.Exit(schema(what))


@_app.command("simulate")
def _simulate(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Description of devices, or a recording of one.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Stand-ins for all devices of this.")
    ] = None,
    broker: Annotated[bool, typer.Option("--broker", help="Also a broker, on loopback.")] = False,
) -> None:
    """Simulated devices on loopback; with -c the configuration to run against them is printed."""
    from agent.cli.simulate import simulate

    raise typer.Exit(simulate(file, config, broker=broker))


@_app.command("record")
def _record(
    device: Annotated[str, typer.Argument(help="A Modbus device of the configuration.")],
    output: Annotated[Path, typer.Option("-o", metavar="FILE", help="Where to; `simulate FILE` replays it.")],
    config: _Config = _DEFAULT,
    seconds: _Seconds = None,
) -> None:
    """A Modbus device's traffic, to a file. Exit 0, 1 nothing recorded, 2 mistakes."""
    from agent.cli.record import record

    raise typer.Exit(record(config, device, output, seconds))


@_app.command("logs")
def _logs(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="Log of an agent; - is standard input.")] = "-",
    device: Annotated[str | None, typer.Option(help="Only lines about these devices, a glob.")] = None,
    level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="Of at least this level.")
    ] = "debug",
    since: Annotated[str | None, typer.Option(help="Only since: 10m, or an instant.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Also what comes later.")] = False,
) -> None:
    """The log for people, with what to do under warnings and errors."""
    from agent.cli.logs import logs

    raise typer.Exit(logs(file, device, level, since, follow=follow))


@_app.command("tail")
def _tail(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    url: _Url = None,
    root: _Root = None,
    config: _Of = None,
    seconds: _Seconds = None,
    topic: _Topics = None,
    publisher: _Publisher = None,
    device: Annotated[str | None, typer.Option(help="Only these devices, a glob.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only these tags, a glob.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End with the first readings that fit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Readings as they pass on a broker."""
    from agent.cli.tail import tail

    code = tail(
        url, root, config, seconds, json=as_json, publisher=publisher, topics=topic or (), device=device, tag=tag,
        once=once,
    )  # fmt: skip
    raise typer.Exit(code)


@_app.command("verify")
def _verify(
    url: _Url = None,
    root: _Root = None,
    config: _Of = None,
    seconds: _Seconds = None,
    state: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the books here between runs.")] = None,
    topic: _Topics = None,
    publisher: _Publisher = None,
    sparkplug: Annotated[bool, typer.Option("--sparkplug", help="Sparkplug B: name every violated statement.")] = False,
) -> None:
    """Audit a broker from the consumer's side. Exit 0, 1 if something is missing, 3 if nothing was heard.

    missing: below `low`, neither received nor declared lost. pending: may still come. declared: the agent has named
    it as lost, with numbers and reason. duplicate: heard again, which a consumer leaves out. undeclared gap: a hole.
    """
    from agent.cli.verify import verify

    if sparkplug:
        from agent.cli.conformance import conformance

        raise typer.Exit(conformance(url, config, seconds))

    raise typer.Exit(verify(url, root, config, seconds, state, publisher=publisher, topics=topic or ()))


@_app.command("trust")
def _trust(
    what: Annotated[str | None, typer.Argument(metavar="[DEVICE|THUMBPRINT]", help="Default: list them.")] = None,
    config: _Config = _DEFAULT,
    remove: Annotated[bool, typer.Option("--remove", help="Trust it no longer.")] = False,
) -> None:
    """Certificates of OPC UA servers: list them, trust one."""
    from agent.cli.trust import trust

    raise typer.Exit(trust(config, what, remove=remove))


@_app.command("support-bundle")
def _support_bundle(
    config: _Config = _DEFAULT,
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Where to; default: named by time.")] = None,
    data_dir: _Agent = None,
) -> None:
    """One archive without secrets: configuration, last events, status, metrics, versions. Also without an agent."""
    from agent.cli.support_bundle import support_bundle

    raise typer.Exit(support_bundle(config, data_dir, output))


@_app.command("outbox")
def _outbox(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    verb: Annotated[
        Literal["list", "quarantined", "requeue", "discard", "resend"], typer.Argument(help="What to do.")
    ] = "list",
    ids: Annotated[list[int] | None, typer.Argument(help="Quarantined records (requeue, discard).")] = None,
    config: _Config = _DEFAULT,
    publisher: Annotated[str | None, typer.Option(help="Only this publisher's outbox.")] = None,
    device: Annotated[str | None, typer.Option(help="Only records of these devices, a glob.")] = None,
    epoch: Annotated[str | None, typer.Option(help="Only records of this epoch …")] = None,
    first: Annotated[int | None, typer.Option("--from", min=1, help="… from this number on …")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="… up to this one.")] = None,
    since: Annotated[str | None, typer.Option(help="Only records committed since: 10m, or an instant.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: _Json = False,
    data_dir: _Agent = None,
) -> None:
    """What waits and what is quarantined; send again, give up. Also while the agent runs."""
    from agent.cli.outbox import Order, outbox

    order = Order(verb, publisher, ids or (), device, epoch, first, last, since, everything, as_json)
    raise typer.Exit(outbox(config, order, data_dir))


@_app.command("diff")
def _diff(config: _Config = _DEFAULT, data_dir: _Agent = None, as_json: _Json = False) -> None:
    """What the files now say against what runs. Exit 0 nothing differs, 1 something does, 2 mistakes, 3 no agent."""
    from agent.cli.diff import diff

    raise typer.Exit(diff(config, data_dir, as_json=as_json))


@_app.command("reload")
def _reload(
    config: _Config = _DEFAULT,
    data_dir: _Agent = None,
    wait: Annotated[str | None, typer.Option(metavar="30s", help="Until the changed parts are back.")] = None,
    as_json: _Json = False,
) -> None:
    """Have the agent apply its files. Exit 0 applied (and back), 1 a part is not back, 2 refused, 3 no agent runs."""
    from agent.cli.reload import reload

    raise typer.Exit(reload(config, data_dir, wait=wait, as_json=as_json))
