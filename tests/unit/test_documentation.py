"""What the documentation names is there: files, links, commands, make targets, log events, metrics, tests of faults."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import typer.main
from typer._click.exceptions import MissingParameter

from agent import cli
from agent.cli.examples import EXAMPLES
from agent.config.model import AgentSettings
from agent.settings.outbox import OutboxSettings
from agent.telemetry.events import EVENTS
from agent.telemetry.reference import metrics_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROOMS = "|".join(sorted({name.partition(".")[0] for name in EVENTS}))
#: Keys of the configuration whose dotted names begin as events do.
KEYS = {f"agent.{key}" for key in AgentSettings.model_fields} | {f"outbox.{key}" for key in OutboxSettings.model_fields}
FILES = {"md", "py", "yaml", "yml", "json", "pem", "toml", "sqlite"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """What its headings are called in a link."""
    heads = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def code_of(page: Path) -> str:
    """Its blocks of code: a sentence is no command. A configuration is code from top to bottom."""
    text = text_of(page)
    if page.suffix != ".md":
        return text
    fenced = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"^ {4}\S.*", text, re.MULTILINE)])


def commands(text: str) -> Iterator[str]:
    """Every line of a code block that calls edge-agent, without prompt, path and comment."""
    for line in text.splitlines():
        if found := re.match(r"#?\s*(?:\S*/bin/)?edge-agent ([a-z].*?)(?:\s+(?:#|\().*)?$", line):
            yield re.split(r"\s{3,}| > | \|\| ", found[1].strip())[0]


@each_page
def test_files_it_names_are_there(page: Path):
    """Every path of ours in backticks."""
    named = re.findall(r"`((?:agent|tests|docs|configs|deploy)/[\w./-]+)`", text_of(page))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_decision_is_in_the_index():
    """Each once, under what it is about."""
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^- \[(\d{3})\]\((.+?)\)", text_of(folder / "README.md"), re.MULTILINE)
    assert sorted(name for _, name in listed) == sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert all(name.startswith(number) for number, name in listed)


def test_files_named_beside_others_are_there():
    """In a line of docs/architecture.md a bare name is a file in the folder of the path in front of it."""
    missing = []
    for line in text_of(ROOT / "docs" / "architecture.md").splitlines():
        folder = None
        for name in re.findall(r"`([\w./-]+\.py)`", line):
            folder = (ROOT / name).parent if "/" in name else folder
            if folder is not None and not (folder / Path(name).name).exists():
                missing.append(name)
    assert missing == []


@each_page
def test_its_links_lead_somewhere(page: Path):
    """To a file that exists, and to a heading in it."""
    dead = []
    for link in re.findall(r"\]\(((?!http)[^)\s]+)\)", text_of(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@each_page
def test_events_and_metrics_it_names_are_there(page: Path):
    """Log events and metrics in backticks stand in their tables."""
    text = text_of(page)
    events = re.findall(rf"`((?:{ROOMS})\.\w+)`", text)
    assert {name for name in events if name.partition(".")[2] not in FILES} - KEYS <= EVENTS.keys()
    assert set(re.findall(r"`(edge_agent_\w+)", text)) <= set(re.findall(r"`(edge_agent_\w+)`", metrics_page()))


@each_page
def test_make_targets_it_names_are_there(page: Path):
    """`make something` in backticks, or as a line of a block."""
    known = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ *)make ([a-z-]+)", text_of(page), re.MULTILINE)) <= known


def test_benchmarks_it_names_are_there():
    """What `ARGS` chooses of `make bench` is part of a benchmark's name."""
    texts = [*map(text_of, PAGES), *re.findall(r"^bench:.*", text_of(ROOT / "Makefile"), re.MULTILINE)]
    chosen = [word for text in texts for word in re.findall(r"bench[: ].*?ARGS=\"?(\w+)", text)]
    names = [path.stem for path in (ROOT / "tests/bench").glob("bench_*.py")]
    assert chosen
    assert [word for word in chosen if not any(word in name for name in names)] == []


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted((ROOT / "configs").rglob("*.yaml"))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_commands_it_shows_are_understood(page: Path):
    """Command, arguments and options are what `edge-agent` takes. Their own tests run those that need a world."""
    known = typer.main.get_command(cli.application()).commands  # type: ignore[attr-defined]
    for line in commands(code_of(page)):
        name, *arguments = shlex.split(line)
        known[name].make_context(name, arguments)


