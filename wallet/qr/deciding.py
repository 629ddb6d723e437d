"""Whether a code is paid: pure decisions over what was read, one payment after the other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from wallet.identifiers import HolderId, IntentId, TransferId
from wallet.khqr import mixes_alphabets, shown
from wallet.ledger.book import Book, Posted, Posting, TransferKind
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Facts, GroupAnswer, Reason, Refused
from wallet.qr.records import Acquaintance, Payment, Plan, Standing, Wallet
from wallet.qr.scanning import Scan, milliseconds
from wallet.qr.words import Warned

MOST_A_PAYMENT: Final = {Currency.KHR: 10_000_000, Currency.USD: 2_500_00}
"""Minor units: what Bakong takes in one payment."""

MOST_A_DAY: Final = {Currency.KHR: 40_000_000, Currency.USD: 10_000_00}
"""Minor units a Phnom Penh day: the National Bank's tier for fully identified persons."""


def decide_parties(
    scanned: Scan, holder_id: HolderId, payer: Wallet | None, target: Wallet | None
) -> Refused | None:
    """Who pays whom; `target` is the payee's wallet in the same books, if it is one."""
    currency = scanned.money.currency
    if target is not None and target.holder_id == holder_id:
        return Refused(Reason.QR_OWN_CODE)
    if payer is None:
        return Refused(Reason.WALLET_CURRENCY_MISSING, currency=currency.value)
    if target is not None and target.currency is not currency:
        return Refused(Reason.CURRENCY_UNSUPPORTED, currency=currency.value)
    if payer.closed or (target is not None and target.closed):
        return Refused(Reason.ACCOUNT_CLOSED)
    return None


def decide_spend(standing: Standing, money: Money, spent_in_group: int) -> Declined | None:
    """The Smart ID's payment state, then the limits of one payment and of the day."""
    if standing.payment_state == "FROZEN":
        return Declined(reason=Reason.SMART_ID_FROZEN)
    if standing.payment_state == "BLOCKED":
        return Declined(reason=Reason.SMART_ID_NOT_ACTIVE)
    currency = money.currency
    if money.minor > MOST_A_PAYMENT[currency]:
        most = MOST_A_PAYMENT[currency]
        return _over("payment", Money(most, currency), Money(most, currency))
    most = MOST_A_DAY[currency]
    left = max(0, most - standing.spent(currency) - spent_in_group)
    if money.minor > left:
        return _over("day", Money(most, currency), Money(left, currency))
    return None


def decide_payments(
    book: Book,
    payments: Sequence[Payment],
    standings: dict[HolderId, Standing],
    paid: dict[str, IntentId],
    now: datetime,
) -> list[GroupAnswer]:
    """Each payment in turn, seeing those before it; marks what was newly posted."""
    taken = dict(paid)
    spent: dict[tuple[HolderId, Currency], int] = {}
    answers: list[GroupAnswer] = []
    for payment in payments:
        plan, money = payment.plan, payment.money
        purse = (payment.holder_id, money.currency)
        repeat = taken.get(plan.md5) == payment.id
        declined = None if repeat else _bill_declined(plan, taken, now)
        if declined is None and not repeat:
            standing = standings[payment.holder_id]
            declined = decide_spend(standing, money, spent.get(purse, 0))
        outcome = declined or book.post(
            Posting(
                id=TransferId(payment.id),
                debit=payment.debit,
                credit=payment.credit,
                money=money,
                kind=TransferKind.QR_PAYMENT,
                reference=payment.id,
            )
        )
        if isinstance(outcome, Declined):
            answers.append(outcome)
            continue
        if not outcome.repeated:
            payment.posted = True
            spent[purse] = spent.get(purse, 0) + money.minor
            if plan.dynamic:
                taken[plan.md5] = payment.id
        answers.append(_receipt(payment, outcome, now))
    return answers


def _bill_declined(plan: Plan, taken: dict[str, IntentId], now: datetime) -> Declined | None:
    if not plan.dynamic:
        return None
    if plan.md5 in taken:
        return Declined(reason=Reason.QR_ALREADY_PAID)
    if plan.expires_ms is not None and plan.expires_ms < milliseconds(now):
        return Declined(reason=Reason.QR_EXPIRED)
    return None


def decide_warning(name: str, acquaintance: Acquaintance) -> Warned:
    if acquaintance.known:
        return Warned.NOTHING
    if mixes_alphabets(name):
        return Warned.MIXED_ALPHABETS
    if acquaintance.look_alike:
        return Warned.LOOK_ALIKE
    return Warned.SAME_NAME_ELSEWHERE if acquaintance.elsewhere else Warned.NOTHING


def _over(limit: str, most: Money, left: Money) -> Declined:
    facts: Facts = {
        "limit": limit,
        "most": most.display("en"),
        "left": left.display("en"),
        "left_minor": left.minor,
        "currency": most.currency.value,
    }
    return Declined(reason=Reason.LIMIT_EXCEEDED, facts=facts)


def _receipt(payment: Payment, posted: Posted, now: datetime) -> Done:
    answer: dict[str, Any] = {
        "reference": payment.reference,
        "transfer_id": str(payment.id),
        "amount": payment.money.decimal(),
        "amount_minor": payment.money.minor,
        "currency": payment.money.currency.value,
        "payee_name": payment.plan.shown_name,
        "payee_account": shown(payment.plan.account),
        "bill": payment.plan.bill,
        "paid_at": now.isoformat(),
    }
    if posted.available is not None:
        answer["available_minor"] = posted.available.minor
    return Done(answer=answer)
