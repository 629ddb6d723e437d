"""Buying a top-up: the intent kind `topup.buy`, from what the holder typed to money held.

Promise: before anything is signed the holder sees the operator, the number in groups, the price
and the airtime it gives; signing holds the price and leaves a durable job that sends it. The same
holder, number and product within a minute asks first: people tap twice.

Tables owned: topups (its first state; delivering writes the others).
Who calls: the intents room, in groups, through the teller.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.fees import (
    FeeSheet,
    Function,
    counted_for,
    decide_fee,
    decide_signed,
    facts_of,
    fee_accounts,
    fee_id,
    fees_of,
    monthly,
    words_of,
)
from wallet.identifiers import AccountId, HolderId, TransferId
from wallet.ledger import chains
from wallet.ledger.book import Book, Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account, wallets_of
from wallet.limits import Limits, Want, open_limits
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Facts, GroupAnswer, Reason, Refused
from wallet.topups.numbers import (
    OPERATORS,
    Msisdn,
    grouped,
    masked_number,
    propose_operator,
    read_number,
)
from wallet.topups.products import choose, delivered
from wallet.topups.states import HOLD_FOR, State
from wallet.work import Work

REPEAT_WITHIN: Final = timedelta(minutes=1)


class Buy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the phone asks for. `amount` is a plain decimal of `currency`; without `operator` the
    number's prefix decides, without `product` the price does."""

    phone: Annotated[str, Meta(min_length=1, max_length=40)]
    amount: Annotated[str, Meta(min_length=1, max_length=20)]
    currency: Currency
    operator: Annotated[str, Meta(max_length=20)] | None = None
    product: Annotated[str, Meta(max_length=40)] | None = None
    confirm_repeat: bool = False


class Plan(Struct, frozen=True, kw_only=True):
    """What the effect needs of a prepared top-up."""

    operator: str
    msisdn: Msisdn
    product: str
    delivered_minor: int
    confirm_repeat: bool
    fee_minor: int = 0


class Draft(Struct, frozen=True, kw_only=True):
    """What typed fields mean: the plan, and its price."""

    plan: Plan
    price: Money


class _Order(Struct, frozen=True, kw_only=True):
    consumed: Consumed
    plan: Plan
    price: Money

    @property
    def line(self) -> "_Line":
        return (self.consumed.holder_id, self.plan.msisdn, self.plan.product)

    @property
    def fee(self) -> Money | None:
        fee_minor = self.plan.fee_minor
        return Money(fee_minor, self.price.currency) if fee_minor else None


_Line = tuple[HolderId, Msisdn, str]
"""Holder, number and product: what makes a second top-up a repeat."""


def want_of(fees: FeeSheet, holder_id: HolderId, price: Money) -> Want:
    """How a top-up counts: its price against limits, itself towards the free ones of a month."""
    also = counted_for(fees, Function.TOPUP)
    return Want(holder_id=holder_id, money=price, kind=TransferKind.TOPUP, also=also)


def counted(holder_id: HolderId, price: Money, at: datetime) -> Want:
    """How a top-up was counted when it was held, `at`: for giving that back."""
    also = (monthly(Function.TOPUP),)
    return Want(holder_id=holder_id, money=price, kind=TransferKind.TOPUP, also=also, at=at)


def fee_of(fees: FeeSheet, limits: Limits, want: Want) -> Money | None:
    """What this top-up costs its holder beside its price, now."""
    return decide_fee(
        fees,
        Function.TOPUP,
        want.money.currency,
        used=limits.uses(want),
        amount_minor=want.money.minor,
        tier=limits.tier_of(want.holder_id),
    )