@each_page
def test_commands_it_mentions_are_understood(page: Path):
    """In a sentence, in backticks, a command may leave out what it needs."""
    known = typer.main.get_command(cli.application()).commands  # type: ignore[attr-defined]
    for line in re.findall(r"`edge-agent ([a-z][^`…]*)`", text_of(page)):
        name, *arguments = shlex.split(re.sub(r" \[[^\]]*\]", "", line))  # [--seconds N] may be left out
        with suppress(MissingParameter):
            known[name].make_context(name, arguments)


def test_every_command_shows_examples_that_are_understood():
    """At the end of its `--help`."""
    known = typer.main.get_command(cli.application()).commands  # type: ignore[attr-defined]
    assert EXAMPLES.keys() == known.keys()
    for name, command in known.items():
        for line in commands("\n".join(f"edge-agent {one}" for one in EXAMPLES[name])):
            assert line.split()[0] == name
            command.make_context(name, shlex.split(line)[1:])
            assert f"edge-agent {line}" in command.get_help(command.make_context(name, [], resilient_parsing=True))


def test_there_are_commands():
    """The search finds those it is meant for."""
    found = {line.split()[0] for page in PAGES for line in commands(code_of(page))}
    assert {"run", "check", "tail", "verify", "outbox", "trust", "schema"} <= found


# --- docs/reliability.md ----------------------------------------------------------------------------------------------

#: By test: the variable that says how often, and what is added to it (rounds of the same fault in other tests).
COUNTS = {
    "tests/faults/outbox/test_agent_killed.py": ("EDGE_AGENT_KILLS", 0),
    "tests/faults/outbox/test_killed.py": ("EDGE_WRITER_KILLS", 0),
    "tests/faults/power/test_power_cut.py": ("EDGE_POWER_CUTS", 1),
}


@pytest.mark.parametrize("test", COUNTS)
def test_how_often_is_what_the_tests_do(test: str):
    """At every run what stands in the test, in a soak what stands in the Makefile."""
    variable, more = COUNTS[test]
    usual = re.search(rf'"{variable}", "(\d+)"', text_of(ROOT / test))
    soak = re.search(rf"{variable}=(\d+)", text_of(ROOT / "Makefile"))
    rows = re.findall(rf"`{test}` \| ([\d,]+) \| ([\d,]+) \|", RELIABILITY)
    assert usual
    assert soak
    assert rows
    assert {(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in rows} == {
        (int(usual[1]) + more, int(soak[1]) + more)
    }


def test_every_test_of_a_fault_north_of_the_devices_is_listed():
    """Nobody has to guess what was tried."""
    files = [
        path for room in ("outbox", "power", "northbound") for path in (ROOT / "tests/faults" / room).glob("test_*")
    ]
    assert [path.name for path in files if f"`{path.relative_to(ROOT)}`" not in RELIABILITY] == []


# --- docs/zh ----------------------------------------------------------------------------------------------------------

CHINESE = sorted((ROOT / "docs" / "zh").glob("*.md"))


def skeleton(page: Path) -> tuple[list[str], list[str]]:
    """The levels of its headings, and its blocks of code."""
    blocks = re.findall(r"^```.*?^```", text_of(page), re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^(#+) ", prose, re.MULTILINE), blocks


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_chinese_pages_keep_up_with_the_english(page: Path):
    """The same headings, the same commands and outputs, as many rows in tables, and a link in each direction."""
    english = ROOT / page.name if page.name == "README.md" else ROOT / "docs" / page.name
    assert skeleton(page) == skeleton(english)
    assert len(re.findall(r"^\|", text_of(page), re.MULTILINE)) == len(
        re.findall(r"^\|", text_of(english), re.MULTILINE)
    )
    assert f"zh/{page.name})" in text_of(english)
    assert f"../{'../' if page.name == 'README.md' else ''}{page.name})" in text_of(page)
