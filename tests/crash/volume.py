"""A small disk of its own: an ext4 file system in a file, mounted over a loop device.

Promise: `cut_power` stops the file system at one instant, as `godown` of xfstests does
(EXT4_IOC_SHUTDOWN without flushing the log): from then on nothing reaches the image any more,
whatever still lies in the page cache is lost, and the image holds what the disk had been given.
What it leaves out: a disk that forgets what it said it had flushed. Whatever a test comes to,
mount and loop device are gone afterwards. Needs root and loop devices; `why_not` says what lacks.

Callers: test_power_cut, test_disk_full.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.crash.harness import of_folder

_EXT4_IOC_SHUTDOWN: Final = 0x8004587D
"""_IOR('X', 125, __u32)"""

_NO_LOG_FLUSH: Final = 2
_PROGRAMS: Final = ("losetup", "mkfs.ext4", "mount", "umount")


class Volume:
    """One image, mounted at `at` while `mounted`."""

    def __init__(self, image: Path, at: Path) -> None:
        self.image = image
        self.at = at
        self._loop: str | None = None
        self._mounted = False

    def mount(self) -> None:
        """Attach and mount; ext4 replays its own journal, as after any cut."""
        self.at.mkdir(exist_ok=True)
        self._loop = _run("losetup", "--find", "--show", str(self.image)).strip()
        _run("mount", "-t", "ext4", self._loop, str(self.at))
        self._mounted = True
        self.at.chmod(0o711)

    def cut_power(self) -> None:
        """Nothing reaches the image after this moment."""
        folder = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def sync(self) -> None:
        """Everything written so far is on the image."""
        _run("sync", "-f", str(self.at))

    def kill_everything(self) -> None:
        """`kill -9` of every process that works on this disk; they are gone when it returns."""
        while found := of_folder(self.at):
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.02)

    def unmount(self) -> None:
        """Let go of it, of a server that hangs on a full disk too."""
        self.kill_everything()
        if self._mounted:
            try:
                _run("umount", str(self.at))
            except subprocess.CalledProcessError:
                _run("umount", "--lazy", str(self.at))
            self._mounted = False
        if self._loop is not None:
            _run("losetup", "--detach", self._loop)
            self._loop = None

    def free_bytes(self) -> int:
        found = os.statvfs(self.at)
        return found.f_bavail * found.f_frsize


@contextlib.contextmanager
def volume(folder: Path, megabytes: int, copied_from: Path | None = None) -> Iterator[Volume]:
    """A mounted volume of this size, empty or with another image's content."""
    image = folder / "disk.img"
    if copied_from is None:
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        # No reserve for root: nobody but PostgreSQL lives here.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    else:
        _run("cp", "--sparse=always", str(copied_from), str(image))
    made = Volume(image, folder / "disk")
    try:
        made.mount()
        yield made
    finally:
        made.unmount()
        image.unlink(missing_ok=True)


def why_not() -> str | None:
    """What a volume needs and does not find here; None when all is there."""
    if not sys.platform.startswith("linux"):
        return "loop devices are Linux's"
    if os.geteuid() != 0:
        return "mounting needs root"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if not Path("/dev/loop-control").exists():
        return "no loop devices here"
    return _cannot_mount()


def _cannot_mount() -> str | None:
    """Containers may have root and devices, and still not be let mount."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with volume(Path(folder), 8):
                return None
        except (OSError, subprocess.CalledProcessError) as error:
            return f"loop mounts are not allowed here: {error}"


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
