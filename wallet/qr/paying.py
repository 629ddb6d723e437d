"""Paying a code: the intent kind `qr.pay`, prepared and authorised for many callers at once.

Promise: one debit a signed intent. The payee's own wallet is credited when it stands in the same
bank's books, else the KHQR settlement account; the payment's row tells the rail whom to pay.
Who calls: wallet.access.intents, through `PAY`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.events import QrPaid
from wallet.fees import Network, facts_of, fee_accounts, fees_of, words_of
from wallet.identifiers import TransferId
from wallet.khqr import shown
from wallet.ledger.book import open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.limits import open_limits
from wallet.money import Money
from wallet.outcomes import Declined, Facts, GroupAnswer, Reason, Refused
from wallet.qr.deciding import (
    decide_parties,
    decide_payments,
    decide_standing,
    decide_warning,
)
from wallet.qr.records import (
    Acquaintance,
    Payment,
    Plan,
    Wallet,
    acquaintances_of,
    record,
    states_and_paid,
    wallets_known,
)
from wallet.qr.scanning import PayFields, Scan, account_shown, scan
from wallet.qr.till import Till, fee_of, want_of
from wallet.qr.words import Payee, Warned, payee_in_code, text_en, text_km
from wallet.registry import banks
from wallet.work import Work

RAIL: Final = "KHQR"
"""Which of the merchant settlement accounts: the one paid out over the KHQR rail."""


async def prepare(work: Work, asked: Sequence[Asked]) -> list[Prepared | Refused]:
    """Read each code as of now and say what paying it would do. No money is looked at.

    Refuses (in the answer): as `scanning.scan`; WALLET_CURRENCY_MISSING, ACCOUNT_CLOSED,
    QR_OWN_CODE, QR_ALREADY_PAID, CURRENCY_UNSUPPORTED (a wallet of ours in another currency),
    SMART_ID_FROZEN, SMART_ID_NOT_ACTIVE, LIMIT_EXCEEDED.
    """
    scans = [_scanned(request.fields, work.now) for request in asked]
    sound = [(a, s) for a, s in zip(asked, scans, strict=True) if isinstance(s, Scan)]
    if not sound:
        return [s for s in scans if isinstance(s, Refused)]
    holder_ids = list({request.holder_id for request, _ in sound})
    settlement = banks.named(work.bank or "").settlement_khqr_id
    numbers = [s.code.detail or "" for _, s in sound if s.code.account == settlement]
    wallets = await wallets_known(work, holder_ids, numbers)
    own = {(w.holder_id, w.currency): w for w in wallets}
    by_number = {w.number: w for w in wallets}
    codes = [s.md5 for _, s in sound if s.dynamic]
    _, paid = await states_and_paid(work, [], codes) if codes else ({}, {})
    fees = (await fees_of(work)).at(work.now)
    wants = {id(a): want_of(fees, a.holder_id, s.money) for a, s in sound}
    limits = await open_limits(work, list(wants.values()))
    acquaintances = iter(await acquaintances_of(work, sound))
    answers: list[Prepared | Refused] = []
    for request, scanned in zip(asked, scans, strict=True):
        if isinstance(scanned, Refused):
            answers.append(scanned)
            continue
        acquaintance = next(acquaintances)
        payer = own.get((request.holder_id, scanned.money.currency))
        ours = by_number.get(scanned.code.detail or "") if numbers else None
        target = ours if scanned.code.account == settlement else None
        refusal = (
            decide_parties(scanned, request.holder_id, payer, target)
            or (Refused(Reason.QR_ALREADY_PAID) if scanned.md5 in paid else None)
            or _refused(decide_standing(payer.payment_state if payer else None))
            or _refused(limits.check(wants[id(request)]))
        )
        if refusal is not None or payer is None:
            answers.append(refusal or Refused(Reason.WALLET_CURRENCY_MISSING))
        else:
            network = Network.OFF_US if target is None else Network.ON_US
            fee = fee_of(fees, limits, wants[id(request)], network)
            answers.append(_prepared(scanned, payer, target, acquaintance, fee))
    return answers


async def authorise(work: Work, consumed: Sequence[Consumed]) -> list[GroupAnswer]:
    """Pay what was signed.

    Declines: qr_expired, qr_already_paid, smart_id_frozen, smart_id_not_active, limit_exceeded
    (which, and what is left), insufficient_funds (with what is available), account_closed.
    """
    payments = [Payment(c, msgspec.convert(c.plan, Plan)) for c in consumed]
    settlement = {
        currency: await house_account(work, AccountKind.MERCHANT_SETTLEMENT, currency, RAIL)
        for currency in {p.money.currency for p in payments if p.plan.credit is None}
    }
    for payment in payments:
        if payment.plan.credit is None:
            payment.credit = settlement[payment.money.currency]
    income = await fee_accounts(work, [p.fee for p in payments], "qr")
    accounts = [account for p in payments for account in (p.debit, p.credit)]
    book = await open_book(
        work,
        accounts=[*accounts, *income.values()],
        ids=[TransferId(p.id) for p in payments],
    )
    # Read under the wallets' locks: nobody else counts for these holders meanwhile.
    fees = (await fees_of(work)).at(work.now)
    wants = {p.id: want_of(fees, p.holder_id, p.money) for p in payments}
    limits = await open_limits(work, list(wants.values()))
    codes = [p.plan.md5 for p in payments if p.plan.dynamic]
    states, paid = await states_and_paid(work, list({p.holder_id for p in payments}), codes)
    till = Till(book, limits, wants, fees, income)
    answers = decide_payments(till, payments, states, paid, work.now)
    posted = [p for p in payments if p.posted]
    if posted:
        record(work, posted)
    await limits.write()
    await book.write()
    for payment in posted:
        _tell(work, payment)
    return answers


PAY: Final = IntentKind(
    name="qr.pay",
    fields=PayFields,
    prepare=prepare,
    authorise=authorise,
)


def _scanned(fields: PayFields, now: datetime) -> Scan | Refused:
    try:
        return scan(fields, now)
    except Refused as refused:
        return refused


def _refused(declined: Declined | None) -> Refused | None:
    return None if declined is None else Refused(declined.reason, **declined.facts)


def _prepared(
    scanned: Scan,
    payer: Wallet,
    target: Wallet | None,
    acquaintance: Acquaintance,
    fee: Money | None,
) -> Prepared:
    code = scanned.code
    payee = payee_in_code(scanned)
    warned = decide_warning(code.name, acquaintance)
    if target is not None and target.name_latin and target.name_khmer:
        payee = Payee(name_en=target.name_latin, name_km=target.name_khmer, ours=True)
        warned = Warned.NOTHING
    plan = Plan(
        md5=scanned.md5,
        dynamic=scanned.dynamic,
        expires_ms=code.expires_ms,
        debit=payer.id,
        credit=None if target is None else target.id,
        account=code.account,
        detail=code.detail or "",
        name=code.name,
        shown_name=payee.name_en,
        bill=code.bill,
        mobile=code.mobile,
        store=code.store,
        terminal=code.terminal,
        purpose=code.purpose,
        fee_minor=fee.minor if fee else 0,
    )
    fee_en, fee_km = words_of(fee)
    return Prepared(
        text_en=text_en(scanned, payee, warned) + fee_en,
        text_km=text_km(scanned, payee, warned) + fee_km,
        money=scanned.money,
        payee=account_shown(code),
        facts={**_facts(scanned, payee, warned, acquaintance), **facts_of(fee)},
        plan=msgspec.to_builtins(plan),
        new_payee=not acquaintance.known,
        ask_code=warned in (Warned.LOOK_ALIKE, Warned.MIXED_ALPHABETS),
    )


def _facts(scanned: Scan, payee: Payee, warned: Warned, acquaintance: Acquaintance) -> Facts:
    facts: Facts = {
        "payee_name": payee.name_en,
        "payee_city": shown(scanned.code.city),
        "payee_account": account_shown(scanned.code),
        "name_source": "account" if payee.ours else "code",
        "paid_before": int(acquaintance.known),
    }
    if scanned.code.bill:
        facts["bill"] = shown(scanned.code.bill)
    if warned:
        facts["warning"] = warned.value
    return facts


def _tell(work: Work, payment: Payment) -> None:
    work.emit(
        QrPaid(
            holder_id=payment.holder_id,
            money=payment.money,
            payee=payment.plan.shown_name,
            reference=payment.reference,
        )
    )
    work.note(PAY.name, str(payment.id), holder_id=payment.holder_id, actor=payment.actor)
