"""What is promised of the container image, measured on one that runs: `make test-image` builds it and calls this.

    python -m tests.image IMAGE BASE MINUTES|foreign

The image serves three times: a simulated plant, the agent, which shares the plant's network, and a historian. The
broker is a mosquitto of the host. With MINUTES the agent, the historian and the broker are killed and the network is
cut for so long; then nothing may be missing. Exit 1 where a promise is broken. Needs root (network namespaces), podman.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.image.chaos import close_books, storm
from tests.image.podman import ANYWHERE, Container, compressed, podman
from tests.image.site import Site
from tests.support.processes import ROOT, agent_command, run_process

LIMIT_MB = 60
STOP_S = 8.0
#: Instead of minutes: an image of another machine, emulated. It is weighed and started, and not hurried.
FOREIGN = "foreign"


class Results:
    """Lines as they are found, and whether all were good."""

    def __init__(self) -> None:
        self.ok = True

    def __call__(self, what: str, fine: bool, found: object) -> None:
        self.ok = self.ok and fine
        print(f"  {'ok    ' if fine else 'FAILED'} {what}: {found}", flush=True)  # noqa: T201


def look_inside(result: Results, image: str, base: str, folder: Path) -> None:
    """What it holds and weighs."""
    size, below = compressed(image, base, folder)
    result(
        f"compressed, over the base, under {LIMIT_MB} MB",
        size < LIMIT_MB * 1e6,
        f"{size / 1e6:.1f} MB (base {below / 1e6:.1f} MB)",
    )
    version = run_process(sys.executable, "deploy/version.py", cwd=ROOT, timeout=30).stdout.strip()
    here = f"edge-agent {version}"
    said = podman("run", "--rm", *ANYWHERE, "--network=none", "--no-healthcheck", image, "--version").stdout.strip()
    result("--version", said == here, said)
    architecture = podman("image", "inspect", "--format={{.Os}}/{{.Architecture}} user {{.User}}", image).stdout.strip()
    result("user", architecture.endswith("user 10001:10001"), architecture)


def look_at(result: Results, one: Container) -> None:
    """What the restrictions are to the process that runs, and what it needs of them."""
    status = one.proc("status")
    capabilities = {name: status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")}
    result("no capabilities", set(capabilities.values()) == {"0" * 16}, capabilities)
    result(
        "no new privileges, a user of its own",
        (status["NoNewPrivs"], status["Uid"].split()[0]) == ("1", "10001"),
        f"NoNewPrivs {status['NoNewPrivs']}, Uid {status['Uid'].split()[0]}",
    )
    write = one.run("python", "-c", "open('/opt/edge-agent/x', 'w')")
    result("read-only root", "Read-only file system" in write.stderr, write.stderr.strip().rpartition("\n")[2])
    tools = one.run("ls", "/opt/edge-agent/bin").stdout.split()
    result(
        "no pip, no commands of libraries",
        not [
            name for name in tools if name != "edge-agent" and not name.startswith(("python", "activate", "Activate"))
        ],
        " ".join(tools),
    )
    healthy, name = one.health()
    result("health check", healthy, name or healthy)


def memory(result: Results, one: Container) -> None:
    """How much of the 128 MB it has ever taken."""
    peak = int(one.proc("status")["VmHWM"].split()[0]) / 1024
    killed = one.state()["OOMKilled"]
    result("in 128 MB", not killed and peak < 128, f"peak RSS {peak:.0f} MB, out of memory: {killed}")


def promises(result: Results, site: Site) -> None:
    """Against a broker: readings arrive; it stops in time with the broker, and without it."""
    result("healthy after", True, f"{site.agent.until_healthy():.1f} s")
    site.settle()
    look_at(result, site.agent)
    heard = run_process(*agent_command("verify", "--url", site.broker.url, "--seconds", "10"), timeout=60)
    line = heard.stdout.strip().rpartition("\n")[2]
    result("readings of a consumer", heard.returncode == 0 and "missing=0" in line, line)
    for what, alone in (("SIGTERM", False), ("SIGTERM without a broker", True)):
        if alone:
            site.agent.start()
            site.settle()
            site.plant.link(up=False)
        memory(result, site.agent)
        code, seconds = site.agent.terminate()
        site.plant.link(up=True)
        result(
            f"{what}: exit 0 within {STOP_S:.0f} s",
            code == 0 and seconds <= STOP_S,
            f"exit {code} after {seconds:.1f} s",
        )
    site.agent.start()


def main(image: str, base: str, minutes: str) -> int:
    """Everything in turn; the exit code."""
    result = Results()
    with TemporaryDirectory(prefix="edge-image-") as made, ExitStack() as stack:
        folder = Path(made)
        folder.chmod(0o755)  # the container's user reads its configuration here
        look_inside(result, image, base, folder)
        if minutes != FOREIGN:
            site = stack.enter_context(Site(image, folder))
            promises(result, site)
            if float(minutes):
                storm(result, site, float(minutes), folder)
                memory(result, site.agent)
                memory(result, site.historian)
                close_books(result, site)
    print("image: all promises kept" if result.ok else "image: a promise is broken")  # noqa: T201
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
