"""`edge-agent trust`: what it lists, moves and refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.cli.trust import trust
from agent.collectors.opcua.trust.trustlist import TrustList
from tests.support.opcua_pki import Pair, make_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Pair:
    """A server's certificate."""
    return make_pair(tmp_path_factory.mktemp("papers"), "cnc")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose data directory is empty."""
    path = tmp_path / "agent.yaml"
    path.write_text(f"agent: {{id: gw-01, data_dir: {tmp_path / 'data'}}}\n", encoding="utf-8")
    return path


@pytest.fixture
def shelf(tmp_path: Path, pair: Pair) -> TrustList:
    """A trust list that has refused one certificate."""
    made = TrustList(tmp_path / "data" / "pki")
    made.reject(pair.certificate, "cnc-07", "opc.tcp://192.0.2.30:4840")
    return made


def test_an_empty_list_is_said(config: Path, capsys):
    """Nothing to see is no mistake."""
    assert trust(config, None) == 0
    assert "trusted: none\nrejected: none" in capsys.readouterr().out


def test_a_list_that_cannot_be_read_is_not_empty(config: Path, tmp_path: Path, capsys):
    """As an ordinary user at a `data_dir` that systemd keeps closed: who may look is told, in one line."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pki").touch()  # root may enter any folder, but nobody a file
    assert trust(config, None) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()) == (
        "", [f"{tmp_path / 'data' / 'pki'}: Not a directory -> run this command as root or as the agent's user"]
    )  # fmt: skip


def test_it_lists_what_was_refused(config: Path, shelf: TrustList, pair: Pair, capsys):
    """Enough to compare with the server's own screen, and who showed it."""
    assert trust(config, None) == 0
    said = capsys.readouterr().out
    assert pair.thumbprint in said
    assert "urn:test:server" in said
    assert "cnc-07 at opc.tcp://192.0.2.30:4840" in said


@pytest.mark.parametrize("name", ["cnc-07", "thumbprint", "beginning", "colons"])
def test_it_trusts_what_is_named(config: Path, shelf: TrustList, pair: Pair, name: str):
    """A device, a thumbprint or its beginning, as tools print it."""
    print_ = pair.thumbprint
    spelled = ":".join(print_[at : at + 2] for at in range(0, 40, 2)).upper()
    what = {"thumbprint": print_, "beginning": print_[:8], "colons": spelled}.get(name, name)
    assert trust(config, what) == 0
    assert [entry.thumbprint for entry in shelf.entries("trusted")] == [print_]
    assert shelf.entries("rejected") == []
    assert shelf.entries("trusted")[0].device == "cnc-07"


def test_trust_can_be_taken_back(config: Path, shelf: TrustList, pair: Pair, capsys):
    """`--remove` puts it among the rejected again; whoever takes trust away learns that a connection is cut too."""
    assert trust(config, "cnc-07") == 0
    assert "at the next try" in capsys.readouterr().out
    assert trust(config, pair.thumbprint[:6], remove=True) == 0
    assert "on a connection that stands too" in capsys.readouterr().out
    assert shelf.entries("trusted") == []
    assert len(shelf.entries("rejected")) == 1


@pytest.mark.parametrize("what", ["cnc-08", "00000000", "ab"])
def test_what_it_does_not_know_is_an_error(config: Path, shelf: TrustList, what: str, capsys):
    """Exit 1 and nothing moved."""
    assert trust(config, what) == 1
    assert "neither a device nor a thumbprint" in capsys.readouterr().err
    assert len(shelf.entries("rejected")) == 1


def test_a_broken_configuration_is_exit_2(tmp_path: Path, capsys):
    """As everywhere."""
    (tmp_path / "agent.yaml").write_text("agent: {}\n", encoding="utf-8")
    assert trust(tmp_path / "agent.yaml", None) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for another user")
def test_what_root_trusts_the_agents_user_can_read(config: Path, tmp_path: Path, shelf: TrustList, pair: Pair):
    """The agent runs as a user of its own, and its administrator says `sudo edge-agent trust`."""
    for path in (tmp_path / "data", *(tmp_path / "data").rglob("*")):
        os.chown(path, 65534, 65534)
    assert trust(config, "cnc-07") == 0
    made = [*(tmp_path / "data" / "pki").rglob("*")]
    assert any(path.parent.name == "trusted" for path in made)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(65534, 65534)}
