"""Every statement of the specification that binds an edge node: one test each, named by its id, over sessions recorded
on the wire with both MQTT versions. And the other way round: a session with one fault violates the id of that fault,
and no statement is without such a fault. Those that do not apply are listed with their reasons (unchecked.py).
"""

from __future__ import annotations

import asyncio

import pytest

from agent.consumer.sparkplug.monitor import Monitor
from agent.consumer.sparkplug.statements import STATEMENTS
from agent.consumer.sparkplug.unchecked import CHECKED, UNCHECKED
from tests.integration.sparkplug.mutants import MUTANTS
from tests.integration.sparkplug.story import Story, command, replayed

VERSIONS = ("5", "3.1.1")
TOPIC = "spBv1.0/plant/NBIRTH/other"
WITH_TEMPLATE = command({"name": "motor", "datatype": 19}, {"name": "table", "datatype": 16}, seq=0, timestamp=1)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Story]:
    """The story, told once with each version of MQTT."""
    told = {version: Story(tmp_path_factory.mktemp("story"), version) for version in VERSIONS}
    for story in told.values():
        asyncio.run(story.tell())
    return told


@pytest.mark.parametrize("statement", CHECKED, ids=[f"tck-id-{one}" for one in CHECKED])
def test_statement(stories: dict[str, Story], statement: str):
    """It was exercised, and it held every time."""
    ledgers = [story.monitor.ledger for story in stories.values()]
    assert sum(ledger.passed[statement] for ledger in ledgers), "not exercised"
    assert [str(one) for ledger in ledgers for one in ledger.violations() if one.statement == statement] == []


def test_a_replay_is_judged_as_the_session_was(stories: dict[str, Story]):
    """What the mutants below are made from is without fault."""
    for story in stories.values():
        ledger = replayed(story.monitor.calls).ledger
        assert ledger.ok, ledger.violations()
        assert ledger.passed == story.monitor.ledger.passed


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_node_is_found_out(stories: dict[str, Story], name: str):
    """One fault in an otherwise right session violates the statement that forbids it."""
    mutate, statement = MUTANTS[name]
    calls = list(stories["3.1.1" if name.startswith("3.1.1") else "5"].monitor.calls)
    mutate(calls)
    ledger = replayed(calls).ledger
    assert statement in ledger.failed, [str(one) for one in ledger.violations()]


def test_every_statement_that_is_judged_can_fail(stories: dict[str, Story]):
    """The wrong nodes together violate all of them: a statement that always holds is none that was tested."""
    failed: set[str] = set()
    for name, (mutate, _) in MUTANTS.items():
        calls = list(stories["3.1.1" if name.startswith("3.1.1") else "5"].monitor.calls)
        mutate(calls)
        failed |= set(replayed(calls).ledger.failed)
    assert failed == CHECKED.keys()


@pytest.mark.parametrize("statement", UNCHECKED, ids=[f"tck-id-{one}" for one in UNCHECKED])
def test_statement_does_not_apply(stories: dict[str, Story], statement: str):
    """Its reason is true: what may be done cannot be wrong, and our node never said a template or a data set."""
    asks, reason = STATEMENTS[statement], UNCHECKED[statement]
    if "ours has none" in reason:
        assert [note for story in stories.values() for note in story.monitor.ledger.notes] == []
    else:
        assert asks.startswith("MAY" if "permission" in reason else "SHOULD")


def test_no_statement_is_left_out():
    """All that bind an edge node are checked, or listed with a reason; and what makes one not apply would be seen."""
    assert CHECKED.keys() | UNCHECKED.keys() == STATEMENTS.keys()
    assert len(STATEMENTS) == 226
    monitor = Monitor(lambda: 0)
    monitor.published(TOPIC, WITH_TEMPLATE)
    assert len(monitor.ledger.notes) == 2
