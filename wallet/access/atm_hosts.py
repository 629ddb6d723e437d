"""The banks' ATM hosts: which terminals stand behind each, and where.

Promise: a terminal answers for its own bank alone. Keys of hosts stand in `machines`.

Tables owned: atm_terminals.

    terminal: listed --removed--> removed --added--> listed

Who calls: the ATM door, seed and runtime (terminals).
"""

from collections.abc import Sequence
from typing import Final

from wallet.database import CheckViolation
from wallet.identifiers import BankId
from wallet.outcomes import Reason, Refused
from wallet.work import Actor, ActorKind, Work


def actor_of(bank: BankId, terminal: str) -> Actor:
    """The ATM host as an actor: named by terminal, so that a change of key keeps its repeats."""
    return Actor(kind=ActorKind.ATM_HOST, id=f"{bank}:{terminal}", bank=bank)


async def list_terminals(
    work: Work, bank: BankId, terminals: Sequence[str], places: Sequence[str]
) -> None:
    """List terminals (up to 16 of A-Z a-z 0-9 . _ -) and where they stand, in one statement.

    Refuses: INVALID_REQUEST (form).
    """
    try:
        await work.execute(_LIST, bank, list(terminals), list(places), work.now)
    except CheckViolation:
        raise Refused(Reason.INVALID_REQUEST, field="terminal") from None


async def remove_terminal(work: Work, bank: BankId, terminal: str) -> None:
    """Take a terminal off its bank's list. Refuses: NOT_FOUND."""
    if await work.execute(_REMOVE, bank, terminal, work.now) != "UPDATE 1":
        raise Refused(Reason.NOT_FOUND)
    work.note("atm_terminal.remove", f"{bank}:{terminal}")


async def place_of(work: Work, bank: BankId, terminal: str) -> str | None:
    """Where a terminal stands, as it is named to the holder."""
    place: str | None = await work.value(_PLACE, bank, terminal)
    return place


_LIST: Final = """
insert into atm_terminals (bank, terminal, place, added_at)
select $1, terminal, place, $4 from unnest($2::text[], $3::text[]) as fresh (terminal, place)
on conflict (bank, terminal) do update set place = excluded.place, removed_at = null
"""

_REMOVE: Final = """
update atm_terminals set removed_at = $3
where bank = $1 and terminal = $2 and removed_at is null
"""

_PLACE: Final = "select place from atm_terminals where bank = $1 and terminal = $2"
