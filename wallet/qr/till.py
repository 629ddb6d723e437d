"""What a payment costs and counts: the book, the limits and the fees of one group together.

Promise: a payment and its fee happen together or not at all; the fee is the one that was signed.
Who calls: paying (making one), deciding (payment by payment).
"""

from msgspec.structs import replace

from wallet.fees import (
    FeeSheet,
    Function,
    Network,
    charge,
    counted_for,
    decide_fee,
    decide_signed,
    facts_of,
)
from wallet.identifiers import AccountId, HolderId, IntentId, TransferId
from wallet.ledger.book import Book, Posted, Posting, TransferKind
from wallet.limits import Limits, Want
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Facts, Reason
from wallet.qr.records import Payment


def want_of(fees: FeeSheet, holder_id: HolderId, money: Money) -> Want:
    """How a payment counts: against limits, and towards the free ones of a month."""
    also = counted_for(fees, Function.QR_PAYMENT)
    return Want(holder_id=holder_id, money=money, kind=TransferKind.QR_PAYMENT, also=also)


def fee_of(fees: FeeSheet, limits: Limits, want: Want, network: Network) -> Money | None:
    """What this payment costs its holder now."""
    return decide_fee(
        fees,
        Function.QR_PAYMENT,
        want.money.currency,
        used=limits.uses(want),
        amount_minor=want.money.minor,
        network=network,
        tier=limits.tier_of(want.holder_id),
    )


class Till:
    """One group's book, limits and fees, and where fees go."""

    def __init__(
        self,
        book: Book,
        limits: Limits,
        wants: dict[IntentId, Want],
        fees: FeeSheet,
        income: dict[Currency, AccountId],
    ) -> None:
        self._book = book
        self._wants = wants
        self._limits = limits
        self._fees = fees
        self._income = income

    def pay(self, payment: Payment, repeat: bool) -> tuple[Posted | Declined, Facts]:
        """One payment and its fee, both or neither; and what is left of its holder's limits."""
        book, want = self._book, self._wants[payment.id]
        posting = Posting(
            id=TransferId(payment.id),
            debit=payment.debit,
            credit=payment.credit,
            money=payment.money,
            kind=TransferKind.QR_PAYMENT,
            reference=payment.id,
        )
        fee = payment.fee
        if not (repeat or book.seen(posting.id)):
            due = fee_of(self._fees, self._limits, want, payment.plan.network)
            declined = decide_signed(fee, due)
            if declined is None and fee is not None:
                declined = decide_both(book.available(payment.debit), payment.money, fee)
            if declined is not None:
                return declined, {}
        posted = self._limits.move(book, want, posting)
        if fee is not None and isinstance(posted, Posted) and not posted.repeated:
            income = self._income[fee.currency]
            charged = charge(book, posting.id, payment.debit, income, fee, TransferKind.FEE)
            if isinstance(charged, Declined):
                raise AssertionError(f"a payment without its fee: {charged.reason.value}")
            posted = replace(posted, available=charged.available)
        return posted, {**facts_of(fee), **self._limits.left(want)}


def decide_both(available: Money, money: Money, fee: Money) -> Declined | None:
    """Whether there is enough for the payment and its fee."""
    if money + fee <= available:
        return None
    facts: Facts = {"available_minor": available.minor, "currency": money.currency.value}
    return Declined(reason=Reason.INSUFFICIENT_FUNDS, facts=facts)
