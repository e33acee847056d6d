"""deploy/ansible, with ansible-core, on this machine in the place of a gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.ports import free_port
from tests.support.processes import ROOT, agent_command, process, run_process
from tests.support.waiting import eventually_sync

FOLDER = ROOT / "deploy" / "ansible"
BIN = Path(sys.executable).parent


class Controller:
    """The machine with the repository of configurations; its one gateway is a folder here."""

    def __init__(self, folder: Path, url: str) -> None:
        self.etc = folder / "etc"
        self.config = self.etc / "current" / "agent.yaml"
        self._folder = folder
        self._repository = folder / "plant"
        self._agent = self._repository / "gateways" / "gw-01" / "agent.yaml"
        self._agent.parent.mkdir(parents=True)
        inventory = yaml.safe_load((FOLDER / "inventory.yaml").read_text())
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory["gateways"] = {"hosts": {"gw-01": here}}
        (folder / "inventory.yaml").write_text(yaml.safe_dump(inventory))
        self._git("init", "--quiet")
        self._document: dict[str, Any] = {
            "agent": {"id": "gw-01", "data_dir": str(folder / "data")},
            "include": ["../common/templates.yaml"],
            "http": None,
            "publishers": {"plant": {"type": "mqtt", "url": url}},
            "devices": {"press-01": {
                "template": "press", "url": f"tcp://127.0.0.1:{free_port()}",
            }},
        }  # fmt: skip
        common = self._agent.parents[1] / "common" / "templates.yaml"
        common.parent.mkdir()
        common.write_text("templates: {press: {device: {type: modbus, tags: {x: {address: 'holding:0'}}}}}")
        self.write()

    def _git(self, *arguments: str) -> None:
        who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgSign=false")
        subprocess.run(["git", "-C", str(self._repository), *who, *arguments], check=True)

    def write(self, **plant: object) -> None:
        """Change keys of the publisher."""
        self._document["publishers"]["plant"] |= plant
        self._agent.write_text(json.dumps(self._document, indent=1))

    def commit(self, **plant: object) -> None:
        """Change keys of the publisher, and commit."""
        self.write(**plant)
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "Change the plant")

    def play(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the playbook."""
        given = {
            "etc": str(self.etc), "program": str(BIN.parent), "service": "",
            "configurations": str(self._agent.parents[1]),
        } | variables  # fmt: skip
        return run_process(
            str(BIN / "ansible-playbook"), "-i", str(self._folder / "inventory.yaml"),
            "--extra-vars", json.dumps(given), str(FOLDER / "gateways.yaml"),
            timeout=90, env={"ANSIBLE_HOME": str(self._folder / "ansible"), "ANSIBLE_NOCOLOR": "1"},
        )  # fmt: skip

    def version(self) -> str:
        """The commit that is in force."""
        return (self.etc / "current").readlink().parent.name


def test_the_playbook_is_ansibles_language() -> None:
    """`ansible-playbook --syntax-check`, with the inventory that is shipped."""
    done = run_process(
        str(BIN / "ansible-playbook"), "--syntax-check", "-i", str(FOLDER / "inventory.yaml"),
        str(FOLDER / "gateways.yaml"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.soak  # half a minute; `make check` runs it
def test_what_is_committed_comes_into_force_or_the_former_stays(tmp_path: Path, mosquitto: Any) -> None:
    """What is not committed or not right never gets to the agent; what does not return is taken back."""
    plant = Controller(tmp_path, mosquitto.url)
    plant.commit()
    plant.write(window=10)
    refused = plant.play()
    assert refused.returncode != 0
    assert "every version that runs must be in version control" in refused.stdout
    plant.commit()
    first = plant.play()
    assert first.returncode == 0, first.stdout + first.stderr
    with process(*agent_command("run", "-c", str(plant.config))) as agent:
        eventually_sync(lambda: '"publisher.online"' in agent.stdout, what="the agent is at its broker")
        before = plant.version()

        plant.commit(window=40)
        applied = plant.play()
        assert applied.returncode == 0, applied.stdout + applied.stderr
        good = plant.version()
        assert good != before
        assert "config.reloaded" in agent.stdout

        plant.commit(window="many")
        wrong = plant.play()
        assert wrong.returncode != 0
        assert "publishers.plant.window" in wrong.stdout
        assert plant.version() == good

        plant.commit(window=40, url=f"mqtt://127.0.0.1:{free_port()}")
        lost = plant.play(wait="2s")
        assert lost.returncode != 0
        assert "did not come into force: publishers.plant is not back" in " ".join(lost.stdout.split()), lost.stdout
        assert plant.version() == good
        same = run_process(*agent_command("diff", "-c", str(plant.config)))
        assert same.returncode == 0, same.stdout + same.stderr
