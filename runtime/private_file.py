"""Files of demo secrets: made once, whole or not at all, readable by their owner only.

Promise: of several processes that make the same file, one wins and all read the same; a killed one
leaves no half of it. Who calls: demo_staff.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


def read_or_make(path: Path, kind: type[T], make: Callable[[], T]) -> tuple[T, bool]:
    """The content of the JSON file at `path`; and whether this call made it, from `make`."""
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=kind), False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(make()), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces what another process made meanwhile.
        os.link(draft, path)
        made = True
    except FileExistsError:
        made = False
    finally:
        draft.unlink()
    return msgspec.json.decode(path.read_bytes(), type=kind), made
