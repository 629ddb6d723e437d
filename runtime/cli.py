"""The `smartid` command.

Promise: a refusal is one plain line that says what to do, with exit status 78 for settings and
servers, 1 for books that are not right or a story that failed. Nothing is imported before it is
needed, so that `smartid --help` answers at once.
"""

import asyncio
import enum
import resource
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from runtime import settings as reading
from runtime.children import CannotStart
from runtime.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wallet.work import Works

app = typer.Typer(
    name="smartid",
    help="One card: staff identity and bank card. The wallet's backend.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a trace with local variables could show a secret
)


day = typer.Typer(help="A bank's business days: closing them, what they left.")
app.add_typer(day, name="day")

LARGEST_HEAD = 64 * 1024
"""Bytes of a request's head, and of its body buffered at once."""
MOST_CONNECTIONS = 16_384
"""Of one API process; the teller's queues say who of them is too many."""
FILES_BESIDE = 512
"""Files a process has open besides: to its servers, its own, and to spare."""

BankName = Annotated[str, typer.Option("--bank", help="The bank's code, as ACLEDA")]
DayName = Annotated[str | None, typer.Option("--day", help="As 2026-01-12")]


class RoleName(enum.StrEnum):
    ALL = "all"
    API = "api"
    WORKER = "worker"


@app.callback()
def common(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Folder of data and keys; else SMARTID_DATA, else .smartid")
    ] = None,
) -> None:
    from runtime import logs

    _leave_no_cores()
    logs.set_up()
    context.obj = reading.read(data)


def _leave_no_cores() -> None:
    """Nothing of this process, or of what it starts, is written to a disk when it dies: keys are in
    its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@app.command()
def serve(
    context: typer.Context,
    role: Annotated[RoleName, typer.Option(help="Which part of the program")] = RoleName.ALL,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; else SMARTID_HOST")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; else SMARTID_PORT, else 8420")] = None,
) -> None:
    """Serve until told to stop: the API and the worker, or one of them."""
    settings: Settings = context.obj
    settings = replace(settings, host=host or settings.host, port=port or settings.port)
    if role is RoleName.ALL:
        _serve_all(settings)
        return
    from runtime.supervisor import own_servers

    with own_servers(settings) as (complete, _):
        _serve_api(complete) if role is RoleName.API else _serve_worker(complete)


@app.command()
def migrate(context: typer.Context) -> None:
    """Bring the database to the newest tables. Safe to run again."""
    from runtime.supervisor import own_servers
    from wallet import migrations

    with own_servers(context.obj) as (complete, _):
        asyncio.run(migrations.upgrade(complete.database_url or ""))
    print("the tables are the newest")


@app.command()
def seed(context: typer.Context) -> None:
    """Fill the database with the programme's first day. Safe to run again."""
    from runtime import seed as seeding
    from runtime.resources import open_resources
    from runtime.supervisor import own_servers
    from wallet import migrations

    async def run(complete: Settings) -> None:
        async with open_resources(complete) as resources:
            await seeding.run(resources, complete.data, say=print)

    with own_servers(context.obj) as (complete, _):
        asyncio.run(migrations.upgrade(complete.database_url or ""))
        asyncio.run(run(complete))


@app.command()
def prove(
    context: typer.Context,
    since_last: Annotated[
        bool,
        typer.Option(
            "--since-last", help="Only what was sealed since the last proof that was right"
        ),
    ] = False,
    anchor: Annotated[
        Path | None, typer.Option(help="Headers exported earlier: is the chain still that one?")
    ] = None,
) -> None:
    """Prove the books right, now; exit status 1 when they are not."""
    from runtime import prove as proving
    from runtime.seal_commands import held_outside
    from runtime.seal_keys import trusted_keys

    keys = trusted_keys(context.obj)
    known = held_outside(anchor, keys)
    proof = partial(proving.tell, keys=keys, whole=not since_last, known=known)
    raise typer.Exit(0 if _on_books(context.obj, proof) else 1)


