"""Serving: what dies comes back, what is told to stop stops, what is killed leaves nothing."""

import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from runtime import settings as reading
from runtime.children import CannotStart, free_port
from runtime.settings import Settings
from runtime.supervisor import Role, Supervisor, running, wait_before_restart

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    port = str(free_port())
    return reading.read(tmp_path / "a data folder", {"SMARTID_PORT": port})


def role(code: str) -> Role:
    return Role(name="role", command=[sys.executable, "-c", textwrap.dedent(code)])


def test_a_server_that_does_not_come_back_yet_is_tried_again(settings: Settings) -> None:
    """A full disk must not end `smartid serve`: there may be room in a minute."""

    class Full:
        tries = 0

        def restart_dead(self) -> list[str]:
            self.tries += 1
            if self.tries == 1:
                raise CannotStart("No space left on device")
            return ["postgres"]

    told: list[str] = []
    house = Supervisor(settings, [], Full(), told.append)  # type: ignore[arg-type]
    house.look()
    house.look()
    assert told == [
        "No space left on device; it is tried again",
        "postgres had died and was started again",
    ]


def test_a_killed_role_is_started_again(settings: Settings, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    told: list[str] = []
    writes = role(
        f"""
        import os, time
        print(os.getpid(), file=open({str(pids)!r}, "a"), flush=True)
        time.sleep(60)
        """
    )
    house = Supervisor(settings, [writes], None, told.append).start()

    def started_again() -> bool:
        house.look()
        return len(pids.read_text().split()) == 2

    try:
        assert eventually(lambda: pids.exists() and len(pids.read_text().split()) == 1)
        os.kill(int(pids.read_text()), signal.SIGKILL)
        assert eventually(started_again)
    finally:
        house.stop()
    assert told == ["role died (signal 9), starting it again"]
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def test_a_role_that_keeps_dying_is_started_ever_more_slowly() -> None:
    wait_s, waits = 0.2, []
    for _ in range(8):
        wait_s = wait_before_restart(wait_s, lived_s=0.1)
        waits.append(wait_s)
    assert waits == sorted(waits)
    assert waits[-1] == 10.0
    assert wait_before_restart(10.0, lived_s=60) == 0.2


def test_a_role_that_refuses_its_settings_ends_the_whole(settings: Settings) -> None:
    house = Supervisor(settings, [role("raise SystemExit(78)")], None, print).start()
    try:
        with pytest.raises(CannotStart, match="role cannot run with these settings"):
            eventually(house.look)
    finally:
        house.stop()


def test_a_role_that_does_not_listen_is_killed_in_time(settings: Settings) -> None:
    deaf = role("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)")
    house = Supervisor(settings, [deaf], None, print).start()
    time.sleep(0.5)  # let it go deaf
    began = time.monotonic()
    house.stop()
    assert time.monotonic() - began < 8


def test_a_taken_port_is_refused_before_anything_is_started(settings: Settings) -> None:
    taken = rf"port {settings.port} is in use.*SMARTID_PORT"
    with (
        socket.create_server(("127.0.0.1", settings.port)),
        pytest.raises(CannotStart, match=taken),
        running(settings),
    ):
        pass
    assert not settings.data.exists()


# --- the command itself, with everything it runs -------------------------------------------------

whole = pytest.mark.skipif(
    importlib.util.find_spec("runtime.resources") is None, reason="the roles are not wired yet"
)


@pytest.fixture
def serving(settings: Settings) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts `smartid serve` and waits until it can serve."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = ["-m", "runtime", "--data", str(settings.data), "serve"]
        process = subprocess.Popen(
            [sys.executable, *command, "--port", str(settings.port)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.endswith("_URL")},
        )
        started.append(process)
        assert eventually(lambda: ready(settings) or process.poll() is not None, 60)
        assert process.poll() is None
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    assert eventually(lambda: family(settings) == [])


@whole
def test_a_clean_stop_takes_less_than_ten_seconds_and_leaves_nothing(
    settings: Settings, serving: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """F6."""
    process = serving()
    for pid in family(settings):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), "a core would hold keys"
    began = time.monotonic()
    process.terminate()
    assert process.wait(15) == 0
    assert time.monotonic() - began < 10
    assert family(settings) == []


@whole
@pytest.mark.crash
def test_killed_outright_it_leaves_nothing_and_starts_again(
    settings: Settings, serving: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = serving()
    process.kill()
    process.wait()
    assert eventually(lambda: family(settings) == [])
    serving()


@whole
@pytest.mark.crash
def test_whatever_is_killed_the_api_serves_again(
    settings: Settings, serving: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = serving()
    victims = [pid for pid in family(settings) if pid != process.pid]
    assert len(victims) > 5  # the API and its worker process, the worker role, both servers
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert process.poll() is None
    assert eventually(lambda: ready(settings), 60)
    assert process.poll() is None


def family(settings: Settings) -> list[int]:
    """Every process that works in the data folder or was started with it in its environment."""
    mark = f"SMARTID_DATA={settings.data}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            inside = (entry / "cwd").resolve().is_relative_to(settings.data)
            if inside or mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"{settings.base_url}/health/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def eventually(condition: Callable[[], object], within_s: float = 15.0) -> bool:
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.05)
    return False
