"""deploy/systemd as its README has it, as far as a machine without systemd can tell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.support.processes import agent_command, run_process

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "systemd"


def test_the_steps_of_the_readme_fit_together(tmp_path: Path) -> None:
    """Every file a step copies is there, and `check` accepts the configuration where the steps put it."""
    steps = re.findall(r"^    (\S.*)$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    # docs/how-to/upgrade-and-downgrade.md: the first five bring a program; the next would replace files in use
    assert [step.startswith("install") for step in steps].index(True) == 5
    installed = {}
    for words in (shlex.split(step, comments=True) for step in steps):
        if words[0] == "install":
            source, target = words[-2:]
            assert (ROOT / source).is_file()
            installed[target] = tmp_path / target.lstrip("/")
            installed[target].parent.mkdir(parents=True, exist_ok=True)
            installed[target].write_bytes((ROOT / source).read_bytes())
    [checked] = [words for step in steps if (words := shlex.split(step, comments=True))[1:2] == ["check"]]
    done = run_process(*agent_command("check", "-c", str(installed[checked[3]])))
    assert (done.returncode, done.stderr) == (0, "")
    unit = installed["/etc/systemd/system/edge-agent.service"].read_text(encoding="utf-8")
    [link] = [words for step in steps if (words := shlex.split(step))[:2] == ["ln", "-s"]]
    assert link[3] == f"/usr/local/bin/{checked[0]}"  # so that it is found, also with sudo
    assert f"ExecStart={link[2]} run -c {checked[3]}" in unit
    assert "data_dir: /var/lib/edge-agent" in installed[checked[3]].read_text(encoding="utf-8")
    assert "StateDirectory=edge-agent" in unit
