"""A PostgreSQL as a plant's administrator runs it, TLS and all, and one that is frozen while the historian ends."""

from __future__ import annotations

import json
import os
import signal

import pytest

from agent.historian.config import HistorianSettings
from agent.historian.stores.asking import asking
from agent.historian.stores.away import StoreAway
from agent.historian.stores.choice import store_of
from tests.support.certs import make_certs
from tests.support.historian import NOW, record
from tests.support.mqtt import observing
from tests.support.waiting import eventually


@pytest.fixture
def certs(tmp_path, postgres_cluster):
    """The server has a certificate of a private authority, for db.plant.local."""
    made = make_certs(tmp_path, hosts=("db.plant.local",), addresses=())
    with postgres_cluster.tls(made.server_cert, made.server_key):
        yield made


@pytest.fixture
def settings(postgres):
    def settings(**tls):
        return HistorianSettings.model_validate(
            {"id": "h", "database": postgres.url, "tls": {key: str(value) for key, value in tls.items()}}
        )

    return settings


def test_a_private_authority_is_trusted_by_name(postgres, certs, settings):
    """Written to and asked through TLS, with a certificate of one's own, under the name that the certificate has."""
    given = settings(
        ca_file=certs.ca, server_name="db.plant.local", cert_file=certs.client_cert, key_file=certs.client_key
    )
    store = store_of(given)
    store.open()
    store.write([record(1)], NOW)
    (encrypted,) = postgres.sql(
        "SELECT s.ssl, s.client_dn IS NOT NULL FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
        " WHERE a.application_name = 'edge-historian' AND a.datname = current_database()"
    )
    store.close()
    assert encrypted[0] is True
    with asking(given) as ask:
        assert list(ask("SELECT count(*) FROM reading", {})) == [(1,)]


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_stranger_is_refused_in_words(certs, settings, wrong):
    """Another authority, or another name: not one byte of a password is sent, and the reason says which it is."""
    trusted = certs.other_ca if wrong == "authority" else certs.ca
    name = {} if wrong == "name" else {"server_name": "db.plant.local"}
    with pytest.raises(StoreAway) as raised:
        store_of(settings(ca_file=trusted, **name)).open()
    assert ("certificate verify failed" if wrong == "authority" else "does not match host name") in raised.value.reason


async def test_a_frozen_database_does_not_keep_the_historian_from_ending(mosquitto, make_historian, postgres):
    """Exit 0 within the time; what was in its hands is not acknowledged, comes again, and stands once."""
    historian = make_historian(mosquitto.url, database=postgres.url)
    await historian.start()
    backends = await eventually(lambda: _backends(postgres), what="the historian is connected")
    one = {"schema": "edge.readings.v1", "agent": "gw", "device": "d", "epoch": "E", "low": 1, "ts": NOW, "cat": 1,
           "readings": [{"tag": "t", "value": 7, "ts": NOW, "quality": "good"}]}  # fmt: skip
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with observing(mosquitto.port, "nothing/#") as observer:
            for seq in range(1, 4):
                await observer.publish("edge/d/readings", json.dumps(one | {"seq": seq}).encode())
        assert await historian.stop() == 0
        assert historian.events("historian.database_left")
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
    await historian.start()
    await eventually(lambda: historian.sql("SELECT seq, value FROM reading ORDER BY 1") == [(1, 7), (2, 7), (3, 7)])
    assert historian.events("component.bug") == []
    assert await historian.stop() == 0


async def test_a_connection_that_broke_is_made_again_though_nothing_comes(mosquitto, make_historian, postgres):
    """The server was restarted at night: the historian says so, and is ready again before the next message."""
    historian = make_historian(mosquitto.url, database=postgres.url)
    await historian.start()
    (pid,) = await eventually(lambda: _backends(postgres), what="the historian is connected")
    postgres.sql(f"SELECT pg_terminate_backend({pid})")
    await eventually(lambda: historian.events("historian.database_offline"), what="it notices")
    await eventually(lambda: len(historian.events("historian.database_online")) == 2, what="it is there again")
    assert await historian._is_ready()
    assert await historian.stop() == 0


def _backends(postgres):
    rows = postgres.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'edge-historian' AND datname = current_database()"
    )
    return [pid for (pid,) in rows]
