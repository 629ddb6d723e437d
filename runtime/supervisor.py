"""All roles on one machine, with PostgreSQL and Redis of our own where no URL is given.

Promise: whatever dies is started again, sooner the longer it had lived; told to stop (SIGTERM,
SIGINT), everything ends cleanly within ten seconds; killed outright, nothing is left running, for
the kernel tells every child. Called by runtime.cli and runtime.demo, from the main thread.

    starting -> running -> (died) waiting -> running ...        a role; from any state -> stopped
    a role that ends with status 78 refuses its settings: that ends the whole, with its message told
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Final, Self
from urllib.error import URLError
from urllib.request import urlopen

from msgspec import Struct

from runtime.children import CannotStart, answers, end, spawn
from runtime.embedded import Embedded
from runtime.settings import Settings
from wallet import migrations

REFUSES: Final = os.EX_CONFIG
_LOOK_EVERY_S: Final = 0.1
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0
_LONG_LIFE_S: Final = 10.0
_PATIENCE_S: Final = 4.0
_RECOVERY_S: Final = 1.0
"""Where a connection's process was killed, PostgreSQL takes none for a moment."""

Say = Callable[[str], None]


class Role(Struct, frozen=True, kw_only=True):
    """A process to keep running: its name in what we say, and its command."""

    name: str
    command: Sequence[str]


def own_role(name: str) -> Role:
    """One of the program's own roles: api or worker."""
    return Role(name=name, command=[sys.executable, "-m", "runtime", "serve", "--role", name])


class Supervisor:
    """Keeps roles, and the embedded servers if they are ours, running."""

    def __init__(
        self, settings: Settings, roles: Sequence[Role], embedded: Embedded | None, say: Say
    ) -> None:
        self.settings = settings
        self._embedded = embedded
        self._say = say
        self._told_to_stop = False
        environment = settings.environment_for_children()
        self._kept = [_Kept(role, environment) for role in roles]

    def start(self) -> Self:
        """Start every role, and heed SIGTERM and SIGINT from now on."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._heed)
        for kept in self._kept:
            kept.start()
        return self

    def await_ready(self, within_s: float = 30.0) -> None:
        """Wait until the API can serve. Refuses: CannotStart when it does not come to that."""
        ends = time.monotonic() + within_s
        while not self._told_to_stop and not _ready(self.settings.base_url):
            if time.monotonic() > ends:
                raise CannotStart(f"the API at {self.settings.base_url} does not become ready")
            self.look()
            time.sleep(_LOOK_EVERY_S)

    def run(self) -> None:
        """Keep everything running until told to stop. Refuses: CannotStart as `look`."""
        while not self._told_to_stop:
            self.look()
            time.sleep(_LOOK_EVERY_S)

    async def watch(self) -> None:
        """As `run`, beside other work of this thread's event loop, until cancelled or told to
        stop."""
        while not self._told_to_stop:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    def look(self) -> None:
        """One look: start again what has died. Refuses: CannotStart when a role refuses its
        settings."""
        self._look_after_servers()
        for kept in self._kept:
            status = kept.look()
            if status == REFUSES:
                raise CannotStart(
                    f"{kept.role.name} cannot run with these settings; it says why above"
                )
            if status is not None:
                self._say(f"{kept.role.name} died ({_told(status)}), starting it again")

    def _look_after_servers(self) -> None:
        """A server of ours that does not come back (a full disk) is tried again at the next look:
        whoever asks meanwhile hears 503, and all goes on by itself once there is room."""
        if self._embedded is None:
            return
        try:
            for name in self._embedded.restart_dead():
                self._say(f"{name} had died and was started again")
        except CannotStart as cannot:
            self._say(f"{cannot}; it is tried again")

    def stop(self) -> None:
        """End every role: asked first, killed after four seconds."""
        for kept in self._kept:
            kept.ask_to_stop()
        ends = time.monotonic() + _PATIENCE_S
        for kept in self._kept:
            kept.stop(max(0.0, ends - time.monotonic()))

    def _heed(self, signum: int, frame: FrameType | None) -> None:
        self._told_to_stop = True


@contextlib.contextmanager
def running(
    settings: Settings, *, extra: Sequence[Role] = (), say: Say = print
) -> Iterator[Supervisor]:
    """Servers up, database migrated, the API, a worker and `extra` roles started; all ended at
    exit.

    Refuses: CannotStart when the port is taken or a server cannot be had.
    """
    if answers(settings.port):
        raise CannotStart(
            f"port {settings.port} is in use, perhaps by another smartid: choose another by --port"
            " or SMARTID_PORT"
        )
    with own_servers(settings) as (complete, embedded):
        _migrate(complete, embedded)
        roles = [own_role("api"), own_role("worker"), *extra]
        supervisor = Supervisor(complete, roles, embedded, say)
        try:
            yield supervisor.start()
        finally:
            supervisor.stop()


def _migrate(settings: Settings, embedded: Embedded | None) -> None:
    """Bring the tables up to date; nobody looks after our own servers yet, so if one was lost
    meanwhile it is brought back here, and the whole is asked for again."""
    upgrade = partial(migrations.upgrade, settings.database_url or "")
    try:
        asyncio.run(upgrade())
    except Exception:
        if embedded is None:
            raise
        embedded.restart_dead()
        time.sleep(_RECOVERY_S)
        asyncio.run(upgrade())


@contextlib.contextmanager
def own_servers(settings: Settings) -> Iterator[tuple[Settings, Embedded | None]]:
    """The settings with both URLs, from embedded servers where one was missing."""
    if not settings.needs_own_servers:
        yield settings, None
        return
    with Embedded.open(settings.data) as embedded:
        yield settings.with_servers(embedded.database_url, embedded.redis_url), embedded


class _Kept:
    """One role's process, and when it may be started again."""

    def __init__(self, role: Role, environment: Mapping[str, str]) -> None:
        self.role = role
        self._environment = environment
        self._child: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._wait_s = _FIRST_WAIT_S

    def start(self) -> None:
        self._started_at = time.monotonic()
        self._child = spawn(
            self.role.command, death_signal=signal.SIGTERM, environment=self._environment
        )

    def look(self) -> int | None:
        """Start it when its time has come; its exit status when it has just been found dead."""
        if self._child is None:
            if time.monotonic() >= self._start_at:
                self.start()
            return None
        status = self._child.poll()
        if status is None:
            return None
        now = time.monotonic()
        self._wait_s = wait_before_restart(self._wait_s, lived_s=now - self._started_at)
        self._start_at = now + self._wait_s
        self._child = None
        return status

    def ask_to_stop(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def stop(self, patience_s: float) -> None:
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(patience_s)
            end(self._child, (signal.SIGKILL, 2.0))


def wait_before_restart(last_wait_s: float, *, lived_s: float) -> float:
    """Seconds to wait: at once after a long life, else twice the last wait, ten seconds at most."""
    if lived_s >= _LONG_LIFE_S:
        return _FIRST_WAIT_S
    return min(last_wait_s * 2, _LONGEST_WAIT_S)


def _ready(base_url: str) -> bool:
    try:
        with urlopen(f"{base_url}/health/ready", timeout=2) as answer:  # noqa: S310 our own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _told(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"
