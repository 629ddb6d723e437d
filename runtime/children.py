"""Child processes that never outlive this one, and that are not root where root is refused.

Promise: a child started here is told to end by the kernel the moment this process dies, `kill -9`
included. PostgreSQL refuses to run as root; a child of root becomes the owner of its folder (or
`nobody`) and keeps only the right to pass through folders closed to it, so that a data folder works
anywhere, even below a 0700 home. Called by runtime.embedded and runtime.supervisor, from the main
thread only: the kernel counts the death of the starting *thread* as the parent's death.
"""

import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECUREBITS: Final = 28
_SECBIT_NO_SETUID_FIXUP: Final = 1 << 2
_PR_SET_KEEPCAPS: Final = 8
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_DAC_OVERRIDE: Final = 1
_CAPABILITY_HEADER: Final = struct.pack("Ii", 0x20080522, 0)
_ONLY_DAC_OVERRIDE: Final = struct.pack("IIIIII", *[1 << _CAP_DAC_OVERRIDE] * 3, 0, 0, 0)
_NOBODY: Final = 65534
_ON_LINUX: Final = sys.platform.startswith("linux")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Person(Struct, frozen=True, kw_only=True):
    """Whom a child runs as, and whether it may pass folders closed to that person."""

    uid: int
    gid: int
    passes_closed_folders: bool


class CannotStart(Exception):
    """A server or process cannot be had here; the text says what to do about it."""


def person_for(folder: Path) -> Person | None:
    """Whom servers working in `folder` run as: None (stay as we are) unless we are root."""
    if os.geteuid() != 0:
        return None
    owner = folder.stat()
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else (_NOBODY, _NOBODY)
    if _may_pass_on_dac_override():
        return Person(uid=uid, gid=gid, passes_closed_folders=True)
    closed = next((p for p in folder.parents if not _open_to(p, uid)), None)
    if closed is not None:
        raise CannotStart(
            f"PostgreSQL does not run as root, and user {uid} cannot pass through {closed}. Choose"
            " a data folder below an open one (--data /var/lib/smartid), or run smartid as an"
            " ordinary user."
        )
    return Person(uid=uid, gid=gid, passes_closed_folders=False)


def make_private_folder(folder: Path) -> None:
    """A folder for servers: ours alone, or open to be passed where their person has no other
    way."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0 and not _may_pass_on_dac_override():
        folder.chmod(0o711)


def give(path: Path, person: Person | None) -> None:
    """Make `path` that person's."""
    if person is not None:
        os.chown(path, person.uid, person.gid)


def open_private(path: Path, mode: str) -> IO[bytes]:
    """Open a file that, when it is new, nobody else may read."""
    return open(path, mode, opener=lambda p, flags: os.open(p, flags, 0o600))


def spawn(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    person: Person | None = None,
    folder: Path | None = None,
    log: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    feed: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a child that gets `death_signal` when this process dies. It has its own session, so
    that Ctrl-C reaches it only through us, in our order. `feed` opens its standard input as a
    pipe."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are started from the main thread: they die with their thread")
    try:
        return subprocess.Popen(  # noqa: S603 the commands are our own
            [os.fspath(part) for part in command],
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            umask=0o077 if person else -1,
            start_new_session=True,
            preexec_fn=_before_exec(death_signal, person),
        )
    except (OSError, subprocess.SubprocessError) as error:
        whom = f"user {person.uid}" if person else "this user"
        raise CannotStart(
            f"{command[0]} cannot be started as {whom} in {folder}: {error}. Run smartid as an"
            " ordinary user who may read both, or give DATABASE_URL and REDIS_URL"
        ) from error


def run(
    command: Sequence[str | Path],
    *,
    person: Person | None,
    folder: Path,
    log: IO[bytes],
    environment: Mapping[str, str],
    feed: bytes = b"",
) -> int:
    """Run a child to its end; its exit status."""
    child = spawn(
        command,
        death_signal=signal.SIGKILL,
        person=person,
        folder=folder,
        log=log,
        environment=environment,
        feed=True,
    )
    child.communicate(feed)
    return child.returncode


def end(child: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> None:
    """Send each signal in turn, waiting so many seconds after it, until the child is gone."""
    for signum, patience_s in steps:
        if child.poll() is not None:
            return
        child.send_signal(signum)
        try:
            child.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    child.poll()


def die_with_parent(death_signal: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to send this very process `death_signal` when its parent dies (Linux)."""
    if _ON_LINUX:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)


def wait_until(condition: Callable[[], bool], within_s: float, every_s: float = 0.02) -> bool:
    """Poll until `condition()`; whether it came true within the time."""
    ends = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(every_s)
    return True


def free_port() -> int:
    """A loopback TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something listens on that loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _before_exec(death_signal: signal.Signals, person: Person | None) -> Callable[[], None]:
    parent = os.getpid()

    def become() -> None:
        if person is not None:
            _demote(person)
        # After the change of user: the kernel forgets the wish when credentials change.
        die_with_parent(death_signal)
        if _ON_LINUX and os.getppid() != parent:
            os._exit(1)  # the parent died before the kernel knew our wish

    return become


def _demote(person: Person) -> None:
    if person.passes_closed_folders:
        _check(_LIBC.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities")
        # access(2) leaves an ordinary user's capabilities out of account unless this bit is set,
        # and initdb asks by it whether it may run its programs. Where it may not be set, only
        # programs below a closed folder are out of reach.
        _LIBC.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(person.gid, person.gid, person.gid)
    os.setresuid(person.uid, person.uid, person.uid)
    if person.passes_closed_folders:
        _check(_LIBC.capset(_CAPABILITY_HEADER, _ONLY_DAC_OVERRIDE), "set capabilities")
        raised = _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
        _check(raised, "raise the ambient capability")


def _check(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), what)


def _may_pass_on_dac_override() -> bool:
    """Whether the capability is ours to give: containers may drop it even from root."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return False
    permitted = next((line for line in lines if line.startswith("CapPrm:")), "CapPrm: 0")
    return bool(int(permitted.split()[1], 16) & (1 << _CAP_DAC_OVERRIDE))


def _open_to(folder: Path, uid: int) -> bool:
    facts = folder.stat()
    return facts.st_uid == uid or bool(facts.st_mode & 0o001)
