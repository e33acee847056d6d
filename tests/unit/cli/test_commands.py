"""The command line: what is imported, what is said, which exit codes."""

from __future__ import annotations

import ast
import inspect
import io
import json
import re
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console
from rich.table import Table

from agent.cli import engineering, live, operating, options
from agent.cli.check import CheckOptions, check
from agent.cli.mistakes import report
from agent.cli.plan import plan
from agent.cli.read import Wish, read
from agent.cli.schema import schema
from agent.cli.tables import show_table
from agent.core.errors import ConfigError, Mistake
from agent.core.flow import Reading
from agent.core.quality import BAD_DEVICE_FAILURE
from agent.workbench.live import Visit
from tests.support.processes import agent_command, run_process

ROOT = Path(__file__).parents[3]
COMMANDS = (
    "run",
    "historian",
    "report",
    "status",
    "demo",
    "check",
    "read",
    "plan",
    "scan",
    "browse",
    "convert",
    "logs",
    "schema",
    "simulate",
    "record",
    "tail",
    "verify",
    "trust",
    "support-bundle",
    "outbox",
    "diff",
    "reload",
)


def test_help_names_every_command_and_imports_none():
    """`edge-agent --help` lists the commands without importing what they need."""
    code = """
import sys
from agent.cli import main
try:
    main()
except SystemExit as end:
    loaded = [name for name in sys.modules if name.split(".")[0] in ("pydantic", "pymodbus", "asyncua", "paho", "yaml")]
    print("LOADED", loaded, end.code)
"""
    done = run_process(sys.executable, "-c", code, "--help")
    assert "LOADED [] 0" in done.stdout, done.stdout + done.stderr
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


def test_every_command_has_its_file_and_function():
    """What the command line imports when a command is called is there."""
    trees = [ast.parse(inspect.getsource(module)) for module in (operating, engineering)]
    named = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    own = [node for node in named if str(node.module).startswith("agent.cli.") and node.module != options.__name__]
    # verify has a second face for Sparkplug, in a file of its own
    assert {str(node.module).rsplit(".", 1)[1] for node in own} == {
        *(command.replace("-", "_") for command in COMMANDS), "conformance",
    }  # fmt: skip
    for node in own:
        module = __import__(str(node.module), fromlist=["_"])
        assert callable(getattr(module, node.names[0].name))


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("check", "--nonsense"), ("schema", "nothing"), ("tail", "--seconds", "x")]
)
def test_a_slip_on_the_command_line(arguments: tuple[str, ...]):
    """A slip on the command line is exit code 2, in words."""
    done = run_process(*agent_command(*arguments))
    assert done.returncode == 2
    assert "Usage: edge-agent" in done.stderr
    assert "Traceback" not in done.stderr


def test_version():
    """`--version` says it and ends."""
    done = run_process(*agent_command("--version"))
    assert re.fullmatch(r"edge-agent \d+\.\d+\.\d+\S*\n", done.stdout)
    assert done.returncode == 0


def test_check_of_the_reference(capsys):
    """A right configuration is summed up: what is read, what is sent, and its hash."""
    assert check(ROOT / "configs" / "agent.yaml") == 0
    said = capsys.readouterr()
    for word in ("press-01", "cnc-07", "plant", "24 of 25 tags enabled", "configs/agent.yaml: ok", "4 files"):
        assert word in said.out
    assert said.err == ""


def test_check_warns(tmp_path, capsys):
    """What is odd goes to standard error and does not change the exit code."""
    (tmp_path / "agent.yaml").write_text("agent: {id: gw}\n")
    assert check(tmp_path / "agent.yaml") == 0
    assert f"warning: {tmp_path}/agent.yaml: devices: there are none" in capsys.readouterr().err


