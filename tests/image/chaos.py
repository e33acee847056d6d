"""A storm over the site: whatever may be killed or cut is, again and again; then the books are closed."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.image.site import Site
from tests.support.processes import agent_command, process
from tests.support.waiting import eventually_sync

SEED = int(os.environ.get("EDGE_SEED", "0")) or random.randrange(1, 1 << 32)
#: Seconds until everything that is owed must have come.
OWED = 600.0

#: What `verify` calls a hole.
HOLE = re.compile(r"^(?:missing|unheard) [^/]+/(\S+) epoch (\S+) seq (\d+)(?:-(\d+))?:", re.MULTILINE)

RECORDS = """
SELECT s.device, s.epoch, count(DISTINCT r.seq), min(r.seq), max(r.seq), count(*),
       count(DISTINCT r.seq || '/' || r.part || '/' || r.position)
FROM reading r JOIN stream s ON s.id = r.stream GROUP BY 1, 2
"""


def passes(seconds: float) -> None:
    """Let time pass."""
    end = time.monotonic() + seconds
    eventually_sync(lambda: time.monotonic() >= end, seconds + 60, "time passes")


class Storm:
    """What can happen. Each method brings back what it took away."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self._site = site
        self._chance = chance

    def _a_while(self) -> None:
        passes(self._chance.uniform(0.2, 8.0))

    def agent_killed(self) -> None:
        """SIGKILL, and started again."""
        self._site.agent.kill()
        self._a_while()
        self._site.agent.start()

    def agent_ended(self) -> None:
        """SIGTERM, and started again."""
        self._site.agent.terminate()
        self._site.agent.start()

    def historian_killed(self) -> None:
        """SIGKILL, and started again."""
        self._site.historian.kill()
        self._a_while()
        self._site.historian.start()

    def broker_killed(self) -> None:
        """SIGKILL: what it had accepted and not written is gone."""
        self._site.broker.kill()
        self._a_while()
        self._site.broker.start()

    def network_cut(self) -> None:
        """The agent's cable: nothing is closed, packets vanish."""
        self._site.plant.link(up=False)
        self._a_while()
        self._site.plant.link(up=True)

    def killed_while_cut(self) -> None:
        """Both."""
        self._site.plant.link(up=False)
        self._a_while()
        self._site.agent.kill()
        self._site.agent.start()
        self._a_while()
        self._site.plant.link(up=True)


def storm(result: Callable[[str, bool, object], None], site: Site, minutes: float, folder: Path) -> None:
    """For `minutes`; then all that is owed comes, and `verify`, which listened all the while, misses nothing."""
    print(f"  storm of {minutes:g} minutes; EDGE_SEED={SEED} gives the same one", flush=True)  # noqa: T201
    chance = random.Random(SEED)
    weather = Storm(site, chance)
    kinds = [getattr(weather, name) for name in vars(Storm) if not name.startswith("_")]
    happened: Counter[str] = Counter()
    end = time.monotonic() + 60 * minutes
    with verifying(site, folder) as said:
        while time.monotonic() < end:
            kind = chance.choice(kinds)
            kind()
            happened[kind.__name__] += 1
            passes(chance.uniform(1.0, 15.0))
        result("storm", True, ", ".join(f"{name} {count}" for name, count in sorted(happened.items())))
        site.agent.until_healthy()
        site.historian.until_healthy()
        began = time.monotonic()
        site.settle(OWED)
        site.complete(OWED)
        result("all that was owed came after", True, f"{time.monotonic() - began:.0f} s")
    # a broker that is killed loses what it had accepted, for each of its consumers something else
    lost = HOLE.findall(said[0])
    result("lost by the broker for this consumer", True, f"{len(lost)} holes; {last_line(said)}")
    with verifying(site, folder) as said:
        for device, epoch, first, final in lost:
            numbers = ("--device", device, "--epoch", epoch, "--from", first, "--to", final or first)
            done = site.agent.run("edge-agent", "outbox", "-c", "/etc/edge-agent/agent.yaml", "resend", *numbers)
            if done.returncode:
                result("resend", False, done.stderr)
        site.settle(OWED)
        passes(20 if lost else 5)  # what was asked for goes out beside the live lane
    audit = last_line(said)
    result("verify, after `outbox resend` of these", "missing=0 " in audit and "unheard=0" in audit, audit)


@contextmanager
def verifying(site: Site, folder: Path) -> Iterator[list[str]]:
    """`edge-agent verify --state` while the body runs, ended by Ctrl-C; what it printed is left in the list."""
    command = agent_command("verify", "--url", site.broker.url, "--state", str(folder / "books"))
    with process(*command) as audit:
        eventually_sync(lambda: "listening to" in audit.stderr, what="the audit listens")
        said: list[str] = []
        yield said
        audit.signal(signal.SIGINT)
        audit.wait_sync(60)
        said.append(audit.stdout.strip())


def last_line(said: list[str]) -> str:
    """Of what `verify` printed: the result."""
    return said[0].rpartition("\n")[2]


def close_books(result: Callable[[str, bool, object], None], site: Site) -> None:
    """Both end. Each number of each run of the agent from 1 to the last one is stored, once; each gap is a stop."""
    ended, _ = site.agent.terminate()
    # all that the agent has said until its end is stored before the books are read
    site.stored_to_the_end()
    stopped, _ = site.historian.terminate()
    result("both end in order", (ended, stopped) == (0, 0), (ended, stopped))
    database = site.historian.data() / "plant.db"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(RECORDS).fetchall()
        (missing,) = connection.execute("SELECT coalesce(sum(numbers), 0) FROM missing").fetchone()
        ends = connection.execute("SELECT device, epoch, to_seq FROM gap WHERE kind = 'down'").fetchall()
        kinds = dict(connection.execute("SELECT kind, count(*) FROM gap GROUP BY 1"))
    holes = [row[:5] for row in rows if (row[2], row[3]) != (row[4], 1)]
    last = {row[:2]: row[4] for row in rows}
    short = [end for end in ends if last.get(end[:2], 0) != end[2]]
    records, readings = sum(row[2] for row in rows), sum(row[5] for row in rows)
    twice = readings - sum(row[6] for row in rows)
    result(
        "database", not (missing or holes or short or twice),
        f"{len(rows)} streams, {records:,} records, {readings:,} readings; missing={missing} twice={twice} "
        f"holes={holes} shorter than the agent says={short}",
    )  # fmt: skip
    result("declared losses", kinds.keys() <= {"down"}, kinds)
