"""The embedded servers: nothing to install, nothing left running, nothing lost."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from redis import Redis

from runtime import children, embedded_redis
from runtime.children import CannotStart
from runtime.embedded import Embedded, Servers
from runtime.embedded_postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]

HOLD = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from runtime.embedded import Embedded
    servers = Embedded.open(Path(sys.argv[1]))
    print("up", servers.owner, flush=True)
    time.sleep(120)
    """
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder with spaces" / "data"


@pytest.fixture
def another_process() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Opens a data folder in a process of its own, and holds it."""
    started: list[subprocess.Popen[str]] = []

    def start(data: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(data)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up True\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def test_first_start_is_quick_and_both_servers_answer(folder: Path) -> None:
    began = time.monotonic()
    with Embedded.open(folder) as servers:
        assert time.monotonic() - began < 10
        assert servers.owner
        assert await ask(servers, "select 40 + 2") == 42
        assert redis_of(servers).ping()


async def test_postgres_keeps_every_safety_on(servers: Embedded) -> None:
    for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert await ask(servers, f"show {setting}") == "on"
    assert await ask(servers, "show server_encoding") == "UTF8"
    assert await ask(servers, "show timezone") == "UTC"


def test_redis_evicts_nothing_and_appends(servers: Embedded) -> None:
    redis = redis_of(servers)
    assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert redis.config_get("appendonly") == {"appendonly": "yes"}


async def test_nobody_enters_without_the_password_or_from_another_machine(
    servers: Embedded,
) -> None:
    at = urlsplit(servers.database_url)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(servers.database_url.replace(at.password or "", "guess"))
    with pytest.raises(Exception, match=r"(?i)auth"):
        Redis(port=urlsplit(servers.redis_url).port or 0).ping()
    for port in (at.port, urlsplit(servers.redis_url).port):
        assert listens_only_on_loopback(port or 0)


def test_passwords_are_in_private_files_and_on_no_command_line(servers: Embedded) -> None:
    for name in ("servers.json", "postgres.password"):
        assert (servers.data / name).stat().st_mode & 0o077 == 0
    secrets = [urlsplit(url).password or "" for url in (servers.database_url, servers.redis_url)]
    lines = [command_line(pid) for pid in all_processes()]
    assert not [line for line in lines if any(secret in line for secret in secrets)]


async def test_a_second_process_attaches_and_does_not_stop_the_servers(
    folder: Path, another_process: Callable[[Path], subprocess.Popen[str]]
) -> None:
    another_process(folder)
    with Embedded.open(folder) as attached:
        assert not attached.owner
        assert await ask(attached, "select 1") == 1
        assert attached.restart_dead() == []
    with Embedded.open(folder) as again:
        assert await ask(again, "select 1") == 1


async def test_data_outlive_a_clean_stop(folder: Path) -> None:
    with Embedded.open(folder) as servers:
        await remember(servers, "kept")
    began = time.monotonic()
    with Embedded.open(folder) as servers:
        assert time.monotonic() - began < 5
        assert await recalled(servers) == ("kept", "kept")


def test_a_clean_stop_leaves_nothing_running(folder: Path) -> None:
    with Embedded.open(folder):
        assert running_in(folder)
    assert running_in(folder) == []
    assert not (folder / "servers.json").exists()


@pytest.mark.crash
async def test_killed_servers_come_back_at_the_same_address_with_their_data(folder: Path) -> None:
    with Embedded.open(folder) as servers:
        await remember(servers, "committed")
        for pid in running_in(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: sorted(servers.restart_dead()) == [], after=2)
        where = msgspec.json.decode((folder / "servers.json").read_bytes(), type=Servers)
        assert where.database_url == servers.database_url
        assert await recalled(servers) == ("committed", "committed")


@pytest.mark.crash
async def test_only_the_postmaster_killed_still_comes_back(folder: Path) -> None:
    with Embedded.open(folder) as servers:
        await remember(servers, "committed")
        pid = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: servers.restart_dead() == ["postgres"])
        assert (await recalled(servers))[0] == "committed"


@pytest.mark.crash
async def test_a_killed_owner_leaves_nothing_running_and_the_next_start_has_the_data(
    folder: Path, another_process: Callable[[Path], subprocess.Popen[str]]
) -> None:
    owner = another_process(folder)
    with Embedded.open(folder) as attached:
        await remember(attached, "by the killed")
    owner.kill()
    owner.wait()
    with Embedded.open(folder) as servers:  # at once: the old server may still be shutting down
        assert servers.owner
        assert await recalled(servers) == ("by the killed", "by the killed")
    assert running_in(folder) == []


@pytest.mark.crash
def test_a_killed_owner_leaves_nothing_running_without_a_next_start(
    folder: Path, another_process: Callable[[Path], subprocess.Popen[str]]
) -> None:
    owner = another_process(folder)
    assert running_in(folder)
    owner.kill()
    owner.wait()
    assert eventually(lambda: running_in(folder) == [])


async def test_stale_lock_files_are_no_obstacle(folder: Path) -> None:
    with Embedded.open(folder) as servers:
        await remember(servers, "kept")
        stale = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
        where = (folder / "servers.json").read_bytes()
    # The number now belongs to a process that has nothing to do with us.
    (folder / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getppid()), *stale[1:]]))
    (folder / "servers.json").write_bytes(where)
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "half").write_text("an interrupted first start")
    with Embedded.open(folder) as servers:
        assert servers.owner
        assert await recalled(servers) == ("kept", "kept")


def test_a_lock_file_that_is_only_half_written_means_not_ready(tmp_path: Path) -> None:
    server = Postgres(tmp_path)
    (tmp_path / "postgres").mkdir()
    lock_file = tmp_path / "postgres" / "postmaster.pid"
    server._child = child = subprocess.Popen(["sleep", "60"])
    try:
        lines = [str(child.pid), "/data", "0", "5432", "", "127.0.0.1", "0", "ready"]
        for written in range(len(lines)):
            lock_file.write_text("".join(f"{line}\n" for line in lines[:written]))
            assert not server._ready()
        lock_file.write_text("\n".join(lines))
        assert server._ready()
    finally:
        child.kill()
        child.wait()


async def test_two_data_folders_live_side_by_side(tmp_path: Path) -> None:
    with Embedded.open(tmp_path / "one") as one, Embedded.open(tmp_path / "two") as two:
        assert one.owner
        assert two.owner
        await remember(one, "one")
        await remember(two, "two")
        assert await recalled(one) == ("one", "one")
        assert await recalled(two) == ("two", "two")


def test_a_missing_redis_is_told_with_its_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(embedded_redis, "_from_wheel", list)
    with pytest.raises(CannotStart, match=r"make setup.*install redis-server.*REDIS_URL"):
        Embedded.open(folder)
    monkeypatch.undo()
    with Embedded.open(folder) as servers:  # the failed start let go of the folder
        assert servers.owner


def test_a_redis_too_old_on_the_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(old))
    assert embedded_redis.find_binary() != old


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotStart, match="--data"):
        Embedded.open(tmp_path / "file" / "data")


AS_ANOTHER_USER = textwrap.dedent(
    """
    import asyncio, encodings.idna, os, sys  # loaded now: later the interpreter may be out of reach
    from pathlib import Path
    import asyncpg
    from runtime.embedded import Embedded
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
    async def ask(url):
        connection = await asyncpg.connect(url)
        print(await connection.fetchval("select 'as ' || current_user"))
        await connection.close()
    with Embedded.open(Path(sys.argv[1])) as servers:
        asyncio.run(ask(servers.database_url))
    """
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_runs_it_too() -> None:
    closed = next((p for p in ROOT.parents if not p.stat().st_mode & 0o001), None)
    if closed is not None:
        pytest.skip(f"another user cannot pass {closed}")
    person = pwd.getpwnam("daemon").pw_uid
    home = Path(f"/tmp/smartid-ordinary-{os.getpid()}")
    home.mkdir(mode=0o700)
    os.chown(home, person, person)
    try:
        told = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_USER, str(home / "data"), str(person)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={"HOME": str(home), "PATH": os.defpath},
            timeout=60,
            check=False,
        )
        assert told.stdout == "as smartid\n", told.stderr
        assert (home / "data" / "postgres").stat().st_uid == person
    finally:
        subprocess.run(["rm", "-rf", str(home)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="as root only")
def test_root_runs_postgres_as_somebody_else_below_closed_folders(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700)
    with Embedded.open(folder):
        pid = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        assert Path(f"/proc/{pid}").stat().st_uid == 65534
        assert (folder / "postgres").stat().st_uid == 65534


async def ask(servers: Embedded, sql: str) -> object:
    connection = await asyncpg.connect(servers.database_url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def remember(servers: Embedded, word: str) -> None:
    await ask(servers, "create table memory (word text)")
    await ask(servers, f"insert into memory values ('{word}')")
    redis_of(servers).set("memory", word)


async def recalled(servers: Embedded) -> tuple[object, object]:
    return await ask(servers, "select word from memory"), redis_of(servers).get("memory")


def redis_of(servers: Embedded) -> "Redis":
    return Redis.from_url(servers.redis_url, decode_responses=True)


def all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def running_in(folder: Path) -> list[int]:
    """Processes whose working folder is below `folder`: both servers and their children."""
    found = []
    for pid in all_processes():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").resolve().is_relative_to(folder.resolve()):
                found.append(pid)
    return found


def listens_only_on_loopback(port: int) -> bool:
    mine = next(
        (a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)), None
    )
    if mine is None or str(mine).startswith("127."):
        return True
    with socket.socket() as wire:
        return wire.connect_ex((str(mine), port)) != 0


def eventually(condition: Callable[[], bool], within_s: float = 15.0, after: int = 1) -> bool:
    """Whether the condition came true `after` times in a row within the time."""
    ends, seen = time.monotonic() + within_s, 0
    while time.monotonic() < ends:
        seen = seen + 1 if condition() else 0
        if seen >= after:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="as root only")
def test_a_program_below_a_closed_folder_may_be_asked_about_and_run(tmp_path: Path) -> None:
    """A clone in a folder only root may enter has its PostgreSQL programs there too."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    person = children.person_for(data)
    assert person is not None
    if not person.passes_closed_folders:
        pytest.skip("this root may not give the capability away")
    asks = f"import os, sys; sys.exit(0 if os.access({str(program)!r}, os.X_OK) else 1)"
    with (tmp_path / "log").open("wb") as log:
        told = children.run(
            [sys.executable, "-c", asks], person=person, folder=data, log=log, environment={}
        )
        ran = children.run([program], person=person, folder=data, log=log, environment={})
    assert (told, ran) == (0, 0), (tmp_path / "log").read_text()
