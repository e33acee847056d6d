"""The commands for who makes a configuration: to look at devices, to try, to take over what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from agent.cli.options import DEFAULT, Config, Json, Seconds, app


@app.command("demo")
def _demo(seconds: Seconds = None) -> None:
    """Broker, simulated plant, agent, a live view and an audit."""
    from agent.cli.demo import demo

    raise typer.Exit(demo(seconds))


@app.command("check")
def _check(
    config: Config = DEFAULT,
    live: Annotated[bool, typer.Option("--live", help="Also connect and read every tag once.")] = False,
    device: Annotated[str, typer.Option(metavar="GLOB", help="Only these devices.")] = "*",
    all_tags: Annotated[bool, typer.Option("--all", help="With --live: every tag, not the first 50.")] = False,
    as_json: Json = False,
) -> None:
    """Validate a configuration. Exit 0, or 2 for mistakes (with --live also where a tag is bad)."""
    from agent.cli.check import CheckOptions, check

    raise typer.Exit(check(config, CheckOptions(live, device, all_tags, as_json)))


@app.command("read")
def _read(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    names: Annotated[list[str], typer.Argument(metavar="DEVICE [TAG...]", help="With --url: addresses or node ids.")],
    config: Config = DEFAULT,
    url: Annotated[str | None, typer.Option(help="Without -c: tcp://HOST, opc.tcp://HOST:4840, ...")] = None,
    unit: Annotated[int, typer.Option(help="Modbus unit id, with --url.")] = 1,
    kind: Annotated[str | None, typer.Option("--type", help="Data type, with --url: float32, int16, ...")] = None,
    byte_order: Annotated[str | None, typer.Option(help="ABCD, CDAB, BADC or DCBA, with --url.")] = None,
    length: Annotated[int | None, typer.Option(help="Characters of a string, with --url.")] = None,
    watch: Annotated[str | None, typer.Option(metavar="1s", help="Again and again, until Ctrl-C.")] = None,
    orders: Annotated[bool, typer.Option("--orders", help="The registers in every type and byte order.")] = False,
    expect: Annotated[float | None, typer.Option(help="With --orders: about what the value should be.")] = None,
    as_json: Json = False,
) -> None:
    """Read the present value of tags or addresses. Exit 0, 1 if a tag is bad, 2 for a mistake."""
    from agent.cli.read import Wish, read

    wish = Wish(names, url, unit, kind, byte_order, length, watch, orders, expect, as_json)
    raise typer.Exit(read(config, wish))


@app.command("plan")
def _plan(
    device: Annotated[str | None, typer.Argument(metavar="[DEVICE]", help="Its requests one by one.")] = None,
    config: Config = DEFAULT,
    round_trip: Annotated[str, typer.Option(metavar="20ms", help="From a request to its answer.")] = "20ms",
    as_json: Json = False,
) -> None:
    """Calculate requests, time, bytes and disk of a configuration. Exit 0, 1 an interval cannot be met, 2 mistakes."""
    from agent.cli.plan import plan

    raise typer.Exit(plan(config, device, round_trip, json=as_json))


@app.command("scan")
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
    """Find the units behind a Modbus address, and what can be read of each. Exit 0, 1 nothing, 2 mistakes."""
    from agent.cli.scan import ScanOptions, scan

    raise typer.Exit(scan(ScanOptions(url, units, span, tuple(area or ()), rate, timeout, output)))


@app.command("browse")
def _browse(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    target: Annotated[str, typer.Argument(metavar="URL|DEVICE", help="opc.tcp://HOST:4840, or a device of -c.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="The configuration. Default: agent.yaml.")
    ] = None,
    root: Annotated[str, typer.Option(metavar="NODE", help="Node to begin at; default: Objects.")] = "i=85",
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
    """List the variables of an OPC UA server as tags. Exit 0, 1 nothing, refused or lost half way, 2 mistakes."""
    from agent.cli.browse import BrowseWish, browse

    access = {
        "policy": policy, "mode": mode, "server_certificate": server_certificate, "username": username,
        "password_file": password_file,
    }  # fmt: skip
    look = BrowseWish(
        target, root, path or (), exclude, kind or (), depth, max_nodes, rate, timeout, access, form, output
    )
    raise typer.Exit(browse(config, look))


@app.command("convert")
def _convert(
    file: Annotated[Path, typer.Argument(help="Project or configuration of another product.")],
    kind: Annotated[
        Literal["kepware", "telegraf", "thingsboard", "neuron"] | None,
        typer.Option("--from", help="Its format; default: recognised."),
    ] = None,
) -> None:
    """Convert another product's configuration to one of edge-agent (YAML). Exit 0 all of it, 1 partly, 2 nothing."""
    from agent.cli.convert import convert_file

    raise typer.Exit(convert_file(file, kind))


@app.command("schema")
def _schema(what: Annotated[Literal["config", "readings", "historian"], typer.Argument(help="Which.")]) -> None:
    """JSON Schema of the configuration, of the readings, or of a historian's configuration."""
    from agent.cli.schema import schema

    raise typer.Exit(schema(what))


@app.command("simulate")
def _simulate(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Description of devices, or a recording of one.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Stand-ins for all devices of this.")
    ] = None,
    broker: Annotated[bool, typer.Option("--broker", help="Also a broker, on loopback.")] = False,
) -> None:
    """Simulate devices on this machine; with -c also print the configuration that reads them.

    Exit 0, 1 a port is in use, 2 mistakes.
    """
    from agent.cli.simulate import simulate

    raise typer.Exit(simulate(file, config, broker=broker))


@app.command("record")
def _record(
    device: Annotated[str, typer.Argument(help="A Modbus device of the configuration.")],
    output: Annotated[Path, typer.Option("-o", metavar="FILE", help="Where to; `simulate FILE` replays it.")],
    config: Config = DEFAULT,
    seconds: Seconds = None,
) -> None:
    """Record a Modbus device's traffic to a file. Exit 0, 1 nothing recorded, 2 mistakes."""
    from agent.cli.record import record

    raise typer.Exit(record(config, device, output, seconds))
