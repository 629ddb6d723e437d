"""`smartid staff`: the first admin comes from the machine room, and from nowhere else."""

import asyncio
import re
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime import staff_commands, supervisor
from runtime.embedded import Embedded
from runtime.settings import Settings, read
from tests.behind import rows_of_all_banks
from wallet.database import Database

PASSPHRASE = "the mekong turns around in november"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, servers: Embedded) -> Settings:
    return read(
        tmp_path,
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": servers.redis_url,
            "SMARTID_OPERATOR": "chea.sokha",
        },
    )


async def run(settings: Settings, *arguments: str, typed: str = "") -> Result:
    """In a thread: the command has a loop of its own."""
    invoke = partial(
        CliRunner().invoke, staff_commands.staff, list(arguments), input=typed, obj=settings
    )
    return await asyncio.to_thread(invoke)


def add(login: str, kind: str, *rest: str) -> list[str]:
    return ["add", login, "--name", "Sok Dara", "--kind", kind, *rest]


async def test_an_admin_is_taken_on_with_authenticator_and_ticket(
    settings: Settings, database: Database
) -> None:
    done = await run(settings, *add("sok.dara", "admin", "--role", "admin"), typed=PASSPHRASE)
    assert done.exit_code == 0, done.output
    assert re.search(r"authenticator: otpauth://totp/", done.output)
    [ticket] = re.findall(r"passkey ticket: (\S{32})", done.output)
    dump = str(await database.rows("select row_to_json(t)::text from passkey_tickets t"))
    assert ticket not in dump
    assert PASSPHRASE not in done.output
    [row] = await database.rows("select kind, roles from staff")
    assert (row["kind"], row["roles"]) == ("admin", ["admin"])
    acts = [
        row["act"]
        for row in await rows_of_all_banks(database, "select act from audit order by seq")
    ]
    assert acts == ["staff.enrol", "staff.passkey_ticket"]
    told = await rows_of_all_banks(database, "select distinct actor_id from audit")
    assert [row["actor_id"] for row in told] == ["operator:chea.sokha"]

    again = await run(settings, "passkey", "sok.dara")
    assert re.search(r"passkey ticket: (\S{32})", again.output)
    assert ticket not in again.output
    listed = await run(settings, "list")
    assert re.search(r"sok\.dara\s+admin\s+-\s+admin\s+passkeys 0", listed.output)
    out = await run(settings, "disable", "sok.dara")
    assert out.exit_code == 0
    assert "disabled" in (await run(settings, "list")).output


async def test_what_does_not_fit_is_said_in_one_line_and_takes_nobody_on(
    settings: Settings, database: Database
) -> None:
    for arguments, typed in (
        (add("new.one", "support", "--role", "agent"), "too short"),
        (add("new.one", "support", "--role", "agent"), "correct horse battery staple"),
        (add("new.one", "support", "--role", "admin"), PASSPHRASE),
        (add("new.one", "support", "--role", "emperor"), PASSPHRASE),
        (add("new.one", "bank_clerk", "--role", "maker"), PASSPHRASE),
        (add("new.one", "support", "--role", "agent", "--bank", "ACLEDA"), PASSPHRASE),
        (["passkey", "nobody"], ""),
        (["disable", "nobody"], ""),
    ):
        done = await run(settings, *arguments, typed=typed)
        assert done.exit_code == 1, (arguments, done.output)
        assert "smartid: " in done.output
    assert not await database.rows("select from staff")


def test_no_passphrase_is_taken_from_the_command_line() -> None:
    assert supervisor.own_servers is not None
    for command in staff_commands.staff.registered_commands:
        assert command.callback is not None
        names = command.callback.__annotations__
        assert not {"passphrase", "password", "secret", "ticket"} & set(names)