async def prepare(work: Work, asked: Sequence[Asked]) -> list[Prepared | Refused]:
    """Word each top-up for its holder.

    Refuses each: phone_invalid, operator_unknown, product_unknown, amount_invalid (fractional
    riel too), amount_out_of_range, wallet_currency_missing, repeat_topup, limit_exceeded.
    """
    drafts = [_draft_or_refusal(one.fields) for one in asked]
    pairs = [(a, d) for a, d in zip(asked, drafts, strict=True) if isinstance(d, Draft)]
    wallets = await _wallets(work, [(a.holder_id, d.price.currency) for a, d in pairs])
    lines = [(a.holder_id, d.plan.msisdn, d.plan.product) for a, d in pairs]
    recent = await _recent(work, lines)
    known = await _known_numbers(work, lines)
    fees = (await fees_of(work)).at(work.now)
    wants = {id(a): want_of(fees, a.holder_id, d.price) for a, d in pairs}
    limits = await open_limits(work, list(wants.values()))

    def answer(one: Asked, draft: Draft | Refused) -> Prepared | Refused:
        if isinstance(draft, Refused):
            return draft
        if (one.holder_id, draft.price.currency) not in wallets:
            return Refused(Reason.WALLET_CURRENCY_MISSING, currency=draft.price.currency.value)
        line = (one.holder_id, draft.plan.msisdn, draft.plan.product)
        if line in recent and not draft.plan.confirm_repeat:
            return _repeat_refusal(draft.plan)
        want = wants[id(one)]
        over = limits.check(want)
        if over is not None:
            return Refused(over.reason, **over.facts)
        return _worded(draft, fee_of(fees, limits, want), seen_before=line[:2] in known)

    return [answer(one, draft) for one, draft in zip(asked, drafts, strict=True)]


async def authorise(work: Work, consumed: Sequence[Consumed]) -> list[GroupAnswer]:
    """Hold each price against the operator's float, its fee with it, and want it sent.

    Declines: limit_exceeded (which, and what is left), insufficient_funds (for both),
    account_closed, conflict (the fee is another by now). Refuses each: repeat_topup (when another
    was signed since this one was prepared), wallet_currency_missing.
    """
    orders = [_order_of(one) for one in consumed]
    wallets = await _wallets(work, [(o.consumed.holder_id, o.price.currency) for o in orders])
    floats = {
        where: await house_account(work, AccountKind.OPERATOR_FLOAT, *where)
        for where in dict.fromkeys((o.price.currency, o.plan.operator) for o in orders)
    }
    income = await fee_accounts(work, [order.fee for order in orders], "topups")
    ids = [TransferId(one.intent_id) for one in consumed]
    book = await open_book(
        work,
        accounts=[*wallets.values(), *floats.values(), *income.values()],
        ids=[*ids, *(fee_id(one) for one in ids)],
    )
    # Read with the wallets locked: whoever bought from one of them before us has committed.
    recent = await _recent(work, [order.line for order in orders])
    fees = (await fees_of(work)).at(work.now)
    wants = {id(o): want_of(fees, o.consumed.holder_id, o.price) for o in orders}
    limits = await open_limits(work, list(wants.values()))

    def hold(order: _Order) -> GroupAnswer:
        wallet = wallets.get((order.consumed.holder_id, order.price.currency))
        if wallet is None:
            return Refused(Reason.WALLET_CURRENCY_MISSING, currency=order.price.currency.value)
        if order.line in recent and not order.plan.confirm_repeat:
            return _repeat_refusal(order.plan)
        credit = floats[order.price.currency, order.plan.operator]
        want, legs = wants[id(order)], _legs(order, wallet, credit, income)
        due = order.fee if book.seen(legs[0].id) else fee_of(fees, limits, want)
        posted = decide_signed(order.fee, due) or hold_counted(book, limits, want, legs)
        if isinstance(posted, Declined):
            return posted
        recent.add(order.line)
        return _held_answer(order, posted, limits.left(want))

    answers = [hold(order) for order in orders]
    await limits.write()
    await book.write()
    await _keep(work, [o for o, a in zip(orders, answers, strict=True) if isinstance(a, Done)])
    return answers


BUY: Final = IntentKind(name="topup.buy", fields=Buy, prepare=prepare, authorise=authorise)


