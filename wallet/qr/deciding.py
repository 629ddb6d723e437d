"""Whether a code is paid: pure decisions over what was read, one payment after the other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from wallet.identifiers import HolderId, IntentId
from wallet.khqr import mixes_alphabets, shown
from wallet.ledger.book import Posted
from wallet.outcomes import Declined, Done, Facts, GroupAnswer, Reason, Refused
from wallet.qr.records import Acquaintance, Payment, Plan, Wallet
from wallet.qr.scanning import Scan, milliseconds
from wallet.qr.till import Till
from wallet.qr.words import Warned


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


def decide_standing(payment_state: str | None) -> Declined | None:
    """Whether the Smart ID's payment state lets its holder pay."""
    if payment_state == "FROZEN":
        return Declined(reason=Reason.SMART_ID_FROZEN)
    if payment_state == "BLOCKED":
        return Declined(reason=Reason.SMART_ID_NOT_ACTIVE)
    return None


def decide_payments(
    till: Till,
    payments: Sequence[Payment],
    states: dict[HolderId, str | None],
    paid: dict[str, IntentId],
    now: datetime,
) -> list[GroupAnswer]:
    """Each payment in turn, seeing those before it; marks what was newly posted."""
    taken = dict(paid)
    answers: list[GroupAnswer] = []
    for payment in payments:
        plan = payment.plan
        repeat = taken.get(plan.md5) == payment.id
        declined = None if repeat else _bill_declined(plan, taken, now)
        if declined is None and not repeat:
            declined = decide_standing(states[payment.holder_id])
        outcome, told = (declined, {}) if declined else till.pay(payment, repeat)
        if isinstance(outcome, Declined):
            answers.append(outcome)
            continue
        if not outcome.repeated:
            payment.posted = True
            if plan.dynamic:
                taken[plan.md5] = payment.id
        answers.append(_receipt(payment, outcome, told, now))
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


def _receipt(payment: Payment, posted: Posted, told: Facts, now: datetime) -> Done:
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
        **told,
    }
    if posted.available is not None:
        answer["available_minor"] = posted.available.minor
    return Done(answer=answer)
