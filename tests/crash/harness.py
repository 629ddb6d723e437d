"""Runs the demo as its user does, kills one of its processes at a chosen moment, and looks after
what is left.

Promise: the processes are found by their parents and command lines in /proc, so that a process
that came back under another number is found again; a demo that died is started again on the same
folder until a telling ends well; nothing the demo started outlives the test.
"""

import contextlib
import enum
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runtime.children import free_port

ROOT = Path(__file__).resolve().parents[2]
UP = "API and worker are up"
TELLING_S = 420.0
"""How long one telling may take with everything that is killed in it."""

MOST_STARTS = 12


class Kind(enum.Enum):
    """Which process of a running demo."""

    API = "an API process"
    API_PARENT = "the API's parent"
    WORKER = "the worker"
    POSTGRES = "PostgreSQL"
    BACKEND = "a PostgreSQL connection's process"
    REDIS = "Redis"
    TELCO = "the operators' simulator"
    SMS = "the SMS gateway"
    PUSH = "the push gateway"
    DEMO = "the demo itself"


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    command: str


def processes() -> dict[int, Process]:
    """Every process of the machine."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            stat = (entry / "stat").read_text()
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                pid = int(entry.name)
                found[pid] = Process(pid, int(parent), command.strip())
    return found


def below(root: int) -> list[Process]:
    """The process and everything it started."""
    everybody = processes()
    tree = [everybody[root]] if root in everybody else []
    for one in tree:
        tree += [child for child in everybody.values() if child.parent == one.pid]
    return tree


def of_folder(data: Path) -> list[Process]:
    """Whatever works for this data folder: named in its command, its environment or its place."""
    own = os.getpid()
    return [one for one in processes().values() if one.pid != own and _works_in(one, data)]


def _works_in(one: Process, data: Path) -> bool:
    place = Path(f"/proc/{one.pid}")
    if str(data) in one.command:
        return True
    with contextlib.suppress(OSError):
        if str(data) in str((place / "cwd").readlink()):
            return True
        return f"={data}\0".encode() in (place / "environ").read_bytes()
    return False


class Demo:
    """`smartid demo --once` on one data folder, started as often as it takes."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.starts = 0
        self.tellings = 0
        """How many ended with exit status 0."""
        self._process: subprocess.Popen[bytes] | None = None
        self._log = data.with_suffix(".log")
        self._since = 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self.starts += 1
        self._since = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "runtime", "--data", str(self.data),
                    "demo", "--once", "--port", str(self.port),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def status(self) -> int | None:
        """The exit status; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def told(self) -> str:
        """What this start of it printed so far."""
        with self._log.open("rb") as log:
            log.seek(self._since)
            return log.read().decode(errors="replace")

    def everything_told(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def find(self, kind: Kind) -> list[Process]:
        """The running processes of a kind."""
        tree = below(self.pid)
        children = [one for one in tree if one.parent == self.pid]
        api = [one for one in children if "--role api" in one.command]
        postgres = [one for one in children if "/bin/postgres -D" in one.command]
        inner = {one.pid for one in (*api, *postgres)}
        grown = [one for one in tree if one.parent in inner]
        return {
            Kind.DEMO: tree[:1],
            Kind.API_PARENT: api,
            Kind.API: [
                one
                for one in grown
                if one.parent in {a.pid for a in api} and "resource_tracker" not in one.command
            ],
            Kind.POSTGRES: postgres,
            Kind.BACKEND: [one for one in grown if one.command.startswith("postgres: smartid")],
            Kind.WORKER: [one for one in children if "--role worker" in one.command],
            Kind.REDIS: [
                one for one in children if "redis-server" in one.command or "valkey" in one.command
            ],
            Kind.TELCO: [one for one in children if "simulators.telco" in one.command],
            Kind.SMS: [one for one in children if "simulators.sms_gateway" in one.command],
            Kind.PUSH: [one for one in children if "simulators.push_gateway" in one.command],
        }[kind]

    def kill(self, kind: Kind, chance: random.Random) -> bool:
        """`kill -9` one process of that kind; False when there is none just now."""
        found = self.find(kind)
        if not found:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(found).pid, signal.SIGKILL)
        if kind is Kind.DEMO and self._process is not None:
            self._process.wait()
        return True

    def end(self) -> None:
        """Whatever still runs for this folder ends now."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for one in of_folder(self.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)


@dataclass
class Killed:
    """One kill: which process, how long after the one before, what the demo was telling."""

    kind: Kind
    after_s: float
    during: str


@dataclass
class Run:
    """What became of it."""

    demo: Demo
    kills: list[Killed] = field(default_factory=list)
    fell: list[str] = field(default_factory=list)
    """How the demo ended by itself, where it should have gone on."""

    def story(self) -> str:
        lines = [f"{k.after_s:.2f} s later, {k.kind.value}: {k.during}" for k in self.kills]
        return "\n".join([*lines, *self.fell])


Moment = Callable[[Demo], bool]
"""Whether a kill's time has come."""

Plan = list[tuple[Kind, float | Moment]]
"""What to kill and when: a pause in seconds after the kill before, or a moment to wait for."""


def run(demo: Demo, plan: Plan, chance: random.Random) -> Run:
    """Tell the story, killing by plan and starting again what died, until a telling has ended well
    and no kill is left."""
    happened = Run(demo)
    ends = time.monotonic() + TELLING_S * (1 + len(plan) // 6)
    waiting = list(plan)
    last = time.monotonic()
    demo.start()
    while True:
        assert time.monotonic() < ends, f"it takes too long\n{demo.everything_told()[-6000:]}"
        time.sleep(0.01)
        if waiting and demo.status() is None and _due(waiting[0][1], demo, last):
            during = _title(demo.told())
            if demo.kill(waiting[0][0], chance):
                now = time.monotonic()
                happened.kills.append(Killed(waiting.pop(0)[0], now - last, during))
                last = now
        status = demo.status()
        if status is None:
            continue
        if status == 0:
            demo.tellings += 1
            if not waiting:
                return happened
        elif status != -signal.SIGKILL and UP in demo.told():
            happened.fell.append(f"exit status {status}: {_title(demo.told())}")
        assert demo.starts < MOST_STARTS + len(plan), demo.everything_told()[-6000:]
        demo.start()


def _due(moment: float | Moment, demo: Demo, last: float) -> bool:
    if callable(moment):
        return moment(demo)
    return time.monotonic() - last >= moment


def _title(told: str) -> str:
    titles = [line for line in told.splitlines() if line[:1].isdigit() and ". " in line[:4]]
    if "The books" in told:
        return "after the story"
    return titles[-1] if titles else ("seeding" if UP in told else "starting")


@contextlib.contextmanager
def demo_on(data: Path) -> Iterator[Demo]:
    """A demo that leaves nothing running, whatever the test comes to."""
    demo = Demo(data)
    try:
        yield demo
    finally:
        demo.end()
