"""The command line itself, and the options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent import __version__

app = typer.Typer(
    name="edge-agent",
    help="Collects from OPC UA servers and Modbus devices, keeps readings on disk until the broker has them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they would show local variables, passwords among them
    rich_markup_mode=None,
)

Config = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration.")]
Seconds = Annotated[float | None, typer.Option(min=0, help="End after this long; default: Ctrl-C.")]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", metavar="FILTER", help="Beside ROOT/#, with --url: umh/v1/#. Repeatable.")
]
Publisher = Annotated[str | None, typer.Option("--publisher", help="Which one of -c. Default: the first.")]
Url = Annotated[str | None, typer.Option(help="Broker, mqtt://HOST:PORT.")]
Root = Annotated[str | None, typer.Option(help="First level of the agent's topics; default: edge.")]
Of = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Take broker and root from here.")]
DEFAULT = Path("agent.yaml")
Agent = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Instead of -c: the agent that keeps its data there.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-agent {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
