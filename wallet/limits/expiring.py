"""Releasing holds whose moment has come, in order of expiry, and what they counted with them.

Promise: a hold stops counting no later than the worker's next round; capturing at or after the
moment is declined even before that. What it counted goes back to the windows in which it was
counted, in the same transaction. Who calls: runtime's worker.
"""

from typing import Final

from wallet.identifiers import BankId, HolderId, TransferId
from wallet.ledger import book as books
from wallet.ledger.book import Posted
from wallet.ledger.transfer import TransferKind, expiry_id
from wallet.limits.counting import Want, open_limits
from wallet.limits.rules import Rule, Window
from wallet.money import Currency, Money
from wallet.work import WORKER, Work, Works

GROUP: Final = 512


async def release_due(works: Works, bank: BankId) -> int:
    """Expire up to `GROUP` due holds of one bank in one Work; answers how many were due."""

    async def act(work: Work) -> int:
        due = await books.due_holds(work, GROUP)
        if not due:
            return 0
        book = await books.open_book(work, accounts=(), holds=due)
        counted = await _counted(work, due)
        limits = await open_limits(work, list(counted.values()))
        for hold in due:
            expired = book.expire(expiry_id(hold), hold)
            if isinstance(expired, Posted) and not expired.repeated and hold in counted:
                limits.release(counted[hold])
        await limits.write()
        await book.write()
        return len(due)

    return await works.perform(WORKER, bank, act)


async def _counted(work: Work, holds: list[TransferId]) -> dict[TransferId, Want]:
    """How each hold on a holder's wallet was counted."""
    return {
        TransferId(row["id"]): Want(
            holder_id=HolderId(row["holder_id"]),
            money=Money(row["amount_minor"], Currency(row["currency"])),
            kind=TransferKind(row["kind"]),
            at=row["at"],
            also=(_monthly(TransferKind(row["kind"])),),
        )
        for row in await work.rows(_HOLDS, holds)
    }


def _monthly(kind: TransferKind) -> Rule:
    """Where the acts of a month are counted for a free number of them, if they are."""
    return Rule(window=Window.MONTH, currency=Currency.KHR, both=True, kind=kind)


_HOLDS: Final = """
select t.id, a.holder_id, t.amount_minor, t.currency, t.kind, t.at
from transfers t join accounts a on a.id = t.debit_account_id
where t.id = any($1) and a.holder_id is not null and t.kind <> 'fee'
"""
