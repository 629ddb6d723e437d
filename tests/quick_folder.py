"""Where the servers of a test session keep their data: in memory where there is room, else on disk.

Promise: the servers are the same, with every setting that makes commits durable; only waiting for
the disk falls away, which was most of a test's time. What a killed session left is removed by the
next. Tests of crashes and of power cuts choose their own disks.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 4 * 1024**3
PREFIX: Final = "smartid-tests-"


@contextmanager
def quick_folder(otherwise: Path) -> Iterator[Path]:
    """A fresh folder in memory, or one below `otherwise` where memory is short or not mounted."""
    if not _has_room():
        yield otherwise
        return
    _forget_the_dead()
    with tempfile.TemporaryDirectory(
        dir=MEMORY, prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _has_room() -> bool:
    return (
        MEMORY.is_dir()
        and os.access(MEMORY, os.W_OK)
        and shutil.disk_usage(MEMORY).free >= ROOM_BYTES
    )


def _forget_the_dead() -> None:
    for left in MEMORY.glob(f"{PREFIX}*"):
        owner = left.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
