"""Reading the books: balances now, and an account's entries newest first.

Promise: read-only; entries are paged by the account's own order (`seq`), which never shifts under
the reader. Who calls: phone door, support's timeline, disputes.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from wallet.identifiers import AccountId, TransferId
from wallet.money import Currency, Money
from wallet.work import Work


class Balance(Struct, frozen=True, kw_only=True):
    """`posted`: money that is there. `held`: reserved of it. `available`: the difference."""

    account_id: AccountId
    posted: Money
    held: Money
    available: Money


class Entry(Struct, frozen=True, kw_only=True):
    """One line of an account: `amount_minor` is negative when money left it."""

    seq: int
    transfer_id: TransferId
    kind: str
    phase: str
    amount_minor: int
    currency: Currency
    at: datetime
    reference: UUID | None


async def balances(work: Work, account_ids: Sequence[AccountId]) -> dict[AccountId, Balance]:
    """The balance of each account, as of this Work."""
    found = {}
    for row in await work.rows(_BALANCES, list(account_ids)):
        currency = Currency(row["currency"])
        account = AccountId(row["id"])
        posted, held = row["posted"], row["held"]
        found[account] = Balance(
            account_id=account,
            posted=Money(posted, currency),
            held=Money(held, currency),
            available=Money(posted - held, currency),
        )
    return found


async def entries(
    work: Work, account_id: AccountId, *, before_seq: int | None = None, limit: int = 50
) -> list[Entry]:
    """The account's entries older than `before_seq`, newest first: posted and captured money, and
    holds still open. Resolved holds show as their capture, or not at all; a forced post that the
    account paid nothing of does not show."""
    return await work.structs(Entry, _ENTRIES, account_id, before_seq or 2**63 - 1, limit)


_BALANCES = """
select id, currency, credits_posted - debits_posted as posted, debits_pending as held
from accounts where id = any($1)
"""

# Each side is read by its own index, newest first, and cut before the two are merged.
_ENTRIES = """
with sides as (
    (select seq, id, kind, phase, -amount_minor as amount_minor, currency, at, reference
     from transfers t
     where debit_account_id = $1 and seq < $2 and amount_minor > 0
       and (phase in ('posted', 'capture')
            or (phase = 'hold' and exists (select 1 from open_holds o where o.id = t.id)))
     order by seq desc limit $3)
    union all
    (select seq, id, kind, phase, amount_minor, currency, at, reference
     from transfers
     where credit_account_id = $1 and seq < $2 and amount_minor > 0
       and phase in ('posted', 'capture')
     order by seq desc limit $3)
)
select seq, id as transfer_id, kind, phase, amount_minor, currency, at, reference
from sides order by seq desc limit $3
"""
