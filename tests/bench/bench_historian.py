"""The historian: messages as they come from a broker into SQLite and PostgreSQL, records of 1,000 readings.

Rates, CPU per reading of the historian and of the database apart, memory, and how long a tag's readings take to read.
The broker is left out there: what it passes on is its own affair. Memory is that of the process as its user runs it,
behind a mosquitto that delivers as fast as it is acknowledged. `EDGE_BENCH_SECONDS=86400` fills a whole day (1,000
tags, a reading a second); by default it is ten minutes of it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psutil
import psycopg

from agent.historian.config import HistorianSettings
from agent.historian.contents import SourceMessage, read
from agent.historian.stores.port import Store
from agent.historian.stores.postgres import postgres_store
from agent.historian.stores.sqlite import SqliteStore
from tests.support.historian_process import HistorianProcess
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt import observing
from tests.support.postgres import Cluster
from tests.support.waiting import eventually

SECONDS = int(os.environ.get("EDGE_BENCH_SECONDS", "600"))
TAGS = 1000
DAY = 86_400_000
BEGIN = time.time_ns() // 1_000_000 // DAY * DAY - DAY
EPOCH = "01KB2XJ5W3Q8Z6T0M4N7V9YACD"


def messages(batch: int) -> Iterator[list[SourceMessage]]:
    """Batches of records, one record a second."""
    names = [f"oil_temp_{number:06d}" for number in range(TAGS)]
    for first in range(0, SECONDS, batch):
        made = []
        for second in range(first, min(first + batch, SECONDS)):
            ts = BEGIN + second * 1000
            record = {
                "schema": "edge.readings.v1", "agent": "gw-01", "device": "press-01", "epoch": EPOCH, "seq": second + 1,
                "low": second + 1, "ts": ts, "cat": 1,
                "readings": [
                    {"tag": name, "value": (second * 37 + place) * 0.1, "ts": ts, "quality": "good", "unit": "Cel"}
                    for place, name in enumerate(names)
                ],
            }  # fmt: skip
            payload = msgspec.json.encode(record)
            made.append(SourceMessage("plant", "edge", "edge/plant/press-01/readings", payload, retained=False, at=ts))
        yield made


def fill(store: Store, batch: int, database_cpu: Callable[[], float]) -> str:
    """Write all of it; what it cost."""
    store.open()
    wall = cpu = 0.0
    before = database_cpu()
    for made in messages(batch):
        began, used = time.perf_counter(), time.process_time()
        items = [item for message in made for item in read(message)]
        store.write(items, BEGIN + DAY)
        wall += time.perf_counter() - began
        cpu += time.process_time() - used
    readings = SECONDS * TAGS
    database = (database_cpu() - before) / readings * 1e6
    return (
        f"{readings / wall:>9,.0f} readings/s   historian {cpu / readings * 1e6:.2f} us"
        f"{f', database {database:.2f} us' if database else ''} a reading"
    )


async def behind_a_broker(database: str) -> str:
    """All of it waits at the broker, then the historian comes: how much memory it needs at most."""
    with TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        historian = HistorianProcess(Path(folder) / "hist", url=broker.url, database=database, retention=None)
        try:
            await historian.start()  # so that the broker knows its session
            idle = _peak(historian.pid)
            assert await historian.stop() == 0
            async with observing(broker.port, "nothing/#") as observer:
                for made in messages(10):
                    for message in made:
                        await observer.publish(message.topic, message.payload)
            await historian.start()
            whole = f"edge_agent_historian_records_total {float(SECONDS)}"

            async def stored() -> bool:
                return whole in await historian.metrics()

            await eventually(stored, timeout=600 + SECONDS, what="all of it is stored")
            peak = _peak(historian.pid)
            assert await historian.stop() == 0
            return f"behind a broker   peak rss {peak:.0f} MB, idle {idle:.0f} MB"
        finally:
            historian.__exit__()
            broker.kill()


def _peak(pid: int) -> float:
    """The most memory that a process had, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def timed(query: Callable[[], list[Any]]) -> str:
    """The third time it is asked."""
    for _ in range(2):
        query()
    began = time.perf_counter()
    rows = len(query())
    return f"one tag's {rows:,} readings of {SECONDS * TAGS:,}: {(time.perf_counter() - began) * 1000:.0f} ms"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A server with its disk as it is: fsync on."""
    made = Cluster()
    with (made.folder / "data" / "postgresql.conf").open("a") as file:
        file.write("fsync = on\nshared_buffers = 128MB\nmax_wal_size = 2GB\n")
    try:
        made.start()
        yield made
    finally:
        made.remove()


def cpu_of(server: Cluster) -> Callable[[], float]:
    """CPU seconds of all processes of the server that live."""

    def used() -> float:
        total = 0.0
        for process in psutil.process_iter(["cmdline", "cpu_times"]):
            if str(server.folder) in " ".join(process.info["cmdline"] or ()):
                for one in (process, *process.children()):
                    times = one.cpu_times()
                    total += times.user + times.system
        return total

    return used


def main() -> None:
    """Both databases, batches of one record, of ten (what the bytes of a transaction hold) and of twenty."""
    os.environ["EDGE_OWN_MEMORY"] = "1"  # started, not forked: what is measured is all its own
    print("sqlite     ", asyncio.run(behind_a_broker("sqlite:///plant.db")), flush=True)
    with cluster() as server:
        print("postgresql ", asyncio.run(behind_a_broker(server.database().url)), flush=True)
    for batch in (1, 10, 20):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "plant.db"
            store = SqliteStore(path, retention=None)
            print(f"sqlite      {batch:>2} records a transaction {fill(store, batch, lambda: 0.0)}", flush=True)
            store.close()
            with sqlite3.connect(path) as db:
                query = "SELECT ts, value FROM reading WHERE tag = 500 AND ts >= ? AND ts < ?"
                print("           ", timed(lambda: db.execute(query, (BEGIN, BEGIN + DAY)).fetchall()))  # noqa: B023
            size = path.stat().st_size / SECONDS / TAGS
            print(f"            {size:.0f} bytes a reading")
    for batch in (1, 10, 20):
        with cluster() as server:
            url = server.database().url
            settings = {"id": "bench", "database": url, "retention": None}
            database = postgres_store(HistorianSettings.model_validate(settings))
            print(f"postgresql  {batch:>2} records a transaction {fill(database, batch, cpu_of(server))}", flush=True)
            database.close()
            with psycopg.connect(url) as connection:
                asked = (
                    "SELECT ts, value FROM edge.reading WHERE tag = 500 AND ts >= to_timestamp(%s / 1000.0)"
                    " AND ts < to_timestamp(%s / 1000.0)"
                )
                print("           ", timed(lambda: connection.execute(asked, (BEGIN, BEGIN + DAY)).fetchall()))  # noqa: B023


if __name__ == "__main__":
    main()
