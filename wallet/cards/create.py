"""card.create: a virtual card from the app, usable at once.

Promise: at most five live cards hang on a Smart ID, counted under its lock, so that no number of
simultaneous requests makes a sixth; no card outlives its Smart ID; a fee is charged only if the
holder signed exactly that fee. Always with a one-time password.

Owns no table. Who calls: intents (through `kind`).
"""

import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from wallet import exchange
from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards import adding, rows, wording
from wallet.cards.adding import NewCard
from wallet.cards.fees import Due, Prices, open_fees, prices
from wallet.cards.numbers import expiry_for
from wallet.cards.rows import Standing
from wallet.cards.rules import CardRules, Issuing
from wallet.cards.states import CardKind, Channel, decide_smart_id
from wallet.clock import day_of
from wallet.exchange import RateSheet
from wallet.fees import decide_signed, facts_of
from wallet.identifiers import AccountId, BankId, CardId, DeviceId, HolderId, SmartIdId, new_id
from wallet.ledger.chart import wallets_of
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Facts, GroupAnswer, Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.states import SmartId
from wallet.terms import Term
from wallet.work import Actor, ActorKind, Work

_Limit = Annotated[int, Meta(ge=1, le=2**53)]


class NamedMerchant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shop as an earlier payment named it: `id` is what its terminal says of itself."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ./-]{0,14}$")]
    name: Annotated[str, Meta(min_length=1, max_length=40)]


class CreateCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits are in minor units of `currency`; without one the product's own holds.

    `merchant`: whom a merchant_locked or recurring card pays; without one, whom it pays first.
    `exchange`: pay in the other currency too, at the bank's rate and for its part of it.
    """

    currency: Currency
    label: Annotated[str, Meta(max_length=40)] = ""
    kind: CardKind = CardKind.OPEN
    merchant: NamedMerchant | None = None
    exchange: bool = False
    per_use_limit_minor: _Limit | None = None
    daily_limit_minor: _Limit | None = None
    uses_per_day: Annotated[int, Meta(ge=1, le=1000)] | None = None


class _Plan(Struct, frozen=True, kw_only=True):
    card_id: CardId
    smart_id_id: SmartIdId
    account_id: AccountId
    expires_on: date
    wish: CreateCard


def kind(issuing: Issuing) -> IntentKind:
    return IntentKind(
        name="card.create",
        fields=CreateCard,
        prepare=partial(_prepare, issuing),
        authorise=partial(_authorise, issuing),
    )


def actor_of(consumed: Consumed) -> Actor:
    """The holder behind an intent: in a group the Work's own actor is nobody's."""
    return holder_actor(consumed.holder_id, consumed.bank, consumed.device_id)


def holder_actor(holder_id: HolderId, bank: BankId, device_id: DeviceId | None) -> Actor:
    return Actor(
        kind=ActorKind.HOLDER,
        id=str(holder_id),
        bank=bank,
        holder_id=holder_id,
        device_id=device_id,
    )


async def _prepare(
    issuing: Issuing, work: Work, asked: Sequence[Asked]
) -> Sequence[Prepared | Refused]:
    """Say what card it would be and what it would cost.

    Refuses: INVALID_REQUEST (label, limit, merchant), SMART_ID_NOT_ACTIVE, SMART_ID_FROZEN,
    CARD_LIMIT_REACHED, WALLET_CURRENCY_MISSING, EXCHANGE_UNAVAILABLE (no rate is set).
    """
    held = await smart_ids.of_holders(work, [one.holder_id for one in asked])
    live = await rows.live_cards(work, [smart_id.id for smart_id in held.values()])
    wallets: dict[Currency, dict[HolderId, AccountId]] = {}
    for currency in {one.fields.currency for one in asked}:
        wanting = [one.holder_id for one in asked if one.fields.currency is currency]
        wallets[currency] = await wallets_of(work, wanting, currency)
    today = _Today(
        rules=issuing.rules,
        priced=await prices(work, [one.holder_id for one in asked]),
        rate=(await exchange.rates_of(work)).at(work.now),
        day=day_of(work.now),
    )
    answers: list[Prepared | Refused] = []
    for one in asked:
        smart_id = held.get(one.holder_id)
        account_id = wallets[one.fields.currency].get(one.holder_id)
        try:
            already = live.get(smart_id.id, 0) if smart_id else 0
            answers.append(_prepared(today, one, smart_id, account_id, already))
        except Refused as refused:
            answers.append(refused)
    return answers


class _Today(Struct, frozen=True, kw_only=True):
    """What holds when a card is asked for."""

    rules: CardRules
    priced: Prices
    rate: Term[RateSheet] | None
    day: date


def _prepared(
    today: _Today,
    asked: Asked,
    smart_id: SmartId | None,
    account_id: AccountId | None,
    live_already: int,
) -> Prepared:
    wish = decide_wish(today.rules, asked.fields)
    if wish.exchange and today.rate is None:
        raise Refused(Reason.EXCHANGE_UNAVAILABLE)
    found, expires_on = decide_term(today.rules, today.day, smart_id, live_already)
    if account_id is None:
        raise Refused(Reason.WALLET_CURRENCY_MISSING, currency=wish.currency.value)
    fee = today.priced.next_card(asked.holder_id, wish.currency, live_already)
    sentence = wording.create(_worded(wish, today.rate, expires_on, fee))
    plan = _Plan(
        card_id=CardId(new_id()),
        smart_id_id=found.id,
        account_id=account_id,
        expires_on=expires_on,
        wish=wish,
    )
    return Prepared(
        text_en=sentence.en,
        text_km=sentence.km,
        plan=msgspec.to_builtins(plan),
        money=fee,
        facts={
            "expires_on": expires_on.isoformat(),
            "live_cards": live_already,
            **facts_of(fee),
            **_exchange_facts(wish, today.rate),
        },
    )


def decide_term(
    rules: CardRules, today: date, smart_id: SmartId | None, live_already: int
) -> tuple[SmartId, date]:
    """The Smart ID that may have another card, and the last day of that card.

    Refuses: SMART_ID_NOT_ACTIVE, SMART_ID_FROZEN, CARD_LIMIT_REACHED.
    """
    if smart_id is None or smart_id.expires_on is None:
        raise Refused(Reason.SMART_ID_NOT_ACTIVE)
    reason = decide_smart_id(smart_id.identity_state, smart_id.payment_state)
    if reason is not None:
        raise Refused(reason)
    if live_already >= rules.live_cards:
        raise Refused(Reason.CARD_LIMIT_REACHED, limit=rules.live_cards)
    expires_on = expiry_for(today, rules.years_valid, smart_id.expires_on)
    if expires_on is None:
        raise Refused(Reason.SMART_ID_NOT_ACTIVE, expires_on=smart_id.expires_on.isoformat())
    return smart_id, expires_on


def _worded(
    wish: CreateCard, rate: Term[RateSheet] | None, expires_on: date, fee: Money | None
) -> wording.Wish:
    return wording.Wish(
        kind=wish.kind,
        currency=wish.currency,
        label=wish.label,
        expires_on=expires_on,
        merchant=wish.merchant.name if wish.merchant else None,
        rate=rate.what if wish.exchange and rate else None,
        fee=fee,
    )


async def _authorise(
    issuing: Issuing, work: Work, consumed: Sequence[Consumed]
) -> Sequence[GroupAnswer]:
    """Make the cards.

    Declines: CARD_LIMIT_REACHED, SMART_ID_NOT_ACTIVE, SMART_ID_FROZEN, CONFLICT (the fee is no
    longer the one that was signed), INSUFFICIENT_FUNDS (for the fee).
    """
    plans = [msgspec.convert(one.plan, _Plan) for one in consumed]
    held = await rows.locked_smart_ids(work, [plan.smart_id_id for plan in plans])
    live = {smart_id_id: standing.live_cards for smart_id_id, standing in held.items()}
    dues = [
        Due(consumed=one, account_id=plan.account_id)
        for one, plan in zip(consumed, plans, strict=True)
    ]
    fees = await open_fees(work, dues)
    priced = await prices(work, [one.holder_id for one in consumed])
    declined: list[Declined | None] = []
    new: list[NewCard] = []
    actors: list[Actor] = []
    for due, plan in zip(dues, plans, strict=True):
        already = live.get(plan.smart_id_id, 0)
        fee = priced.next_card(due.consumed.holder_id, plan.wish.currency, already)
        no = decide_create(issuing.rules, held.get(plan.smart_id_id), already)
        no = no or decide_signed(due.consumed.money, fee) or fees.charge(due)
        declined.append(no)
        if no is None:
            live[plan.smart_id_id] = already + 1
            new.append(_new_card(due.consumed, plan))
            actors.append(actor_of(due.consumed))
    made = await adding.add(work, issuing, new, "app", actors)
    await fees.write()
    return [
        no or Done(answer={"card": made[plan.card_id].view(work.now)})
        for no, plan in zip(declined, plans, strict=True)
    ]


def _exchange_facts(wish: CreateCard, rate: Term[RateSheet] | None) -> Facts:
    if not wish.exchange or rate is None:
        return {}
    return {
        "rate": exchange.rate_text(rate.what.mid_hundredths),
        "spread_bps": rate.what.spread_bps,
    }


def _new_card(consumed: Consumed, plan: _Plan) -> NewCard:
    return NewCard(
        id=plan.card_id,
        holder_id=consumed.holder_id,
        smart_id_id=plan.smart_id_id,
        kind=plan.wish.kind,
        currency=plan.wish.currency,
        account_id=plan.account_id,
        label=plan.wish.label,
        expires_on=plan.expires_on,
        channel=Channel.APP,
        per_use_limit_minor=plan.wish.per_use_limit_minor,
        daily_limit_minor=plan.wish.daily_limit_minor,
        uses_per_day=plan.wish.uses_per_day,
        locked_merchant=plan.wish.merchant.id if plan.wish.merchant else None,
        locked_name=plan.wish.merchant.name if plan.wish.merchant else None,
        exchanges=plan.wish.exchange,
    )


def decide_wish(rules: CardRules, wish: CreateCard) -> CreateCard:
    """The wish with its label and the merchant's name normalised.

    Refuses: INVALID_REQUEST (control characters, a merchant for a card that locks to none),
    AMOUNT_OUT_OF_RANGE (limit above the product's).
    """
    label = decide_shown("label", wish.label)
    merchant = wish.merchant
    if merchant is not None:
        name = decide_shown("merchant", merchant.name)
        if not wish.kind.locks or not name:
            raise Refused(Reason.INVALID_REQUEST, field="merchant")
        merchant = NamedMerchant(id=merchant.id, name=name)
    most = rules.most_per_day[wish.currency]
    for field in ("per_use_limit_minor", "daily_limit_minor"):
        if (getattr(wish, field) or 0) > most:
            raise Refused(Reason.AMOUNT_OUT_OF_RANGE, field=field, most_minor=most)
    if (wish.uses_per_day or 0) > rules.most_uses_per_day:
        raise Refused(Reason.INVALID_REQUEST, field="uses_per_day", most=rules.most_uses_per_day)
    return replace(wish, label=label, merchant=merchant)


def decide_shown(field: str, text: str) -> str:
    """A text of the holder's as it will be shown. Refuses: INVALID_REQUEST."""
    normal = unicodedata.normalize("NFC", text).strip()
    if any(unicodedata.category(character) in _UNSEEN for character in normal):
        raise Refused(Reason.INVALID_REQUEST, field=field)
    return normal


# Control characters, surrogates and unassigned ones; Khmer needs its zero-width space (Cf).
_UNSEEN: Final = frozenset({"Cc", "Cs", "Cn", "Co", "Zl", "Zp"})


def decide_create(
    rules: CardRules, standing: Standing | None, live_already: int
) -> Declined | None:
    """Why no card is made for this Smart ID now; None when one is."""
    if standing is None:
        return Declined(reason=Reason.SMART_ID_NOT_ACTIVE)
    reason = decide_smart_id(standing.identity_state, standing.payment_state)
    if reason is not None:
        return Declined(reason=reason)
    if live_already >= rules.live_cards:
        return Declined(reason=Reason.CARD_LIMIT_REACHED, facts={"limit": rules.live_cards})
    return None
