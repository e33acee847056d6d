"""A file system on an image file, whose power can be cut: root and the loop driver are needed."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """With the tools of /usr/sbin."""
    env = os.environ | {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env)


class Disk:
    """An ext4 in a file. `cut` gives what a machine would find after its power went."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder

    def mount(self, *options: str) -> None:
        """Skips the test where that is not allowed; fails it in CI as root."""
        self.folder.mkdir(exist_ok=True)
        done = run("mount", "-o", ",".join(["loop", *options]), str(self.image), str(self.folder))
        if done.returncode:
            if os.geteuid() == 0 and os.environ.get("CI"):
                pytest.fail(done.stderr)
            pytest.skip(f"mounting an image needs root and the loop driver: {done.stderr.strip()}")

    def remount(self, mode: str) -> None:
        """`ro` or `rw`."""
        done = run("mount", "-o", f"remount,{mode}", str(self.folder))
        assert done.returncode == 0, done.stderr

    def unmount(self) -> None:
        run("umount", "-l", str(self.folder))

    def cut(self, to: Path) -> None:
        """What the disk holds at this moment, its caches unwritten, as another image.

        The kernel may write meanwhile: a copy that is not of one moment shows by differing from its original.
        """
        for _ in range(100):
            shutil.copyfile(self.image, to)
            if filecmp.cmp(self.image, to, shallow=False):
                return
        pytest.fail("the disk does not come to rest")


def make_disk(folder: Path, size: str = "24M") -> Disk:
    """A fresh one, not mounted."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(int(size[:-1]) << 20)
    done = run(
        "mkfs.ext4", "-q", "-F", "-O", "^metadata_csum", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)
    )
    if done.returncode:
        pytest.skip(f"mkfs.ext4: {done.stderr.strip()}")
    return Disk(image, folder / "mounted")
