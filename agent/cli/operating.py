"""The commands for who runs agents and historians, and listens to brokers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from agent.cli.options import DEFAULT, Agent, Config, Json, Of, Publisher, Root, Seconds, Topics, Url, app


@app.command("run")
def _run(config: Config = DEFAULT) -> None:
    """Run the agent. Exit 0 stopped, 1 it could not start, 2 mistakes."""
    from agent.cli.run import run

    raise typer.Exit(run(config))


@app.command("historian")
def _historian(
    config: Config = Path("historian.yaml"),
    gone: Annotated[
        str | None, typer.Option(metavar="AGENT", help="AGENT will not come back: stop waiting for its records.")
    ] = None,
) -> None:
    """Store readings of brokers in a database, each once; ask agents for what is missing.

    Exit 0 stopped, 1 it could not start, 2 mistakes; with --gone 0 counted, 1 refused, 3 no historian runs.
    """
    from agent.cli.historian import count_lost, historian

    raise typer.Exit(historian(config) if gone is None else count_lost(config, gone))


@app.command("report")
def _report(
    config: Config = Path("historian.yaml"),
    day: Annotated[str | None, typer.Option(metavar="2026-11-28", help="Default: yesterday, at the plant.")] = None,
    lang: Annotated[Literal["en", "zh"], typer.Option(help="Language of the file.")] = "en",
    output: Annotated[
        Path | None, typer.Option("-o", metavar="FILE", help=".html, .csv, .json; else a summary.")
    ] = None,
    verify: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare this report with the database.")] = None,
) -> None:
    """Report on a day, from what the historian stored. Exit 0, 1 no database or --verify differs, 2 mistakes."""
    from agent.cli.report import Wanted, report

    raise typer.Exit(report(config, Wanted(day, lang, output, verify)))


@app.command("status")
def _status(config: Config = DEFAULT, data_dir: Agent = None, as_json: Json = False) -> None:
    """What is wrong right now, and what to do. Exit 0 all well, 1 something is wrong, 3 no agent runs."""
    from agent.cli.status import status

    raise typer.Exit(status(config, data_dir, as_json=as_json))


@app.command("logs")
def _logs(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="Log of an agent; - is standard input.")] = "-",
    device: Annotated[str | None, typer.Option(help="Only lines about these devices, a glob.")] = None,
    level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="Of at least this level.")
    ] = "debug",
    since: Annotated[str | None, typer.Option(help="Only since: 10m, or an instant.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Also what comes later.")] = False,
) -> None:
    """Show a log for people, with what to do under warnings and errors. Exit 0, 1 it cannot be read, 2 mistakes."""
    from agent.cli.logs import logs

    raise typer.Exit(logs(file, device, level, since, follow=follow))


@app.command("tail")
def _tail(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    url: Url = None,
    root: Root = None,
    config: Of = None,
    seconds: Seconds = None,
    topic: Topics = None,
    publisher: Publisher = None,
    device: Annotated[str | None, typer.Option(help="Only these devices, a glob.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only these tags, a glob.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End with the first readings that fit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show readings as they arrive at a broker. Exit 0, 1 no broker (or with --once nothing came), 2 mistakes."""
    from agent.cli.tail import tail

    code = tail(
        url, root, config, seconds, json=as_json, publisher=publisher, topics=topic or (), device=device, tag=tag,
        once=once,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command("verify")
def _verify(
    url: Url = None,
    root: Root = None,
    config: Of = None,
    seconds: Seconds = None,
    state: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep what was counted here between runs.")] = None,
    topic: Topics = None,
    publisher: Publisher = None,
    sparkplug: Annotated[bool, typer.Option("--sparkplug", help="Sparkplug B: name every violated statement.")] = False,
) -> None:
    """Audit a broker from the consumer's side. Exit 0, 1 something is missing, 2 mistakes, 3 nothing came.

    missing: below `low`, neither received nor declared lost. pending: may still come. declared: the agent has named
    it as lost, with numbers and reason. duplicate: received again; consumers ignore it. undeclared gap: a hole.
    """
    from agent.cli.verify import verify

    if sparkplug:
        from agent.cli.conformance import conformance

        raise typer.Exit(conformance(url, config, seconds))

    raise typer.Exit(verify(url, root, config, seconds, state, publisher=publisher, topics=topic or ()))


@app.command("trust")
def _trust(
    what: Annotated[str | None, typer.Argument(metavar="[DEVICE|THUMBPRINT]", help="Default: list them.")] = None,
    config: Config = DEFAULT,
    remove: Annotated[bool, typer.Option("--remove", help="Trust it no longer.")] = False,
) -> None:
    """Certificates of OPC UA servers: list them, trust one. Exit 0 done, 1 not done, 2 mistakes."""
    from agent.cli.trust import trust

    raise typer.Exit(trust(config, what, remove=remove))


@app.command("support-bundle")
def _support_bundle(
    config: Config = DEFAULT,
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Where to; default: named by time.")] = None,
    data_dir: Agent = None,
) -> None:
    """One archive without secrets: configuration, last events, status, metrics, versions. Also without an agent.

    Exit 0 written, 1 it cannot be written, 2 mistakes.
    """
    from agent.cli.support_bundle import support_bundle

    raise typer.Exit(support_bundle(config, data_dir, output))


@app.command("outbox")
def _outbox(  # noqa: PLR0913, PLR0917 - an argument for each word of the command
    verb: Annotated[
        Literal["list", "quarantined", "requeue", "discard", "resend"], typer.Argument(help="What to do.")
    ] = "list",
    ids: Annotated[list[int] | None, typer.Argument(help="Quarantined records (requeue, discard).")] = None,
    config: Config = DEFAULT,
    publisher: Annotated[str | None, typer.Option(help="Only this publisher's outbox.")] = None,
    device: Annotated[str | None, typer.Option(help="Only records of these devices, a glob.")] = None,
    epoch: Annotated[str | None, typer.Option(help="Only records of this epoch …")] = None,
    first: Annotated[int | None, typer.Option("--from", min=1, help="… from this number on …")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="… up to this one.")] = None,
    since: Annotated[str | None, typer.Option(help="Only records committed since: 10m, or an instant.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: Json = False,
    data_dir: Agent = None,
) -> None:
    """What waits and what is quarantined; send again, give up. Also while the agent runs.

    Exit 0 done, 1 an outbox could not be asked, 2 mistakes.
    """
    from agent.cli.outbox import Order, outbox

    order = Order(verb, publisher, ids or (), device, epoch, first, last, since, everything, as_json)
    raise typer.Exit(outbox(config, order, data_dir))


@app.command("diff")
def _diff(config: Config = DEFAULT, data_dir: Agent = None, as_json: Json = False) -> None:
    """Compare the files with what runs. Exit 0 nothing differs, 1 something does, 2 mistakes, 3 no agent."""
    from agent.cli.diff import diff

    raise typer.Exit(diff(config, data_dir, as_json=as_json))


@app.command("reload")
def _reload(
    config: Config = DEFAULT,
    data_dir: Agent = None,
    wait: Annotated[str | None, typer.Option(metavar="30s", help="Until the changed parts are back.")] = None,
    as_json: Json = False,
) -> None:
    """Have the agent apply its files. Exit 0 applied (and back), 1 a part is not back, 2 refused, 3 no agent runs."""
    from agent.cli.reload import reload

    raise typer.Exit(reload(config, data_dir, wait=wait, as_json=as_json))