@day.command("close")
def close_day(context: typer.Context, bank: BankName, which: DayName = None) -> None:
    """Close a bank's business day, else the oldest that is over; exit status 1 if it stays open."""
    from runtime import days

    raise typer.Exit(0 if _on_books(context.obj, partial(days.close, bank, which)) else 1)


@day.command("trial-balance")
def trial_balance(context: typer.Context, bank: BankName, which: DayName = None) -> None:
    """What a closed day left, else the newest, by kind of account and currency."""
    from runtime import days

    raise typer.Exit(
        0 if _on_books(context.obj, partial(days.tell_trial_balance, bank, which)) else 1
    )


@app.command()
def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="End after the story")] = False,
    port: Annotated[int | None, typer.Option(help="Port; else SMARTID_PORT, else 8420")] = None,
) -> None:
    """Tell the whole story on a believable Cambodia, then keep serving."""
    from runtime import demo as story

    settings: Settings = context.obj
    raise typer.Exit(story.main(replace(settings, port=port or settings.port), once=once))


def main() -> None:
    """The console script."""
    from runtime.key_commands import keys
    from runtime.seal_commands import receipt, seals
    from runtime.staff_commands import staff
    from runtime.vault_commands import vault

    app.add_typer(receipt, name="receipt")
    app.add_typer(seals, name="seals")
    app.add_typer(keys, name="keys")
    app.add_typer(staff, name="staff")
    app.add_typer(vault, name="vault")
    try:
        app()
    except tuple(_refusals()) as refusal:
        print(f"smartid: {refusal}", file=sys.stderr)
        sys.exit(78)


def _on_books(settings: Settings, act: "Callable[[Works], Awaitable[bool]]") -> bool:
    """Run `act` on the books; those of years are added up in one statement."""
    from runtime.resources import open_resources
    from runtime.supervisor import own_servers

    async def run(complete: Settings) -> bool:
        async with open_resources(complete, statement_timeout_s=3600.0) as resources:
            return await act(resources.works)

    with own_servers(settings) as (complete, _):
        return asyncio.run(run(complete))


def _refusals() -> list[type[Exception]]:
    """What is told as one line instead of a trace: the operator can mend it."""
    from runtime.redis_safety import UnsafeRedisError
    from wallet.database import UnsafeServerError
    from wallet.simulation import AdvancedDatabaseError
    from wallet.vault.keystore import KeyStoreError

    unsafe = [UnsafeRedisError, UnsafeServerError, AdvancedDatabaseError]
    return [CannotStart, SettingsError, *unsafe, KeyStoreError]


def _serve_all(settings: Settings) -> None:
    from runtime.supervisor import running

    with running(settings) as house:
        house.await_ready()
        print(f"smartid serves at {settings.base_url} (data in {settings.data})", flush=True)
        house.run()
        print("stopping", flush=True)


def _serve_api(settings: Settings) -> None:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    from runtime.logs import GRANIAN

    settings.export()
    Granian(
        "runtime.asgi:create",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.api_workers,
        loop=Loops.uvloop,
        websockets=False,
        # HTTP/2 ends at the edge. Heads must come in time, idle connections end too, and those who
        # only hold a connection open must not use up the places of those who ask.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.slow_after_s * 1000, max_buffer_size=LARGEST_HEAD
        ),
        backlog=4096,
        backpressure=_places(),
        log_access=False,
        log_level=LogLevels.warning,
        log_dictconfig=GRANIAN,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=3,
    ).serve()


def _places() -> int:
    """How many connections a process answers at once: those beyond are not even told that it is
    busy, so as many as there may be files open, within reason."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + FILES_BESIDE
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(256, min(MOST_CONNECTIONS, soft - FILES_BESIDE))


def _serve_worker(settings: Settings) -> None:
    import uvloop

    from runtime import worker

    async def until_told() -> None:
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        await worker.main(settings, stop)

    uvloop.run(until_told())