def draft_of(fields: Buy) -> Draft:
    """What the typed fields mean.

    Refuses: phone_invalid, operator_unknown, product_unknown, amount_invalid, amount_out_of_range.
    """
    msisdn = read_number(fields.phone)
    operator = fields.operator or propose_operator(msisdn)
    if operator is None:
        raise Refused(Reason.OPERATOR_UNKNOWN, phone=grouped(msisdn))
    price = Money.parse(fields.amount, fields.currency)
    if price is None or price.minor == 0:
        raise Refused(Reason.AMOUNT_INVALID, currency=fields.currency.value)
    product = choose(operator, fields.product, price)
    plan = Plan(
        operator=operator,
        msisdn=msisdn,
        product=product.code,
        delivered_minor=delivered(price).minor,
        confirm_repeat=fields.confirm_repeat,
    )
    return Draft(plan=plan, price=price)


def _draft_or_refusal(fields: Buy) -> Draft | Refused:
    try:
        return draft_of(fields)
    except Refused as refused:
        return refused


def _order_of(one: Consumed) -> _Order:
    assert one.money is not None  # noqa: S101 - every prepared top-up names its price
    return _Order(consumed=one, plan=msgspec.convert(one.plan, Plan), price=one.money)


def _worded(draft: Draft, fee: Money | None, *, seen_before: bool) -> Prepared:
    plan, price = draft.plan, draft.price
    airtime = Money.usd(plan.delivered_minor)
    name, number = OPERATORS[plan.operator], grouped(plan.msisdn)
    fee_en, fee_km = words_of(fee)
    if fee is not None:
        plan = msgspec.structs.replace(plan, fee_minor=fee.minor)
    return Prepared(
        text_en=(
            f"Top up {name} {number} with {airtime.display('en')} of airtime "
            f"for {price.display('en')}.{fee_en} A wrong number cannot be refunded."
        ),
        text_km=(
            f"បញ្ចូលទឹកប្រាក់ទូរស័ព្ទ {name} លេខ {number} ចំនួន {airtime.display('km')} "
            f"តម្លៃ {price.display('km')}។{fee_km} បើលេខខុស មិនអាចដកប្រាក់វិញបានទេ។"
        ),
        plan=msgspec.to_builtins(plan),
        money=price,
        payee=f"{name} {plan.msisdn}",
        facts={
            "operator": plan.operator,
            "phone": number,
            "product": plan.product,
            "delivered_minor": airtime.minor,
            "delivered_currency": airtime.currency.value,
            "number": "recent" if seen_before else "new",
            **facts_of(fee),
        },
    )


def _repeat_refusal(plan: Plan) -> Refused:
    within_s = int(REPEAT_WITHIN.total_seconds())
    return Refused(Reason.REPEAT_TOPUP, phone=grouped(plan.msisdn), within_s=within_s)


def _posting(order: _Order, wallet: AccountId, credit: AccountId) -> Posting:
    return Posting(
        id=TransferId(order.consumed.intent_id),
        debit=wallet,
        credit=credit,
        money=order.price,
        kind=TransferKind.TOPUP,
        reference=order.consumed.intent_id,
    )


def _legs(
    order: _Order, wallet: AccountId, credit: AccountId, income: dict[Currency, AccountId]
) -> list[Posting]:
    """The price, and its fee if there is one."""
    price, fee = _posting(order, wallet, credit), order.fee
    if fee is None:
        return [price]
    taken = Posting(
        id=fee_id(price.id),
        debit=wallet,
        credit=income[fee.currency],
        money=fee,
        kind=TransferKind.FEE,
        reference=order.consumed.intent_id,
    )
    return [price, taken]


def hold_counted(
    book: Book, limits: Limits, want: Want, legs: Sequence[Posting]
) -> Posted | Declined:
    """Hold what the limits allow, and count it once. Declines: limit_exceeded; as `hold_all`."""
    declined = None if book.seen(legs[0].id) else limits.check(want)
    posted = declined or hold_all(book, legs, HOLD_FOR)
    if isinstance(posted, Posted) and not posted.repeated:
        limits.count(want)
    return posted


