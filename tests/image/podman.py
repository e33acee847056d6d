"""Containers of one image, as restricted as deploy/compose and deploy/kubernetes run them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.support.waiting import eventually_sync

#: What any host lets a container have: podman's own limits of open files and processes are higher than some allow,
#: and crun refuses the cgroups of some.
ANYWHERE = ("--runtime=runc", "--ulimit=nofile=1024:4096", "--ulimit=nproc=4096:4096")

#: No capabilities, nothing to write to but volumes and /tmp, 128 MB without swap.
RESTRICTED = (
    *ANYWHERE,
    "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:size=16m,mode=1777",
    "--cap-drop=all", "--security-opt=no-new-privileges", "--memory=128m", "--memory-swap=128m", "--pids-limit=128",
    # asked for by hand: podman's own timer needs systemd
    "--health-interval=disable",
)  # fmt: skip


def podman(*arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run one command; what it says on standard error is raised with it."""
    done = subprocess.run(
        ["podman", *arguments], capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise RuntimeError(f"podman {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Container:
    """One container; as a context manager it is gone afterwards, with its volume."""

    def __init__(self, image: str, name: str, *options: str, command: tuple[str, ...]) -> None:
        self.name = f"edge-image-{name}"
        self.volume = f"{self.name}-data"
        self._image = image
        self._options = options
        self._command = command

    def __enter__(self) -> Self:
        self._remove()
        podman(
            "run", "--detach", f"--name={self.name}", f"--volume={self.volume}:/data", *RESTRICTED, *self._options,
            self._image, *self._command,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        podman("rm", "--force", "--time=0", self.name, check=False)
        podman("volume", "rm", "--force", self.volume, check=False)

    def start(self) -> None:
        """Again, after its end."""
        podman("start", self.name)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        podman("kill", "--signal=KILL", self.name, check=False)
        podman("wait", self.name)

    def terminate(self) -> tuple[int, float]:
        """SIGTERM; exit code, and seconds until the end."""
        began = time.monotonic()
        podman("kill", "--signal=TERM", self.name)
        code = int(podman("wait", self.name).stdout)
        return code, time.monotonic() - began

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command inside."""
        return podman("exec", self.name, *command, check=False)

    def health(self) -> tuple[bool, str]:
        """Whether the image's own health check is content, and what podman calls that."""
        done = podman("healthcheck", "run", self.name, check=False)
        health = self.state().get("Health") or self.state().get("Healthcheck") or {}
        return done.returncode == 0, health.get("Status", "")

    def state(self) -> dict[str, Any]:
        """What podman knows of its process."""
        state: dict[str, Any] = json.loads(podman("inspect", self.name).stdout)[0]["State"]
        return state

    def address(self) -> tuple[str, str]:
        """Its own address, and its gateway's: the host."""
        network = json.loads(podman("inspect", self.name).stdout)[0]["NetworkSettings"]["Networks"]["podman"]
        return network["IPAddress"], network["Gateway"]

    def link(self, *, up: bool) -> None:
        """Pull the cable of its network, or put it back."""
        pid = str(self.state()["Pid"])
        subprocess.run(
            ["nsenter", "-t", pid, "-n", "ip", "link", "set", "eth0", "up" if up else "down"], check=True, timeout=10
        )

    def proc(self, name: str) -> dict[str, str]:
        """A file of /proc/1 with lines `key: value`."""
        text = self.run("cat", f"/proc/1/{name}").stdout
        return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}

    def json(self, *command: str) -> dict[str, Any]:
        """What a command inside prints as JSON; {} while there is none."""
        with contextlib.suppress(ValueError):
            document: dict[str, Any] = json.loads(self.run(*command).stdout)
            return document
        return {}

    def log(self) -> str:
        """Standard output and error so far."""
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def data(self) -> Path:
        """Where its volume lies on the host."""
        return Path(podman("volume", "inspect", "--format={{.Mountpoint}}", self.volume).stdout.strip())

    def until_healthy(self, seconds: float = 60) -> float:
        """Seconds until its health check is content."""
        began = time.monotonic()
        eventually_sync(lambda: self.health()[0], seconds, f"{self.name} is healthy")
        return time.monotonic() - began


def compressed(image: str, base: str, folder: Path) -> tuple[int, int]:
    """Bytes of the image's compressed layers that are not the base's, and of the base's."""

    def layers(name: str) -> list[dict[str, Any]]:
        target = folder / name.rpartition("/")[2].replace(":", "-")
        subprocess.run(["buildah", "push", "--quiet", "--format=oci", name, f"oci:{target}:x"], check=True, timeout=600)
        index = json.loads((target / "index.json").read_text())
        digest = index["manifests"][0]["digest"].removeprefix("sha256:")
        found: list[dict[str, Any]] = json.loads((target / "blobs" / "sha256" / digest).read_text())["layers"]
        return found

    below = layers(base)
    return sum(one["size"] for one in layers(image)[len(below) :]), sum(one["size"] for one in below)