def test_an_overloaded_bus_is_planned_all_the_same(tmp_path, capsys):
    """The agent refuses it; the plan says by how much, and exits as for every interval that cannot be met."""
    path = tmp_path / "agent.yaml"
    bus = "serial:///dev/ttyUSB0?baudrate=1200"
    line = f"{{type: modbus, url: '{bus}', interval: 100ms, tags: {{a: {{address: 'input:0'}}}}}}"
    path.write_text(f"agent: {{id: gw}}\ndevices:\n  a: {line}\n")
    assert (plan(path, None, "20ms"), check(path)) == (1, 2)
    assert "more than there is" in capsys.readouterr().out


@pytest.mark.parametrize("width", [20, 60, 200])
def test_no_figure_is_cut(width: int):
    """On a terminal of any width words and figures are whole; text is wrapped between words."""
    out, table = io.StringIO(), Table("device", "address", "what", box=None, pad_edge=False)
    table.add_row("press-01", "tcp://192.0.2.21:502", "24 of 25 tags enabled, every 1,000 s")
    show_table(Console(file=out, width=width), table)
    shown = set(out.getvalue().split())
    assert {"press-01", "tcp://192.0.2.21:502", "24", "of", "25", "tags", "enabled,", "every", "1,000", "s"} < shown


def test_a_serial_port_is_named_as_one(capsys):
    """The hint is right at once, also where any protocol may be meant."""
    assert read(Path("agent.yaml"), Wish(["holding:0"], url="/dev/ttyUSB0")) == 2
    assert 'write "serial:///dev/ttyUSB0?baudrate=9600&parity=E"' in capsys.readouterr().err


