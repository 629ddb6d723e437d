"""`smartid staff ...`: the first admins, everybody after them, and who lost their authenticator.

Promise: passphrases are asked for at the terminal or read from standard input, never taken from the
command line, where others could read them; the authenticator's secret and the passkey's ticket are
printed once and stand nowhere in readable form. Every command is audited as the operator's.
Called by runtime.cli.
"""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from api.resources import Resources
from runtime.settings import Settings
from wallet.access import passkeys
from wallet.access import staff as people
from wallet.access.members import StaffKind, member_of
from wallet.identifiers import AgencyId, BankId, Secret
from wallet.outcomes import Refused
from wallet.work import Work, operator

staff = typer.Typer(help="Who works here: admins, officers, clerks, agents.", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="3 to 64 of a-z 0-9 . _ -")]

_TOLD = {
    "passphrase_weak": "choose a passphrase of 15 to 128 characters that nobody would try first",
    "conflict": "not taken: the login is somebody's, or role, kind and house do not fit together",
    "not_found": "nobody of that login is on the staff",
}


@staff.command("add")
def add(
    context: typer.Context,
    login: Login,
    name: Annotated[str, typer.Option(help="As colleagues read it")],
    kind: Annotated[StaffKind, typer.Option(help="Which door")],
    role: Annotated[list[str], typer.Option(help="Once for each: maker, checker, agent, ...")],
    bank: Annotated[str | None, typer.Option(help="A clerk's bank, as ACLEDA")] = None,
    agency: Annotated[str | None, typer.Option(help="An officer's agency, as MCS")] = None,
) -> None:
    """Take somebody on: prints what their authenticator app scans and, where a role asks for a
    passkey, the ticket to register it with. Hand both over in person."""
    passphrase = _passphrase()

    async def act(resources: Resources) -> list[str]:
        enrolled = await people.enrol(
            resources.works,
            resources.vault,
            resources.hashing,
            kind=kind,
            login=login,
            name=name,
            passphrase=passphrase,
            roles=frozenset(role),
            bank=None if bank is None else BankId(bank),
            agency=None if agency is None else AgencyId(agency),
            by=operator(context.obj.operator),
        )

        async def ticket(work: Work) -> Secret[str] | None:
            member = await member_of(work, enrolled.id)
            if not member.needs_passkey:
                return None
            return await passkeys.begin_anew(work, enrolled.id)

        given = await resources.works.perform(operator(context.obj.operator), None, ticket)
        return [f"authenticator: {enrolled.otpauth_uri.reveal()}", *_ticket(given)]

    _tell(context.obj, act)


@staff.command("passkey")
def passkey(context: typer.Context, login: Login) -> None:
    """Begin anew for whose authenticator is lost: revokes their passkeys, ends their session and
    prints a ticket, good once and for a week. Hand it over in person."""

    async def act(resources: Resources) -> list[str]:
        async def anew(work: Work) -> Secret[str]:
            return await passkeys.begin_anew(work, await people.id_of(work, login))

        return _ticket(await resources.works.perform(operator(context.obj.operator), None, anew))

    _tell(context.obj, act)


@staff.command("disable")
def disable(context: typer.Context, login: Login) -> None:
    """Let somebody in no more, at once."""

    async def act(resources: Resources) -> list[str]:
        async def out(work: Work) -> None:
            await people.disable(work, await people.id_of(work, login))

        await resources.works.perform(operator(context.obj.operator), None, out)
        return [f"{login} is let in no more"]

    _tell(context.obj, act)


@staff.command("list")
def listed(context: typer.Context) -> None:
    """Everybody, by login: door, house, roles, passkeys."""

    async def act(resources: Resources) -> list[str]:
        found = await resources.works.read(
            operator(context.obj.operator), None, lambda work: people.everybody(work, 10_000)
        )
        return [
            f"{one.login:24} {one.kind.value:14} {one.bank or one.agency or '-':10}"
            f" {','.join(sorted(one.roles)):24} passkeys {one.passkeys}"
            f"{'  disabled' if one.disabled_at else ''}"
            for one in found
        ]

    _tell(context.obj, act)


def _ticket(given: Secret[str] | None) -> list[str]:
    return [] if given is None else [f"passkey ticket: {given.reveal()}"]


def _passphrase() -> Secret[str]:
    if not sys.stdin.isatty():
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    first = getpass.getpass("passphrase: ")
    if getpass.getpass("again: ") != first:
        raise typer.BadParameter("the two are not the same")
    return Secret(first)


def _tell(settings: Settings, act: Callable[[Resources], Awaitable[list[str]]]) -> None:
    from runtime.resources import open_resources
    from runtime.supervisor import own_servers

    async def run(complete: Settings) -> list[str]:
        async with open_resources(complete) as resources:
            return await act(resources)

    try:
        with own_servers(settings) as (complete, _):
            lines = asyncio.run(run(complete))
    except Refused as refused:
        code = refused.reason.value
        print(f"smartid: {_TOLD.get(code, code)}", file=sys.stderr)
        raise typer.Exit(1) from None
    print("\n".join(lines))
