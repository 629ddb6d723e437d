"""The chart of accounts: which kinds there are, who may go below zero, and opening them.

Promise: a wallet has a floor at zero, pending counted; house accounts have none. One wallet per
holder and currency; one house account per bank, kind, currency and detail.

Tables owned: accounts (opening here; counters only through `book`).
Who calls: registry (wallets), every room that moves money (house accounts).
"""

import enum
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wallet.identifiers import AccountId, HolderId
from wallet.money import Currency
from wallet.work import Work


class AccountKind(enum.StrEnum):
    """Holder wallets and the bank's own accounts (accounting for developers: docs/)."""

    WALLET = "wallet"
    TREASURY = "treasury"
    MERCHANT_SETTLEMENT = "merchant_settlement"
    SWITCH_SETTLEMENT = "switch_settlement"
    OPERATOR_FLOAT = "operator_float"
    FEES = "fees"
    FX_POSITION = "fx_position"
    FX_SPREAD = "fx_spread"
    FX_ROUNDING = "fx_rounding"
    SUSPENSE = "suspense"
    PROVISIONAL_CREDIT = "provisional_credit"
    DISPUTE_LOSS = "dispute_loss"
    CASH_TERMINAL = "cash_terminal"
    INTERBANK = "interbank"


WITH_FLOOR: Final = frozenset({AccountKind.WALLET})


class NewWallet(Struct, frozen=True, kw_only=True):
    holder_id: HolderId
    currency: Currency
    number: str
    """Nine digits and a Luhn digit, unique over all banks."""


class Wallet(Struct, frozen=True, kw_only=True):
    id: AccountId
    holder_id: HolderId
    currency: Currency
    number: str


async def open_wallets(work: Work, wallets: Sequence[NewWallet]) -> dict[str, AccountId]:
    """Open wallets in the Work's bank; answers number -> account id. A wallet a holder already
    has in that currency is left as it is and not in the answer.

    Refuses: nothing; a number taken by somebody else is a unique violation of the caller's making.
    """
    assert work.bank is not None  # noqa: S101 - a wallet stands in one bank's books
    rows = await work.rows(
        _OPEN_WALLETS,
        work.bank,
        work.now,
        [wallet.holder_id for wallet in wallets],
        [wallet.currency.value for wallet in wallets],
        [wallet.number for wallet in wallets],
    )
    return {row["number"]: AccountId(row["id"]) for row in rows}


async def wallets_of(
    work: Work, holder_ids: Sequence[HolderId], currency: Currency
) -> dict[HolderId, AccountId]:
    """The wallet account of each holder in one currency; holders without one are absent."""
    rows = await work.rows(_WALLETS_OF, list(holder_ids), currency.value)
    return {HolderId(row["holder_id"]): AccountId(row["id"]) for row in rows}


async def wallets_of_holder(work: Work, holder_id: HolderId) -> list[Wallet]:
    return await work.structs(Wallet, _WALLETS_OF_HOLDER, holder_id)


async def house_account(
    work: Work, kind: AccountKind, currency: Currency, detail: str = ""
) -> AccountId:
    """The bank's own account of this kind, opened at first need.

    `detail` tells accounts of one kind apart (an operator, a terminal, a rail).
    """
    assert work.bank is not None  # noqa: S101 - a house account stands in one bank's books
    assert kind not in WITH_FLOOR  # noqa: S101 - wallets are opened for a holder
    where = (work.bank, kind.value, currency.value, detail)
    known: AccountId | None = work.known.get(("house account", *where))
    if known is not None:
        return known
    row = await work.row(_HOUSE_ACCOUNT, *where)
    if row is None:
        await work.execute(_OPEN_HOUSE_ACCOUNT, *where, work.now)
        row = await work.row(_HOUSE_ACCOUNT, *where)
    assert row is not None  # noqa: S101 - just opened, by us or by whoever was first
    account = AccountId(row["id"])
    if not row["mine"]:
        work.known[("house account", *where)] = account
    return account


_OPEN_WALLETS = """
insert into accounts (bank, kind, currency, holder_id, number, has_floor, opened_at)
select $1, 'wallet', w.currency, w.holder_id, w.number, true, $2
from unnest($3::uuid[], $4::text[], $5::text[]) as w (holder_id, currency, number)
on conflict (holder_id, currency) where holder_id is not null do nothing
returning id, number
"""

_WALLETS_OF = """
select id, holder_id from accounts
where holder_id = any($1) and currency = $2 and kind = 'wallet'
"""

_WALLETS_OF_HOLDER = """
select id, holder_id, currency, number from accounts
where holder_id = $1 and kind = 'wallet' order by currency
"""

# A row this transaction itself wrote may yet be rolled back, so it is not remembered.
_HOUSE_ACCOUNT = """
select id, xmin::text::bigint
           = coalesce(pg_current_xact_id_if_assigned()::text::bigint, 0) % 4294967296 as mine
from accounts
where bank = $1 and kind = $2 and currency = $3 and detail = $4 and holder_id is null
"""

_OPEN_HOUSE_ACCOUNT = """
insert into accounts (bank, kind, currency, detail, has_floor, opened_at)
values ($1, $2, $3, $4, false, $5)
on conflict (bank, kind, currency, detail) where holder_id is null do nothing
"""
