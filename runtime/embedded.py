"""PostgreSQL and Redis in a data folder, so that the default run needs nothing installed.

Promise: the first process on a data folder starts both servers and owns them; any further process
attaches to the running ones. However the owner ends, `kill -9` included, nothing is left running
and the next start finds the data. Two data folders live side by side. Everything listens on
loopback alone, with passwords that never leave the folder (files of mode 0600).

    lock            held (flock) by the owner while its servers run
    servers.json    where the running servers are; written when both are up, for those who attach
    postgres/       the books: with checksums, fsync on
    redis/          streams, limits, one-time challenges: append-only file

Called by runtime.supervisor, runtime.resources and the tests' fixtures.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from runtime.children import CannotStart, answers, make_private_folder, open_private
from runtime.embedded_postgres import Postgres
from runtime.embedded_redis import RedisServer

_ATTACH_PATIENCE_S: Final = 60.0


class Servers(Struct, frozen=True, kw_only=True):
    """Where the servers of a data folder are: the content of servers.json."""

    owner_pid: int
    database_url: str
    redis_url: str


class Embedded:
    """The servers of one data folder, as `database_url` and `redis_url`; `owner` when we run them.

    Use from the main thread: the servers are bound to the thread that starts them.
    """

    def __init__(
        self,
        data: Path,
        where: Servers,
        lock: IO[bytes] | None = None,
        postgres: Postgres | None = None,
        redis: RedisServer | None = None,
    ) -> None:
        self.data = data
        self.database_url = where.database_url
        self.redis_url = where.redis_url
        self._lock = lock
        self._postgres = postgres
        self._redis = redis

    @property
    def owner(self) -> bool:
        """Whether this process runs the servers (else it is attached to another's)."""
        return self._lock is not None

    @classmethod
    def open(cls, data: Path) -> Self:
        """Start the servers of `data`, or attach to them when another process runs them.

        Refuses: CannotStart, with the remedy, when a server binary is missing or does not come up.
        """
        data = _folder(data)
        ends = time.monotonic() + _ATTACH_PATIENCE_S
        while time.monotonic() < ends:
            lock = _take(data / "lock")
            if lock is not None:
                return cls._start(data, lock)
            running = _running(data)
            if running is not None:
                return cls(data, running)
            time.sleep(0.05)
        raise CannotStart(
            f"another process holds {data / 'lock'} but its servers do not come up; see"
            f" {data / 'postgres.log'} and {data / 'redis.log'}, end that process, and start again"
        )

    @classmethod
    def _start(cls, data: Path, lock: IO[bytes]) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(lock.close)
            (data / "servers.json").unlink(missing_ok=True)
            redis, postgres = RedisServer(data), Postgres(data)
            undo.callback(redis.stop)
            undo.callback(postgres.stop)
            redis.start()
            postgres.start()
            redis.await_ready()
            where = Servers(owner_pid=os.getpid(), database_url=postgres.url, redis_url=redis.url)
            _write_private(data / "servers.json", msgspec.json.encode(where))
            undo.pop_all()
        return cls(data, where, lock, postgres, redis)

    def restart_dead(self) -> list[str]:
        """Start again, at the same address, whichever server has died; their names. For the
        owner."""
        restarted = []
        for name, server in (("redis", self._redis), ("postgres", self._postgres)):
            if server is not None and not server.alive:
                server.start()
                restarted.append(name)
        if "redis" in restarted and self._redis is not None:
            self._redis.await_ready()
        return restarted

    def stop(self) -> None:
        """Stop the servers cleanly, in under ten seconds. Whoever is attached lets go, no more."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            (self.data / "servers.json").unlink(missing_ok=True)
        for server in (self._redis, self._postgres):
            if server is not None:
                server.ask_to_stop()
        for server in (self._redis, self._postgres):
            if server is not None:
                server.stop()
        self._lock.close()
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _folder(data: Path) -> Path:
    try:
        make_private_folder(data)
        return data.resolve()
    except OSError as error:
        raise CannotStart(
            f"the data folder {data} cannot be made: {error.strerror}. Name another by --data"
        ) from error


def _take(path: Path) -> IO[bytes] | None:
    """The lock, or None while another process holds it. The kernel frees it when its holder
    dies."""
    try:
        lock = open_private(path, "ab")
    except PermissionError as error:
        raise CannotStart(
            f"{path} belongs to another user: run smartid as that user, or name another data"
            " folder by --data"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _running(data: Path) -> Servers | None:
    """Where the owner's servers answer; None while they do not, or when the file is an earlier
    owner's."""
    try:
        where = msgspec.json.decode((data / "servers.json").read_bytes(), type=Servers)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    ports = [urlsplit(url).port or 0 for url in (where.database_url, where.redis_url)]
    return where if all(answers(port) for port in ports) else None


def _write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by the owner alone."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with open_private(draft, "wb") as file:
        file.write(content)
    draft.replace(path)
