"""Fees: what an act costs its holder, from the bank's own table.

Promise: a fee is shown before it is signed and never other than what was signed; it is posted
with the act, as a transfer of its own, or the act does not happen; a number of acts is free where
the table says so. The table is effective-dated and changed by two people (proposals).

    (no line fits)                      -> free
    line fits, `used` below its `free`  -> free
    line fits otherwise                 -> its fee, for amounts up to its band

Owns no table: the sheets are terms'. Who calls: cards, qr, topups (asking and charging),
proposals.
"""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from wallet import terms
from wallet.identifiers import AccountId, TransferId, derived_id
from wallet.ledger.book import Book, Posted, Posting, TransferKind
from wallet.ledger.chart import AccountKind, house_account
from wallet.limits import Rule, Tier, Window, begins
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Facts, Reason, Refused
from wallet.terms import InForce, Sort
from wallet.work import Work


class Function(enum.StrEnum):
    """What costs. `used` of a card is how many live ones its holder has; of a payment, how many
    were made this month."""

    CARD = "card"
    QR_PAYMENT = "qr_payment"
    CARD_PURCHASE = "card_purchase"
    TOPUP = "topup"


class Network(enum.StrEnum):
    """Whether the other side is in the same bank's books."""

    ON_US = "on_us"
    OFF_US = "off_us"


class FeeLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line: minor units of `currency`. Without `network` or `tier` it is for all of them,
    without `up_to_minor` for any amount. Of the lines that fit, the first holds."""

    function: Function
    currency: Currency
    fee_minor: Annotated[int, Meta(ge=0, le=2**53)]
    network: Network | None = None
    tier: Tier | None = None
    up_to_minor: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    free: Annotated[int, Meta(ge=0, le=10_000)] = 0


class FeeSheet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All fees of a bank, replaced whole."""

    lines: tuple[FeeLine, ...]


DEFAULT: Final = FeeSheet(
    lines=(
        # ABA's virtual card, the nearest local model: three free, then 3 dollars; the riel its pair
        FeeLine(function=Function.CARD, currency=Currency.USD, fee_minor=300, free=3),
        FeeLine(function=Function.CARD, currency=Currency.KHR, fee_minor=12_000, free=3),
    )
)
"""What holds until a bank sets its own: paying by QR and topping up cost nothing."""


class Fees:
    """A bank's fee sheets, by the moment each takes effect."""

    def __init__(self, own: InForce[FeeSheet]) -> None:
        self._own = own

    def at(self, moment: datetime) -> FeeSheet:
        term = self._own.at(moment)
        return DEFAULT if term is None else term.what


async def fees_of(work: Work) -> Fees:
    return Fees(await terms.in_force(work, Sort.FEES, _ready))


def _ready(body: Any) -> FeeSheet:
    return msgspec.convert(body, FeeSheet)


def decide_fee(
    sheet: FeeSheet,
    function: Function,
    currency: Currency,
    *,
    used: int = 0,
    amount_minor: int = 0,
    network: Network | None = None,
    tier: Tier = Tier.FULL,
) -> Money | None:
    """What one more act costs; None when nothing."""
    for line in sheet.lines:
        if (
            line.function is function
            and line.currency is currency
            and line.network in (None, network)
            and line.tier in (None, tier)
            and (line.up_to_minor is None or amount_minor <= line.up_to_minor)
        ):
            free = used < line.free or line.fee_minor == 0
            return None if free else Money(line.fee_minor, currency)
    return None


def decide_signed(signed: Money | None, due: Money | None) -> Declined | None:
    """A fee that changed since it was signed is neither taken nor forgiven: ask anew."""
    if signed == due:
        return None
    return Declined(reason=Reason.CONFLICT, facts={"fee_minor": due.minor if due else 0})


def counted_for(sheet: FeeSheet, function: Function) -> tuple[Rule, ...]:
    """What payments must count towards (`Want.also`), where a number of them a month is free."""
    if function is Function.CARD or not _has_free(sheet, function):
        return ()
    return (monthly(function),)


def monthly(function: Function) -> Rule:
    """How payments of a month are counted for the free ones."""
    kind = TransferKind(function.value)
    return Rule(window=Window.MONTH, currency=Currency.KHR, both=True, kind=kind)


def _has_free(sheet: FeeSheet, function: Function) -> bool:
    return any(line.function is function and line.free for line in sheet.lines)


def decide_change(before: FeeSheet, after: FeeSheet, effective_from: datetime | None) -> None:
    """Refuses: INVALID_REQUEST (a line that can never hold, behind one that holds always; a free
    number or a tier of card purchases, whose till counts none and asks for none); CONFLICT (a free
    number a month begins, or ends, on the first of one)."""
    seen: list[FeeLine] = []
    for place, line in enumerate(after.lines):
        uncounted = line.function is Function.CARD_PURCHASE and (line.free or line.tier is not None)
        if uncounted or any(_covers(earlier, line) for earlier in seen):
            raise Refused(Reason.INVALID_REQUEST, field=f"lines[{place}]")
        seen.append(line)
    for function in Function:
        anew = counted_for(before, function) != counted_for(after, function)
        if anew and (effective_from is None or not begins(Window.MONTH, effective_from)):
            raise Refused(Reason.CONFLICT, field="effective_from", starts_a=Window.MONTH.value)


def _covers(earlier: FeeLine, later: FeeLine) -> bool:
    wider = earlier.up_to_minor is None or (
        later.up_to_minor is not None and later.up_to_minor <= earlier.up_to_minor
    )
    return (
        (earlier.function, earlier.currency) == (later.function, later.currency)
        and earlier.network in (None, later.network)
        and earlier.tier in (None, later.tier)
        and wider
    )


def facts_of(fee: Money | None) -> Facts:
    """A fee beside the text of what is signed."""
    return {} if fee is None else {"fee": fee.display("en"), "fee_minor": fee.minor}


def words_of(fee: Money | None) -> tuple[str, str]:
    """A fee as a sentence, in English and Khmer."""
    if fee is None:
        return "", ""
    return f" Fee: {fee.display('en')}.", f" ថ្លៃសេវា៖ {fee.display('km')}។"


async def fee_accounts(
    work: Work, fees: Sequence[Money | None], detail: str
) -> dict[Currency, AccountId]:
    """The bank's income accounts these fees go to."""
    currencies = {fee.currency for fee in fees if fee is not None}
    return {
        currency: await house_account(work, AccountKind.FEES, currency, detail)
        for currency in Currency
        if currency in currencies
    }


def fee_id(act: TransferId) -> TransferId:
    """The id of the transfer that takes an act's fee."""
    return TransferId(derived_id(act, "fee"))


def charge(
    book: Book,
    act: TransferId,
    wallet: AccountId,
    credit: AccountId,
    fee: Money,
    kind: TransferKind,
) -> Posted | Declined:
    """Take the fee of an act already in the book. Declines: as `Book.post`."""
    return book.post(
        Posting(id=fee_id(act), debit=wallet, credit=credit, money=fee, kind=kind, reference=act)
    )
