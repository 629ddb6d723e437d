"""A bank's own accounts as bank operations read them: balances, and entries newest first.

Promise: house accounts only, of the Work's own bank; never a sum over history (the balance of a
page starts at the nearest checkpoint), and only what is final: house accounts are written without
a lock, so nothing is shown that something could still appear below. Read through a function of the
database, since a clerk's role reads no transfers. Who calls: the banks' door.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from wallet.identifiers import AccountId, TransferId
from wallet.ledger.chart import AccountKind
from wallet.ledger.statement import Entry
from wallet.money import Currency, Money
from wallet.work import Work


class HouseAccount(Struct, frozen=True, kw_only=True):
    """`balance`: credits less debits, posted; below zero where the bank is owed. `detail` tells
    accounts of one kind apart (an operator, a terminal)."""

    id: AccountId
    kind: AccountKind
    detail: str
    balance: Money
    debits_pending: Money
    credits_pending: Money


async def house_accounts(
    work: Work, *, after: AccountId | None = None, limit: int
) -> list[HouseAccount]:
    """The bank's own accounts in the order they were opened."""
    return [_account(row) for row in await work.rows(_ACCOUNTS, work.bank, after or 0, limit)]


async def house_account_of(work: Work, account_id: AccountId) -> HouseAccount | None:
    """One of them; None for a wallet and for another bank's."""
    row = await work.row(_ACCOUNT, work.bank, account_id)
    return None if row is None else _account(row)


async def house_entries(
    work: Work, account_id: AccountId, *, before_seq: int | None = None, limit: int
) -> list[Entry]:
    """Posted and captured money older than `before_seq`, newest first, each with the balance after
    it. Empty for an account that is no house account of this bank."""
    before = _END if before_seq is None else before_seq
    return _entries(await work.rows(_ENTRIES, account_id, before, limit))


def _account(row: Any) -> HouseAccount:
    currency = Currency(row["currency"])
    return HouseAccount(
        id=AccountId(row["id"]),
        kind=AccountKind(row["kind"]),
        detail=row["detail"],
        balance=Money(row["balance"], currency),
        debits_pending=Money(row["debits_pending"], currency),
        credits_pending=Money(row["credits_pending"], currency),
    )


def _entries(rows: Sequence[Any]) -> list[Entry]:
    return [
        Entry(
            seq=row["seq"],
            transfer_id=TransferId(row["transfer_id"]),
            kind=row["kind"],
            phase=row["phase"],
            amount_minor=row["amount_minor"],
            currency=Currency(row["currency"]),
            at=row["at"],
            reference=row["reference"],
            balance_minor=int(row["balance_minor"]),
        )
        for row in rows
    ]


_END: Final = 2**63 - 1

_COLUMNS: Final = """
select id, kind, detail, currency, credits_posted - debits_posted as balance, debits_pending,
       credits_pending
from accounts where bank = $1 and holder_id is null"""

_ACCOUNTS: Final = f"{_COLUMNS} and id > $2 order by id limit $3"

_ACCOUNT: Final = f"{_COLUMNS} and id = $2"

_ENTRIES: Final = "select * from house_entries($1, $2, $3)"