def hold_all(book: Book, legs: Sequence[Posting], lasts: timedelta) -> Posted | Declined:
    """Hold all of these or none, as one chain; answers the first, and what is left after the last.

    Declines: as `Book.hold`, with what was available before any of them.
    """
    before = book.available(legs[0].debit)
    answers = chains.linked(book, [partial(book.hold, leg, lasts) for leg in legs])
    for answer in answers:
        if isinstance(answer, Declined) and answer.reason is not Reason.LINKED_FAILED:
            if answer.reason is Reason.INSUFFICIENT_FUNDS:
                facts = {**answer.facts, "available_minor": before.minor}
                return Declined(reason=answer.reason, facts=facts)
            return answer
    first, last = answers[0], answers[-1]
    assert isinstance(first, Posted) and isinstance(last, Posted)  # noqa: S101, PT018 - none failed
    return msgspec.structs.replace(first, available=last.available)


def _held_answer(order: _Order, posted: Posted, left: Facts) -> Done:
    answer = {
        "topup_id": str(order.consumed.intent_id),
        "state": State.HELD.value,
        "operator": order.plan.operator,
        "phone": masked_number(order.plan.msisdn),
        "amount_minor": order.price.minor,
        "currency": order.price.currency.value,
        "delivered_minor": order.plan.delivered_minor,
        "delivered_currency": Currency.USD.value,
        **facts_of(order.fee),
        **left,
    }
    if posted.available is not None:
        answer["available_minor"] = posted.available.minor
    return Done(answer=answer)


async def _wallets(
    work: Work, wanted: Sequence[tuple[HolderId, Currency]]
) -> dict[tuple[HolderId, Currency], AccountId]:
    found: dict[tuple[HolderId, Currency], AccountId] = {}
    for currency in Currency:
        holders = list(dict.fromkeys(holder for holder, asked in wanted if asked is currency))
        if holders:
            accounts = await wallets_of(work, holders, currency)
            found.update(((holder, currency), account) for holder, account in accounts.items())
    return found


async def _recent(work: Work, lines: Sequence[_Line]) -> set[_Line]:
    """Which of these lines were bought within the last minute and did not fail."""
    rows = await work.rows(_RECENT, *_columns(lines), work.now - REPEAT_WITHIN)
    return {(row["holder_id"], row["msisdn"], row["product"]) for row in rows}


async def _known_numbers(work: Work, lines: Sequence[_Line]) -> set[tuple[HolderId, Msisdn]]:
    """Which of these numbers the holder has topped up before."""
    holders, numbers, _ = _columns(lines)
    rows = await work.rows(_KNOWN_NUMBERS, holders, numbers)
    return {(row["holder_id"], row["msisdn"]) for row in rows}


async def _keep(work: Work, orders: Sequence[_Order]) -> None:
    if not orders:
        return
    await work.execute(
        _INSERT,
        work.bank,
        work.now,
        [order.consumed.intent_id for order in orders],
        [order.consumed.holder_id for order in orders],
        [order.plan.operator for order in orders],
        [order.plan.msisdn for order in orders],
        [order.plan.product for order in orders],
        [order.price.currency.value for order in orders],
        [order.price.minor for order in orders],
        [order.plan.delivered_minor for order in orders],
        [order.plan.fee_minor for order in orders],
    )
    for order in orders:
        work.later("topup.submit", {"bank": work.bank, "topup_id": str(order.consumed.intent_id)})


def _columns(lines: Sequence[_Line]) -> tuple[list[HolderId], list[Msisdn], list[str]]:
    return [one[0] for one in lines], [one[1] for one in lines], [one[2] for one in lines]


_RECENT = """
select t.holder_id, t.msisdn, t.product
from topups t
join (select distinct * from unnest($1::uuid[], $2::text[], $3::text[])
      as w (holder_id, msisdn, product)) w using (holder_id, msisdn, product)
where t.created_at > $4 and t.state <> 'FAILED'
"""

_KNOWN_NUMBERS = """
select distinct w.holder_id, w.msisdn
from unnest($1::uuid[], $2::text[]) as w (holder_id, msisdn)
where exists (select 1 from topups t
              where t.holder_id = w.holder_id and t.msisdn = w.msisdn and t.state = 'SUCCEEDED')
"""

_INSERT = """
insert into topups (bank, created_at, updated_at, id, holder_id, operator, msisdn, product,
                    currency, amount_minor, delivered_minor, fee_minor, state)
select $1, $2, $2, t.*, 'HELD'
from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
            $10::bigint[], $11::bigint[]) as t
on conflict (id) do nothing
"""
