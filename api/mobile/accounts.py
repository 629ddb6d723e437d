"""The holder's own standing at the phones' door: who they are, what they have, what came and went.

Promise: a holder sees their own accounts and nobody else's; another's is as good as none. Entries
are paged by an order that never shifts. Who calls: the app.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import get
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.problems import FieldsRefused
from api.resources import Resources
from api.security import HolderCaller
from api.wire import (
    PAGE,
    Cursor,
    Limit,
    MoneyOut,
    Page,
    money_out,
    page_of,
    read_cursor,
)
from wallet.access import devices, otp
from wallet.identifiers import AccountId, HolderId
from wallet.ledger import chart, statement
from wallet.ledger.statement import Entry
from wallet.money import Money
from wallet.outcomes import Reason, Refused
from wallet.registry import holders
from wallet.work import Work

Moment = Annotated[
    datetime | None,
    Parameter(query="at", description="A moment that has passed, with its offset; none: now."),
]


class OwnDevice(Struct, frozen=True, kw_only=True):
    device_id: str
    paired_at: datetime
    cooling_until: datetime | None


class Me(Struct, frozen=True, kw_only=True):
    """The holder, the phone that asks, and whether an authenticator is set up."""

    holder_id: HolderId
    bank: str
    agency: str
    name_latin: str
    name_khmer: str
    language: str
    authenticator: bool
    device: OwnDevice


class ShownAccount(Struct, frozen=True, kw_only=True):
    """A wallet: `available` is what may be spent, `held` what is reserved."""

    account_id: AccountId
    number: str
    currency: str
    posted: MoneyOut
    held: MoneyOut
    available: MoneyOut


class BalanceAt(Struct, frozen=True, kw_only=True):
    """What a wallet held at a moment."""

    account_id: AccountId
    at: datetime
    posted: MoneyOut
    held: MoneyOut
    available: MoneyOut


class ShownEntry(Struct, frozen=True, kw_only=True):
    """One line of an account; the amount is negative when money left it. `balance`: what was
    there after it, which an open hold does not change."""

    transfer_id: UUID
    kind: Annotated[str, Meta(examples=["salary"])]
    phase: Annotated[str, Meta(examples=["posted"])]
    amount: MoneyOut
    balance: MoneyOut
    at: datetime
    reference: UUID | None


@get("/me", summary="Who I am")
async def me(caller: HolderCaller, resources: Resources) -> Me:
    async def read(work: Work) -> Me:
        holder = await holders.by_id(work, caller.holder_id)
        device = (await devices.active_of(work, [caller.holder_id])).get(caller.holder_id)
        if holder is None or device is None:
            raise Refused(Reason.NOT_FOUND)
        enrolled = await otp.have_authenticator(work, [caller.holder_id])
        return Me(
            holder_id=holder.id,
            bank=holder.bank,
            agency=holder.agency,
            name_latin=holder.name_latin,
            name_khmer=holder.name_khmer,
            language=holder.language,
            authenticator=bool(enrolled),
            device=OwnDevice(
                device_id=str(device.id),
                paired_at=device.paired_at,
                cooling_until=device.cooling_until,
            ),
        )

    return await resources.works.read(caller.actor, caller.bank, read)


@get("/accounts", summary="My wallets and what is in them")
async def accounts(caller: HolderCaller, resources: Resources) -> list[ShownAccount]:
    async def read(work: Work) -> list[ShownAccount]:
        wallets = await chart.wallets_of_holder(work, caller.holder_id)
        balances = await statement.balances(work, [wallet.id for wallet in wallets])
        return [_shown(wallet, balances[wallet.id], caller.language) for wallet in wallets]

    return await resources.works.read(caller.actor, caller.bank, read)


def _shown(wallet: chart.Wallet, balance: statement.Balance, language: str) -> ShownAccount:
    return ShownAccount(
        account_id=wallet.id,
        number=wallet.number,
        currency=wallet.currency.value,
        posted=money_out(balance.posted, language),
        held=money_out(balance.held, language),
        available=money_out(balance.available, language),
    )


@get("/accounts/{account_id:int}/balance", summary="What a wallet of mine held at a moment")
async def balance(
    account_id: int, caller: HolderCaller, resources: Resources, at: Moment = None
) -> BalanceAt:
    async def read(work: Work) -> BalanceAt:
        await _own(work, caller, account_id)
        moment = work.now if at is None else _past(at, work.now)
        found = await statement.balance_at(work, AccountId(account_id), moment)
        if found is None:
            raise Refused(Reason.NOT_FOUND)
        return BalanceAt(
            account_id=found.account_id,
            at=moment,
            posted=money_out(found.posted, caller.language),
            held=money_out(found.held, caller.language),
            available=money_out(found.available, caller.language),
        )

    return await resources.works.read(caller.actor, caller.bank, read)


def _past(at: datetime, now: datetime) -> datetime:
    if at.tzinfo is None:
        raise FieldsRefused({"at": "Expected a moment with its offset, as 2026-01-12T09:00:00Z"})
    if at > now:
        raise FieldsRefused({"at": "Expected a moment that has passed"})
    return at


async def _own(work: Work, caller: HolderCaller, account_id: int) -> None:
    wallets = await chart.wallets_of_holder(work, caller.holder_id)
    if account_id not in {wallet.id for wallet in wallets}:
        raise Refused(Reason.NOT_FOUND)


@get("/accounts/{account_id:int}/entries", summary="What came and went, newest first")
async def entries(
    account_id: int,
    caller: HolderCaller,
    resources: Resources,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Page[ShownEntry]:
    before = read_cursor(cursor, tuple[int])

    async def read(work: Work) -> list[Entry]:
        await _own(work, caller, account_id)
        return await statement.entries(
            work,
            AccountId(account_id),
            before_seq=before[0] if before else None,
            limit=limit + 1,
        )

    found = await resources.works.read(caller.actor, caller.bank, read)
    page = page_of(found, limit, lambda entry: (entry.seq,))
    return Page(items=[_line(entry, caller.language) for entry in page.items], next=page.next)


def _line(entry: Entry, language: str) -> ShownEntry:
    return ShownEntry(
        transfer_id=entry.transfer_id,
        kind=entry.kind,
        phase=entry.phase,
        amount=money_out(Money(entry.amount_minor, entry.currency), language),
        balance=money_out(Money(entry.balance_minor, entry.currency), language),
        at=entry.at,
        reference=entry.reference,
    )


HANDLERS: Final[list[Any]] = [me, accounts, balance, entries]