def test_long_reports_are_cut():
    """Hundreds of mistakes are counted, the first are shown."""
    out = io.StringIO()
    report(ConfigError.of([Mistake("a.yaml", line, f"wrong {line}", "right") for line in range(1, 502)]), out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "a.yaml:1: wrong 1 -> right"
    assert lines[-2:] == ["… and 301 more", "501 mistakes"]


def test_equal_mistakes_are_told_once(tmp_path, capsys):
    """One wrong word in thirty rows is one mistake with their lines, and a caret under the word."""
    rows = "".join(f't{number},"holding:{number}",word\n' for number in range(30))
    (tmp_path / "tags.csv").write_text("tag,address,type\n" + rows)
    device = '{type: modbus, url: "tcp://192.0.2.1", tags_file: tags.csv}'
    (tmp_path / "agent.yaml").write_text(f"agent: {{id: gw}}\ndevices:\n  a: {device}\n")
    assert check(tmp_path / "agent.yaml") == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("tags.csv:2:16: `devices.a.tags.t0.type`: unknown type 'word' -> write uint16")
    assert said[1:] == [
        '     2 | t0,"holding:0",word',
        "       |                ^^^^",
        "       29 more like it: lines 3, 4, 5, 6, 7, …",
        "30 mistakes",
    ]


def test_a_line_with_a_secret_is_not_shown(tmp_path, capsys):
    """Neither a password nor who is in a URL."""
    (tmp_path / "agent.yaml").write_text(
        'agent: {id: gw}\npublishers:\n  p: {type: mqtt, url: "mqtt://h", password: hunter2, qoss: 1}\n'
    )
    assert check(tmp_path / "agent.yaml") == 2
    assert "hunter2" not in capsys.readouterr().err


def test_other_commands_tell_mistakes_as_json_too(tmp_path, capsys):
    """`--json` is one document whatever the exit code; what is wrong with a word of the command line is in it."""
    path = tmp_path / "agent.yaml"
    path.write_text("agent: {id: a b}\n")
    for command in (lambda: plan(path, None, "20ms", json=True), lambda: read(path, Wish(["press"], json=True))):
        assert command() == 2
        assert json.loads(capsys.readouterr().out)["mistakes"][0]["line"] == 1
    path.write_text("agent: {id: gw}\n")
    assert plan(path, None, "soon", json=True) == 2
    assert json.loads(capsys.readouterr().out)["mistakes"][0]["hint"] == "write --round-trip 20ms"


def test_mistakes_as_json(tmp_path, capsys):
    """One document, whatever the exit code: places, words, counts."""
    path = tmp_path / "agent.yaml"
    path.write_text("agent: {id: gw}\nlog: {level: loud}\n")
    assert check(path, CheckOptions(as_json=True)) == 2
    document = json.loads(capsys.readouterr().out)
    assert not document["ok"]
    (mistake,) = document["mistakes"]
    assert (mistake["file"], mistake["line"], mistake["column"], mistake["count"]) == (str(path), 2, 14, 1)
    path.write_text("agent: {id: gw}\n")
    assert check(path, CheckOptions(as_json=True)) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"]
    assert any("there are none" in warning["reason"] for warning in document["warnings"])


def test_a_part_of_a_long_line_is_shown(tmp_path, capsys):
    """With the caret under what is wrong; the column is the one of the whole line."""
    path = tmp_path / "agent.yaml"
    before = "agent: {id: gw, location: [" + ", ".join(["hall"] * 60) + "], "
    path.write_text(before + "reload: never}\n")
    assert check(path) == 2
    _, line, caret, _ = capsys.readouterr().err.splitlines()
    assert len(line) < 180
    assert line[caret.index("^") :].startswith("never")
    assert check(path, CheckOptions(as_json=True)) == 2
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert mistake["column"] == len(before) + len("reload: ") + 1


def test_a_foreign_file_is_named(tmp_path, capsys):
    """Who brings the configuration of another product is told the command that converts it."""
    (tmp_path / "telegraf.conf").write_text('[[inputs.modbus]]\n  name = "x"\n  controller = "tcp://h:502"\n')
    assert check(tmp_path / "telegraf.conf") == 2
    first, count = capsys.readouterr().err.splitlines()
    assert "a configuration of Telegraf -> `edge-agent convert" in first
    assert count == "1 mistake"
    assert check(tmp_path / "telegraf.conf", CheckOptions(as_json=True)) == 2
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert mistake["hint"].startswith("`edge-agent convert")


def test_only_these_devices(capsys):
    """`--device` takes a glob; one that matches nothing is told."""
    reference = ROOT / "configs" / "agent.yaml"
    assert check(reference, CheckOptions(devices="press-*")) == 0
    said = capsys.readouterr().out
    assert "press-01" in said
    assert "cnc-07" not in said
    assert check(reference, CheckOptions(devices="pres")) == 2
    assert "no device matches pres" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["config", "readings"])
def test_schemas(what, capsys):
    """Both schemas are printed as JSON Schema."""
    assert schema(what) == 0
    printed = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(printed)


def test_a_visit_as_a_table():
    """Tags in trouble stand first, with code and reason; values are shown as they are written in JSON."""
    readings = {
        "on": Reading("on", True, 1, "good"),
        "bad": Reading("bad", None, 1, "bad", code="BadDeviceFailure", status=BAD_DEVICE_FAILURE, reason="[odd]"),
    }
    visit = Visit("press", readings, ("quiet",))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(live.table_of(visit, None))
    said = console.export_text().splitlines()
    assert [line.split()[0] for line in said[2:5]] == ["quiet", "bad", "on"]
    assert "BadDeviceFailure [odd]" in said[3]
    assert said[4].split()[1] == "true"
    assert live.line_of(visit) == "press: 1 read, 1 bad, 1 silent"
    assert live.line_of(Visit("press", {}, (), "no route")) == "press: no route"


def test_the_agent_loads_neither_the_monitor_nor_a_terminal_library():
    """`edge-agent run` imports nothing of the Sparkplug monitor (decision 022), nor rich (decision 004)."""
    code = "import sys, agent.cli.run; print([m for m in sys.modules if m == 'rich' or 'consumer.sparkplug' in m])"
    assert run_process(sys.executable, "-c", code).stdout.strip() == "[]"
