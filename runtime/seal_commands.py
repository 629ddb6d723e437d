"""`smartid receipt ...` and `smartid seals ...`: receipts and headers checked by whoever has the
public key, without a database or a network; and the commands that give both out.

Promise: exit status 0 when what was given is right, 1 with the reason in one line when it is not.
Called by runtime.cli.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn

import typer

from runtime.settings import Settings
from wallet.money import Currency, Money
from wallet.seals import anchor, chain
from wallet.seals import receipt as receipts
from wallet.seals.proving import Known

receipt = typer.Typer(help="Receipts for entries of the books.", no_args_is_help=True)
seals = typer.Typer(help="The signed headers of what was sealed.", no_args_is_help=True)

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="The public keys, as `smartid receipt key` prints them; else the data folder's",
    ),
]


@receipt.command("verify")
def verify_receipt(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The receipt: its JSON, or its QR code's text")],
    key: KeyFile = None,
) -> None:
    """Verify a receipt offline; exit status 1 with the reason when it is not to be believed."""
    keys = _keys(context.obj, key)
    try:
        with _opened(file) as opened:
            read = receipts.read(opened.read(receipts.LARGEST_FILE + 1))
        receipts.verify(read, keys)
    except receipts.BadReceipt as bad:
        _wrong(str(bad))
    entry, header = read.entry, read.signed.header
    money = Money(int(str(entry["amount_minor"])), Currency(str(entry["currency"])))
    print(f"right: {entry['kind']} ({entry['phase']}) of {money.display()} at {entry['at']}")
    print(f"       transfer {entry['id']}, sealed at {header.sealed_at} in seal {header.number}")


@receipt.command("key")
def print_keys(context: typer.Context) -> None:
    """Print the public keys that seals were and are signed with."""
    from runtime import seal_keys
    from runtime.resources import open_resources
    from runtime.supervisor import own_servers

    async def run(complete: Settings) -> str:
        async with open_resources(complete) as resources:
            return await seal_keys.publish(resources.works, complete)

    with own_servers(context.obj) as (complete, _):
        print(asyncio.run(run(complete)), end="")


@seals.command("export")
def export_seals(
    context: typer.Context,
    since: Annotated[int, typer.Option(min=0, help="Only seals after this number")] = 0,
) -> None:
    """Write the signed headers, a line of JSON each, for ministry and banks to keep."""
    from runtime.resources import open_resources
    from runtime.supervisor import own_servers

    async def run(complete: Settings) -> None:
        async with open_resources(complete) as resources:
            async for line in anchor.export(resources.works, since):
                sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    with own_servers(context.obj) as (complete, _):
        asyncio.run(run(complete))


@seals.command("verify")
def verify_seals(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Exported headers")],
    key: KeyFile = None,
) -> None:
    """Verify exported headers offline: each signed, each following the one before."""
    keys = _keys(context.obj, key)
    try:
        with _opened(file) as lines:
            first, last = anchor.verify(lines, keys)
    except anchor.BadChain as bad:
        _wrong(str(bad))
    told = f"seals {first.header.number} to {last.header.number}"
    print(f"right: {told}, the last of {last.header.sealed_at}")


def held_outside(file: Path | None, keys: chain.Keys) -> list[Known]:
    """The last header of an exported file, once the file is verified; none without a file."""
    if file is None:
        return []
    try:
        with _opened(file) as lines:
            _, last = anchor.verify(lines, keys)
    except anchor.BadChain as bad:
        _wrong(str(bad))
    header = last.header
    return [Known(number=header.number, hash=header.hash(), whose=f"{file.name} holds")]


def _keys(settings: Settings, file: Path | None) -> dict[str, bytes]:
    from runtime.seal_keys import PUBLIC_LIST

    if file is None:
        file = settings.data / PUBLIC_LIST
        if not file.exists():
            _wrong("name the public keys with --key FILE, as `smartid receipt key` prints them")
    with _opened(file) as opened:
        text = opened.read(1_000_000).decode("utf-8", errors="replace")
    try:
        return chain.read_keys(text)
    except ValueError as error:
        _wrong(f"{file}: {error}")


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        _wrong(f"{file}: {error.strerror}")


def _wrong(why: str) -> NoReturn:
    print(f"WRONG: {why}", file=sys.stderr)
    raise typer.Exit(1)
