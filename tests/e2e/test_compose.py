"""deploy/compose without containers: each service's own file, run by the program that is in its image.

Only places change: where secrets and volumes are, and what a name on compose's network leads to.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import psycopg
import pytest

from tests.support.ports import accepts, free_port
from tests.support.processes import agent_command, process, run_process
from tests.support.waiting import eventually, eventually_sync

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "compose"


@pytest.fixture
def place(tmp_path):
    """Writes a file of the folder into the test's, with other places in it."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (names,) = re.findall(r"for name in (.*); do", (FOLDER / "README.md").read_text())
    for name in names.split():
        (secrets / f"{name}_password").write_text(f"secret of {name}\n")
        (secrets / f"{name}_password").chmod(0o644)

    def place(name, **places):
        text = (FOLDER / name).read_text().replace("/run/secrets", str(secrets))
        for was, new in places.values():
            assert was in text
            text = text.replace(was, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return place


@pytest.fixture
def broker(place, tmp_path):
    """Port of mosquitto with mosquitto.conf, and the users that the README makes."""
    passwords = tmp_path / "secrets" / "mosquitto_passwd"
    for first, user, secret in (("-c", "gw-01", "mqtt"), (None, "historian", "historian_mqtt")):
        word = (tmp_path / "secrets" / f"{secret}_password").read_text().strip()
        made = run_process("mosquitto_passwd", *([first] if first else []), "-b", str(passwords), user, word)
        assert made.returncode == 0, made.stderr
    port, data = free_port(), tmp_path / "mosquitto"
    data.mkdir()
    changed = place(
        "mosquitto.conf", port=("listener 1883", f"listener {port} 127.0.0.1"), data=("/mosquitto/data", str(data))
    )
    if os.geteuid() == 0:  # it would become a user that cannot read the test's folder
        changed.write_text(changed.read_text() + "user root\n")
    with process("mosquitto", "-c", str(changed)):
        eventually_sync(lambda: accepts(port), what="mosquitto listens")
        yield port


@pytest.fixture
def database(place, start_postgres):
    """PostgreSQL after database.sql, asking for passwords; its port."""
    cluster = start_postgres()
    admin = f"postgresql://postgres@127.0.0.1:{cluster.port}/plant"
    with psycopg.connect(f"postgresql://edge@127.0.0.1:{cluster.port}/postgres", autocommit=True) as first:
        first.execute("CREATE ROLE postgres SUPERUSER LOGIN")
        first.execute("CREATE DATABASE plant OWNER postgres")
        ((access,),) = first.execute("SHOW hba_file")
    with psycopg.connect(admin, autocommit=True) as second:
        second.execute("ALTER ROLE edge RENAME TO former")  # the superuser of this test's cluster
        Path(access).write_text("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        second.execute("SELECT pg_reload_conf()")
    made = run_process("psql", "-X", "-q", "-d", admin, "-f", str(place("database.sql")))
    assert (made.returncode, made.stderr) == (0, "")
    return cluster.port


async def test_from_the_agent_into_the_database_that_grafana_reads(place, broker, database, tmp_path):
    """With passwords everywhere: the agent publishes, the historian stores, Grafana's user reads and cannot write."""
    server = "mqtt://broker:1883", f"mqtt://127.0.0.1:{broker}"
    historian = place(
        "historian.yaml", data=("data_dir: /data", f"data_dir: {tmp_path / 'hist'}"), broker=server,
        at=("port: 8081", f"port: {free_port()}"),
        database=("edge@postgres/plant", f"edge@127.0.0.1:{database}/plant"),
    )  # fmt: skip
    agent = place(
        "agent.yaml", data=("data_dir: /data", f"data_dir: {tmp_path / 'agent'}"),
        broker=server, at=("port: 8080", f"port: {free_port()}"),
        device=("192.168.10.21:502", f"127.0.0.1:{free_port()}"),
    )  # fmt: skip
    word = "secret%20of%20grafana_database"
    reader = f"postgresql://grafana:{word}@127.0.0.1:{database}/plant"

    def stored():
        try:
            with psycopg.connect(reader) as connection:
                ((count,),) = connection.execute("SELECT count(*) FROM edge.current WHERE device = 'press-01'")
                return count
        except psycopg.Error as error:  # its tables are not there yet
            raise AssertionError(str(error)) from error

    with process(*agent_command("historian", "-c", str(historian))), process(*agent_command("run", "-c", str(agent))):
        await eventually(stored, what="Grafana's user sees what the agent says of its device")
    with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM edge.gap")
