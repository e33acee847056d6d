"""Changed files are noticed within 5 s, whatever way they change; what is no change, or half of one, is none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent.config.files import Reads
from agent.config.loader import load
from agent.core.errors import ConfigError
from agent.runtime.reload.watch import CLOSER, EVERY, SETTLED, Watch, verdict
from agent.testing.clock import ManualClock
from tests.support.waiting import eventually

MAIN = """
agent: {id: gw, reload: watch}
include: [d/*.yaml]
publishers: {plant: {type: mqtt, url: "mqtt://192.0.2.1", username: u, password_file: secret}}
"""
DEVICE = "devices: {press: {type: modbus, url: tcp://192.0.2.1, tags_file: t.csv}}\n"
TABLE = "tag,address\na,holding:0\n"
#: Longest time from a change to the reload.
NOTICED = EVERY + SETTLED + 2 * CLOSER


class Site:
    """A folder of configuration files and a watch over them, as the agent uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.main = folder / "agent.yaml"
        self.clock = ManualClock()
        self.reloads: list[str] = []
        self.renewed: list[Path] = []
        self.missing: list[Sequence[str]] = []
        self.watch = Watch(self.clock, reload=self.reload, renewed=self.renewed.extend, missing=self.missing.append)
        self.write("agent.yaml", MAIN)
        self.write("d/press.yaml", DEVICE)
        self.write("d/t.csv", TABLE)
        self.write("secret", "hunter2\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)

    def load(self) -> str:
        reads = Reads()
        try:
            load(self.main, {}, reads=reads)
        except ConfigError as error:
            self.watch.attempted(reads, applied=False, files=True)
            return str(error)
        self.watch.attempted(reads, applied=True, files=True)
        return "ok"

    async def reload(self) -> None:
        self.reloads.append(self.load())

    async def after(self, seconds: float = NOTICED) -> list[str]:
        """Let time pass; the reloads there were meanwhile."""
        end = self.clock.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.watch.run())
            while self.clock.monotonic() < end:
                await eventually(lambda: self.clock.sleepers == 1, what="the look is over")
                await self.clock.advance(CLOSER)
            await eventually(lambda: self.clock.sleepers == 1, what="the look is over")
            task.cancel()
        reloads, self.reloads = self.reloads, []
        return reloads


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """Loaded, and at rest."""
    made = Site(tmp_path)
    assert made.load() == "ok"
    assert await made.after() == []
    return made


def _edit(site: Site) -> None:
    site.write("agent.yaml", MAIN + "log: {level: debug}\n")


def _rename(site: Site) -> None:
    site.write("new", MAIN + "log: {level: debug}\n")
    (site.folder / "new").rename(site.main)


def _backup_and_rename(site: Site) -> None:
    site.main.rename(site.folder / "agent.yaml~")
    _rename(site)


def _table(site: Site) -> None:
    site.write("d/t.csv", TABLE + "b,holding:1\n")


def _another(site: Site) -> None:
    site.write("d/other.yaml", "devices: {other: {type: modbus, url: tcp://192.0.2.2}}\n")


def _one_less(site: Site) -> None:
    _another(site)
    (site.folder / "d/press.yaml").unlink()
    (site.folder / "d/t.csv").unlink()


@pytest.mark.parametrize("change", [_edit, _rename, _backup_and_rename, _table, _another, _one_less])
async def test_a_change_is_noticed_within_five_seconds(site: Site, change: Callable[[Site], None]) -> None:
    """Whatever way a file changes, comes or goes, the configuration is read again once."""
    change(site)
    assert NOTICED <= 5
    assert await site.after() == ["ok"]
    assert await site.after(30) == []


async def test_a_change_between_reading_and_watching_is_noticed(tmp_path: Path) -> None:
    """What counts is what was read, not what the first look finds."""
    site = Site(tmp_path)
    site.load()
    _edit(site)
    assert await site.after() == ["ok"]


async def test_the_same_again_is_no_change(site: Site) -> None:
    """A configuration that is delivered again as it was reloads nothing."""
    site.write("new", MAIN)
    (site.folder / "new").rename(site.main)
    os.utime(site.folder / "d/t.csv")
    assert await site.after(30) == []


async def test_a_file_that_is_being_written_is_waited_for(site: Site) -> None:
    """A partial write is not read: only what was left alone for a moment counts."""
    text = MAIN + "log: {level: debug}\n"
    for length in range(0, len(text), 20):
        site.main.write_text(text[:length])
        assert await site.after(CLOSER) == []
    site.main.write_text(text)
    assert await site.after() == ["ok"]


@pytest.mark.parametrize("name", ["agent.yaml", "d/t.csv", "d/press.yaml"])
async def test_what_is_missing_for_a_while_is_waited_for(site: Site, name: str) -> None:
    """A file that goes and comes back was never away; with other contents it is a change."""
    kept = (site.folder / name).read_text()
    (site.folder / name).unlink()
    assert await site.after(60) == []
    assert site.missing == [[str(site.folder / name)]]
    site.write(name, kept)
    assert await site.after(30) == []
    assert site.missing[1:] == [()]
    (site.folder / name).unlink()
    assert await site.after() == []
    site.write(name, kept + "\n# changed\n" if name.endswith("yaml") else kept + "c,holding:7\n")
    assert await site.after() == ["ok"]


async def test_a_config_map_is_swapped(tmp_path: Path) -> None:
    """Kubernetes swaps a symbolic link, `..data`, under files whose own names never change."""
    site = Site(tmp_path)
    for version, level in (("..v1", "info"), ("..v2", "debug")):
        site.write(f"map/{version}/agent.yaml", MAIN + f"log: {{level: {level}}}\n")
        for name in ("d/press.yaml", "d/t.csv", "secret"):
            site.write(f"map/{version}/{name}", (tmp_path / name).read_text())
    (tmp_path / "map/..data").symlink_to("..v1")
    for name in ("agent.yaml", "d", "secret"):
        (tmp_path / "map" / name).symlink_to(f"..data/{name}")
    site.main = tmp_path / "map/agent.yaml"
    assert site.load() == "ok"
    assert await site.after() == []
    (tmp_path / "map/..tmp").symlink_to("..v2")
    (tmp_path / "map/..tmp").rename(tmp_path / "map/..data")
    assert await site.after() == ["ok"]
    assert site.renewed == []


async def test_a_mistake_is_tried_once_and_its_correction_too(site: Site) -> None:
    """A broken configuration is read once, not every two seconds; the file that mends it is noticed."""
    site.write("d/press.yaml", DEVICE.replace("t.csv", "gone.csv"))
    [mistake] = await site.after()
    assert "gone.csv" in mistake
    assert await site.after(60) == []
    site.write("d/gone.csv", TABLE)
    assert await site.after() == ["ok"]
    site.write("agent.yaml", "agent: {id: [")
    assert len(await site.after()) == 1
    site.write("agent.yaml", MAIN)
    assert await site.after() == ["ok"]


async def test_secrets(site: Site) -> None:
    """A changed secret is told, and reloads nothing; one that was away and is back is told too."""
    secret = site.folder / "secret"
    secret.write_text("hunter3\n")
    assert await site.after() == []
    assert site.renewed == [secret]
    secret.unlink()
    assert await site.after() == []
    assert site.renewed == [secret]
    secret.write_text("hunter3\n")
    assert await site.after() == []
    assert site.renewed == [secret, secret]
    os.utime(secret)
    await site.after()
    assert site.renewed == [secret, secret]


async def test_without_watch_only_secrets_are_watched(site: Site) -> None:
    """`reload: signal` leaves the configuration's own files alone; secrets count whatever it says."""
    site.watch.attempted(load(site.main, {}).reads, applied=True, files=False)
    _edit(site)
    site.write("secret", "other\n")
    assert await site.after(30) == []
    assert site.renewed == [site.folder / "secret"]


async def test_a_refused_configuration_keeps_the_secrets_that_run(site: Site) -> None:
    """The secrets of the configuration in force go on being watched while another one has mistakes."""
    site.write("agent.yaml", "agent: {id: [")
    assert len(await site.after()) == 1
    site.write("secret", "other\n")
    await site.after()
    assert site.renewed == [site.folder / "secret"]


def test_a_pattern_that_matches_nothing_any_more_is_missing() -> None:
    """A folder that is replaced as a whole is empty for a moment: that does not remove all devices."""
    glob = ("d/*.yaml", Path("/x"))
    read = Reads({Path("/x/a.yaml"): "1", Path("/x/d/b.yaml"): "2"}, {}, {glob: ("d/b.yaml",)})
    assert verdict(read, Reads({Path("/x/a.yaml"): "1", Path("/x/d/b.yaml"): ""}, {}, {glob: ()})) == "missing"
    for main, device, names, expected in (
        ("1", "", (), "missing"),
        ("", "2", ("d/c.yaml",), "missing"),
        ("1", "", ("d/c.yaml",), "changed"),
        ("1", "2", ("d/b.yaml",), "same"),
    ):
        now = Reads({Path("/x/a.yaml"): main, Path("/x/d/b.yaml"): device}, {}, {glob: names})
        assert verdict(read, now) == expected
