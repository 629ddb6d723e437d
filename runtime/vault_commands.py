"""`smartid vault ...`: wrapping keys changed in service, a person erased, their data given out.

Promise: each command says what it did and what comes next; done again after being cut off, it goes
on. Called by runtime.cli.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from api.resources import Resources
from notifications import inbox
from runtime.key_store import open_key_store
from runtime.settings import Settings
from wallet import disclosure, erasure
from wallet.identifiers import BankId, HolderId
from wallet.outcomes import Reason, Refused
from wallet.registry import holders
from wallet.vault import rotation
from wallet.vault.keystore import KeyStore
from wallet.work import SYSTEM, Actor, Work, Works, operator

vault = typer.Typer(help="The keys that seal, and what they seal.", no_args_is_help=True)

Holder = Annotated[UUID, typer.Argument(help="The holder's id")]


@vault.command()
def status(context: typer.Context) -> None:
    """Which wrapping keys there are, and how many data keys each of them wraps."""

    async def tell(resources: Resources, store: KeyStore) -> None:
        for line in told(await standing(resources.works, store)):
            print(line)

    _with_store(context.obj, tell)


@vault.command()
def rotate(context: typer.Context) -> None:
    """Make a new wrapping key, which wraps from now on; what older ones wrapped stays readable."""

    async def act(_: Resources, store: KeyStore) -> None:
        print(f"wrapping key {await store.rotate()} wraps from now on")
        print("next: `smartid vault rewrap` (with a key file of their own: other machines first)")

    _with_store(context.obj, act)


@vault.command()
def rewrap(context: typer.Context) -> None:
    """Wrap every data key with the newest wrapping key, while everything goes on."""

    async def act(resources: Resources, store: KeyStore) -> None:
        began = time.monotonic()
        count = await rewrap_all(resources.works, store, operator(context.obj.operator))
        seconds = time.monotonic() - began
        print(f"{count:,} data keys wrapped anew in {seconds:.1f} s")
        print("next: `smartid vault destroy VERSION`, once backups no longer need the old one")

    _with_store(context.obj, act)


@vault.command()
def destroy(
    context: typer.Context,
    version: Annotated[int, typer.Argument(min=1, help="The wrapping key to destroy")],
) -> None:
    """Destroy an older wrapping key for ever. Refused while it still wraps anything."""

    async def act(resources: Resources, store: KeyStore) -> None:
        await destroy_version(resources.works, store, version, operator(context.obj.operator))
        print(f"wrapping key {version} is destroyed")

    _with_store(context.obj, act)


@vault.command()
def shred(
    context: typer.Context,
    holder: Holder,
    reason: Annotated[str, typer.Option(help="The reason two of their bank's staff agreed to")],
) -> None:
    """Make a person who has gone unreadable for ever. Their accounts and transfers stay."""

    async def act(resources: Resources, _: KeyStore) -> None:
        try:
            await shred_person(resources, HolderId(holder), reason, operator(context.obj.operator))
        except Refused as refused:
            facts = " ".join(f"{name}={fact}" for name, fact in refused.facts.items())
            print(f"smartid: not erased: {refused.reason.value} {facts}", file=sys.stderr)
            if refused.reason is Reason.FOUR_EYES:
                print("two of their bank's staff have to agree first, at /v1/bank", file=sys.stderr)
            raise typer.Exit(1) from None
        print(f"{holder} is erased: no copy of the key table may outlive its retention")

    _with_store(context.obj, act)


@vault.command()
def export(
    context: typer.Context,
    holder: Holder,
    bank: Annotated[str | None, typer.Option(help="Only of this bank, as ACLEDA")] = None,
    out: Annotated[Path | None, typer.Option(help="A new file; else the screen")] = None,
) -> None:
    """What each bank holds on a person, as JSON with a manifest."""

    async def act(resources: Resources, _: KeyStore) -> None:
        by = operator(context.obj.operator)
        held = await export_of(resources.works, HolderId(holder), bank, by)
        text = msgspec.json.format(msgspec.json.encode(held), indent=2)
        if out is None:
            sys.stdout.buffer.write(text + b"\n")
            return
        with out.open("xb") as file:
            out.chmod(0o600)
            file.write(text)
        print(f"{out}: {sum(len(one.manifest) for one in held)} sections")

    _with_store(context.obj, act)


async def standing(works: Works, store: KeyStore) -> rotation.Standing:
    return await works.read(SYSTEM, None, lambda work: rotation.standing(work, store))


def told(now: rotation.Standing) -> list[str]:
    """How a rotation stands, a line for each wrapping key."""
    newest = now.versions[-1]
    lines = [
        f"wrapping key {version}: {now.wrapped.get(version, 0):,} data keys"
        + (", wraps" if version == newest else "")
        for version in now.versions
    ]
    lost = {v: count for v, count in now.wrapped.items() if v not in now.versions}
    return lines + [f"wrapping key {v} IS MISSING: {n:,} data keys" for v, n in lost.items()]


async def rewrap_all(works: Works, store: KeyStore, by: Actor = SYSTEM) -> int:
    """Every data key by the newest wrapping key; answers how many there were."""
    after, count = rotation.FIRST, 0
    while True:

        async def page(work: Work, after: UUID = after) -> tuple[UUID, int]:
            return await rotation.rewrap(work, store, after=after)

        after, done = await works.perform(by, None, page)
        count += done
        if after == rotation.FIRST:
            return count


async def destroy_version(works: Works, store: KeyStore, version: int, by: Actor = SYSTEM) -> None:
    """Retire in the table first, then destroy: cut off between, nothing is lost."""

    async def act(work: Work) -> None:
        await rotation.retire(work, version)
        work.note("vault.retire", str(version))

    await works.perform(by, None, act)
    await store.destroy(version)


async def shred_person(
    resources: Resources, holder_id: HolderId, reason: str, by: Actor = SYSTEM
) -> None:
    """Erase a person and all that they were told. Refuses: what `erasure.erase` refuses."""
    person = await resources.works.read(SYSTEM, None, lambda work: holders.by_id(work, holder_id))

    async def act(work: Work) -> None:
        await erasure.erase(work, resources.vault, holder_id, reason=reason)
        await inbox.forget(work, holder_id)

    await resources.works.perform(by, None if person is None else person.bank, act)


async def export_of(
    works: Works, holder_id: HolderId, bank: str | None, by: Actor = SYSTEM
) -> list[disclosure.Held]:
    """What every bank, or one, holds on a person, who sees in their feed that it was made."""

    async def note(work: Work) -> None:
        work.note("vault.export", str(holder_id), holder_id=holder_id, seen=["export"])

    held = await disclosure.held_by_banks(works, by, holder_id)
    await works.perform(by, None, note)
    return [one for one in held if bank is None or one.bank == BankId(bank)]


def _with_store(settings: Settings, act: Callable[[Resources, KeyStore], Awaitable[None]]) -> None:
    from runtime.resources import open_resources
    from runtime.supervisor import own_servers

    async def run(complete: Settings) -> None:
        store = open_key_store(complete)
        async with open_resources(complete, statement_timeout_s=600.0) as resources:
            await act(resources, store)

    with own_servers(settings) as (complete, _):
        asyncio.run(run(complete))
