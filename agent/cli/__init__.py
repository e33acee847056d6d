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
_Url = Annotated[str | None, typer.Option(help="Broker, mqtt://HOST:PORT.")]
_Root = Annotated[str | None, typer.Option(help="First level of the agent's topics; default: edge.")]
_Of = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Take broker and root from here.")]
_DEFAULT = Path("agent.yaml")


def main() -> None:
    """Entry point of the console script; leaves with the exit code."""
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
    """The agent."""
    from agent.cli.run import run

    raise typer.Exit(run(config))


@_app.command("demo")
def _demo(seconds: _Seconds = None) -> None:
    """Broker, simulated plant, agent and a live view; ends with an audit."""
    from agent.cli.demo import demo

    raise typer.Exit(demo(seconds))


@_app.command("check")
def _check(
    config: _Config = _DEFAULT,
    live: Annotated[bool, typer.Option("--live", help="Also connect and read every tag once.")] = False,
) -> None:
    """Validate a configuration. Exit 0, or 2."""
    from agent.cli.check import check

    raise typer.Exit(check(config, live=live))


@_app.command("schema")
def _schema(what: Annotated[Literal["config", "readings"], typer.Argument(help="Which of the two.")]) -> None:
    """JSON Schema of the configuration or of the readings."""
    from agent.cli.schema import schema

    raise typer.Exit(schema(what))


@_app.command("simulate")
def _simulate(file: Annotated[Path, typer.Argument(help="Description of the devices.")]) -> None:
    """Devices from a description."""
    from agent.cli.simulate import simulate

    raise typer.Exit(simulate(file))


@_app.command("tail")
def _tail(
    url: _Url = None,
    root: _Root = None,
    config: _Of = None,
    seconds: _Seconds = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Readings as they pass on a broker."""
    from agent.cli.tail import tail

    raise typer.Exit(tail(url, root, config, seconds, json=as_json))


@_app.command("verify")
def _verify(url: _Url = None, root: _Root = None, config: _Of = None, seconds: _Seconds = None) -> None:
    """Audit a broker from the consumer's side. Exit 1 if something is missing."""
    from agent.cli.verify import verify

    raise typer.Exit(verify(url, root, config, seconds))
