"""Exchange: riel into dollars and dollars into riel, between a holder's own wallets.

Promise: what was quoted is what is done, to the last riel and cent, or nothing is: a quote is good
for `QUOTE_LIFE` and then declined. All arithmetic is on whole numbers; every division rounds
towards the house, and spread and rounding each stand in the books as a transfer of their own.

    intent exchange  PENDING -> DONE      given wallet -> FX position; FX position -> got wallet,
                                          spread, rounding (as far as they are not zero)
                             -> DECLINED  quote_expired, limit_exceeded, insufficient_funds, ...

    riel given:     gross cents = riel x 10,000 / mid     mid: hundredths of a riel for one dollar
    dollars given:  gross riel  = cents x mid / 10,000    spread: parts of 10,000 of the gross
    net = floor(gross less spread), spread = floor(spread), rounding = floor(gross) - net - spread

Tables owned: exchanges. Rates are sheets of terms, set by two people (proposals).
Who calls: the phone's door, through intents.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from wallet import terms
from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.clock import PHNOM_PENH
from wallet.events import Exchanged
from wallet.identifiers import AccountId, HolderId, TransferId, derived_id
from wallet.ledger import chains
from wallet.ledger.book import Book, Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account, wallets_of
from wallet.ledger.proof import Check
from wallet.limits import Limits, Want, open_limits
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Facts, GroupAnswer, Reason, Refused
from wallet.terms import InForce, Sort, Term
from wallet.work import Actor, ActorKind, Work

QUOTE_LIFE: Final = timedelta(seconds=60)
_WHOLE: Final = 10_000


class RateSheet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a dollar is worth: `mid_hundredths` of a riel (409_850 is 4,098.50); and what the bank
    keeps of an exchange, in parts of 10,000."""

    mid_hundredths: Annotated[int, Meta(ge=100_000, le=1_000_000)]
    spread_bps: Annotated[int, Meta(ge=0, le=500)]


class ExchangeFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given, as plain decimal text in its currency; the other currency is got."""

    amount: Annotated[str, Meta(min_length=1, max_length=20)]
    currency: Currency


class Quote(Struct, frozen=True, kw_only=True):
    """An exchange to the last minor unit. Spread and rounding are in the currency got."""

    rate_id: UUID
    mid_hundredths: int
    spread_bps: int
    given: Money
    got: Money
    spread_minor: int
    rounding_minor: int
    quoted_at: datetime
    valid_until: datetime


class Plan(Struct, frozen=True, kw_only=True):
    quote: Quote
    debit: int
    credit: int


def other(currency: Currency) -> Currency:
    return Currency.USD if currency is Currency.KHR else Currency.KHR


def quote_of(rate: Term[RateSheet], given: Money, now: datetime) -> Quote:
    """What `given` buys now. Refuses: AMOUNT_OUT_OF_RANGE (it buys nothing)."""
    mid, spread = rate.what.mid_hundredths, rate.what.spread_bps
    if given.currency is Currency.KHR:
        parts, of = given.minor * _WHOLE, mid
    else:
        parts, of = given.minor * mid, _WHOLE
    net = parts * (_WHOLE - spread) // (of * _WHOLE)
    kept = parts * spread // (of * _WHOLE)
    if net < 1:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, currency=given.currency.value)
    return Quote(
        rate_id=rate.id,
        mid_hundredths=mid,
        spread_bps=spread,
        given=given,
        got=Money(net, other(given.currency)),
        spread_minor=kept,
        rounding_minor=parts // of - net - kept,
        quoted_at=now,
        valid_until=now + QUOTE_LIFE,
    )


def decide_rate(before: RateSheet | None, after: RateSheet) -> None:
    """A typing slip is caught before two people overlook it: a new rate lies within a tenth of the
    one in force. Refuses: AMOUNT_OUT_OF_RANGE."""
    if before is None:
        return
    smallest, largest = before.mid_hundredths * 9 // 10, before.mid_hundredths * 11 // 10
    if not smallest <= after.mid_hundredths <= largest:
        raise Refused(
            Reason.AMOUNT_OUT_OF_RANGE,
            field="mid_hundredths",
            smallest=smallest,
            largest=largest,
        )


async def rates_of(work: Work) -> InForce[RateSheet]:
    """The bank's rates over time; it has none until it sets one."""
    return await terms.in_force(work, Sort.RATES, _ready)


def _ready(body: Any) -> RateSheet:
    return msgspec.convert(body, RateSheet)


async def prepare(work: Work, asked: Sequence[Asked]) -> list[Prepared | Refused]:
    """Quote each exchange. No money is looked at.

    Refuses (in the answer): AMOUNT_INVALID, AMOUNT_OUT_OF_RANGE, WALLET_CURRENCY_MISSING,
    EXCHANGE_UNAVAILABLE (no rate is set), LIMIT_EXCEEDED.
    """
    rate = (await rates_of(work)).at(work.now)
    holder_ids = list({one.holder_id for one in asked})
    wallets = {currency: await wallets_of(work, holder_ids, currency) for currency in Currency}
    givens = [Money.parse(one.fields.amount, one.fields.currency) for one in asked]
    wants = [
        want_of(one.holder_id, given) for one, given in zip(asked, givens, strict=True) if given
    ]
    limits = await open_limits(work, wants)
    answers: list[Prepared | Refused] = []
    for one, given in zip(asked, givens, strict=True):
        try:
            answers.append(_prepared(rate, given, one.holder_id, wallets, limits, work.now))
        except Refused as refused:
            answers.append(refused)
    return answers


def _prepared(
    rate: Term[RateSheet] | None,
    given: Money | None,
    holder_id: HolderId,
    wallets: dict[Currency, dict[HolderId, AccountId]],
    limits: Limits,
    now: datetime,
) -> Prepared:
    if rate is None:
        raise Refused(Reason.EXCHANGE_UNAVAILABLE)
    if given is None or given.minor == 0:
        raise Refused(Reason.AMOUNT_INVALID)
    quote = quote_of(rate, given, now)
    for money in (given, quote.got):
        if holder_id not in wallets[money.currency]:
            raise Refused(Reason.WALLET_CURRENCY_MISSING, currency=money.currency.value)
    over = limits.check(want_of(holder_id, given))
    if over is not None:
        raise Refused(over.reason, **over.facts)
    plan = Plan(
        quote=quote,
        debit=wallets[given.currency][holder_id],
        credit=wallets[quote.got.currency][holder_id],
    )
    text_en, text_km = words_of(quote)
    return Prepared(
        text_en=text_en,
        text_km=text_km,
        plan=msgspec.to_builtins(plan),
        money=given,
        facts=_facts(quote),
    )


async def authorise(work: Work, consumed: Sequence[Consumed]) -> list[GroupAnswer]:
    """Change what was quoted, at the figures quoted.

    Declines: QUOTE_EXPIRED, LIMIT_EXCEEDED, ACCOUNT_CLOSED, INSUFFICIENT_FUNDS.
    """
    plans = [msgspec.convert(one.plan, Plan) for one in consumed]
    house = {
        (kind, currency): await house_account(work, kind, currency, detail)
        for kind, detail in _HOUSE
        for currency in Currency
    }
    legs = [_legs(one, plan, house) for one, plan in zip(consumed, plans, strict=True)]
    book = await open_book(
        work,
        accounts=[account for of in legs for leg in of for account in (leg.debit, leg.credit)],
        ids=[leg.id for of in legs for leg in of],
    )
    wants = [
        want_of(one.holder_id, plan.quote.given) for one, plan in zip(consumed, plans, strict=True)
    ]
    limits = await open_limits(work, wants)
    answers: list[GroupAnswer] = []
    made: list[tuple[Consumed, Quote]] = []
    for one, plan, want, of in zip(consumed, plans, wants, legs, strict=True):
        repeat = book.seen(of[0].id)
        declined = None if repeat else _decide(plan, work.now)
        outcome = declined or _post(book, limits, want, of)
        if isinstance(outcome, Declined):
            answers.append(outcome)
            continue
        if not outcome.repeated:
            made.append((one, plan.quote))
        answers.append(_receipt(one, plan.quote, outcome, limits.left(want)))
    await _record(work, made)
    await limits.write()
    await book.write()
    for one, quote in made:
        _tell(work, one, quote)
    return answers


EXCHANGE: Final = IntentKind(
    name="exchange",
    fields=ExchangeFields,
    prepare=prepare,
    authorise=authorise,
)


def want_of(holder_id: HolderId, given: Money) -> Want:
    return Want(holder_id=holder_id, money=given, kind=TransferKind.EXCHANGE)


def _decide(plan: Plan, now: datetime) -> Declined | None:
    return Declined(reason=Reason.QUOTE_EXPIRED) if now >= plan.quote.valid_until else None


def _post(book: Book, limits: Limits, want: Want, legs: Sequence[Posting]) -> Posted | Declined:
    """All legs, or none of them; counted once."""
    declined = None if book.seen(legs[0].id) else limits.check(want)
    if declined is not None:
        return declined
    answers = chains.linked(book, [partial(book.post, leg) for leg in legs])
    for answer in answers:
        if isinstance(answer, Declined) and answer.reason is not Reason.LINKED_FAILED:
            return answer
    first = answers[0]
    if isinstance(first, Posted) and not first.repeated:
        limits.count(want)
    return first


_HOUSE: Final = (
    (AccountKind.FX_POSITION, ""),
    (AccountKind.FX_SPREAD, ""),
    (AccountKind.FX_ROUNDING, ""),
)


def _legs(
    one: Consumed, plan: Plan, house: dict[tuple[AccountKind, Currency], AccountId]
) -> list[Posting]:
    """What is given first; then what is got, the spread and the rounding, all that are not zero."""
    quote = plan.quote
    got = quote.got.currency
    position = house[AccountKind.FX_POSITION, got]

    def leg(part: str, credit: AccountId, minor: int, kind: TransferKind) -> Posting:
        return Posting(
            id=TransferId(derived_id(one.intent_id, part)),
            debit=position,
            credit=credit,
            money=Money(minor, got),
            kind=kind,
            reference=one.intent_id,
        )

    given = Posting(
        id=TransferId(one.intent_id),
        debit=AccountId(plan.debit),
        credit=house[AccountKind.FX_POSITION, quote.given.currency],
        money=quote.given,
        kind=TransferKind.EXCHANGE,
        reference=one.intent_id,
    )
    spread = house[AccountKind.FX_SPREAD, got]
    rounding = house[AccountKind.FX_ROUNDING, got]
    parts = (
        leg("got", AccountId(plan.credit), quote.got.minor, TransferKind.EXCHANGE),
        leg("spread", spread, quote.spread_minor, TransferKind.EXCHANGE_SPREAD),
        leg("rounding", rounding, quote.rounding_minor, TransferKind.EXCHANGE_ROUNDING),
    )
    return [given, *(part for part in parts if part.money.minor)]


def rate_text(mid_hundredths: int) -> str:
    """`4,100` or `4,098.50`: riel for one dollar."""
    whole, rest = divmod(mid_hundredths, 100)
    return f"{whole:,}.{rest:02d}" if rest else f"{whole:,}"


def words_of(quote: Quote) -> tuple[str, str]:
    """What the holder reads and signs, in English and Khmer."""
    kept = Money(quote.spread_minor + quote.rounding_minor, quote.got.currency)
    mid = rate_text(quote.mid_hundredths)
    until = f"{quote.valid_until.astimezone(PHNOM_PENH):%H:%M:%S}"
    return (
        f"Change {quote.given.display('en')} into {quote.got.display('en')}. "
        f"Rate: 1 USD = {mid} KHR; the bank keeps {kept.display('en')}. Good until {until}.",
        f"ប្តូរ {quote.given.display('km')} ទៅជា {quote.got.display('km')}។ "
        f"អត្រាប្តូរប្រាក់៖ ១ ដុល្លារ = {mid.translate(_KHMER_DIGITS)} រៀល "
        f"ធនាគារទុក {kept.display('km')}។ មានសុពលភាពដល់ម៉ោង {until.translate(_KHMER_DIGITS)}។",
    )


def _facts(quote: Quote) -> Facts:
    return {
        "rate": rate_text(quote.mid_hundredths),
        "spread_bps": quote.spread_bps,
        "given_minor": quote.given.minor,
        "given_currency": quote.given.currency.value,
        "got_minor": quote.got.minor,
        "got_currency": quote.got.currency.value,
        "spread_minor": quote.spread_minor,
        "rounding_minor": quote.rounding_minor,
        "valid_until": quote.valid_until.isoformat(),
    }


def _receipt(one: Consumed, quote: Quote, posted: Posted, left: Facts) -> Done:
    answer: dict[str, Any] = {"exchange_id": str(one.intent_id), **_facts(quote), **left}
    if posted.available is not None:
        answer["available_minor"] = posted.available.minor
    return Done(answer=answer)


def _tell(work: Work, one: Consumed, quote: Quote) -> None:
    actor = Actor(
        kind=ActorKind.HOLDER,
        id=str(one.holder_id),
        bank=one.bank,
        holder_id=one.holder_id,
        device_id=one.device_id,
    )
    work.emit(
        Exchanged(
            holder_id=one.holder_id,
            given=quote.given,
            got=quote.got,
            reference=str(one.intent_id),
        )
    )
    work.note(EXCHANGE.name, str(one.intent_id), holder_id=one.holder_id, actor=actor)


async def _record(work: Work, made: Sequence[tuple[Consumed, Quote]]) -> None:
    if not made:
        return
    quotes = [quote for _, quote in made]
    await work.execute(
        _RECORD,
        work.bank,
        work.now,
        [one.intent_id for one, _ in made],
        [one.holder_id for one, _ in made],
        [quote.rate_id for quote in quotes],
        [quote.mid_hundredths for quote in quotes],
        [quote.spread_bps for quote in quotes],
        [quote.given.currency.value for quote in quotes],
        [quote.given.minor for quote in quotes],
        [quote.got.currency.value for quote in quotes],
        [quote.got.minor for quote in quotes],
        [quote.spread_minor for quote in quotes],
        [quote.rounding_minor for quote in quotes],
        [quote.quoted_at for quote in quotes],
    )


_KHMER_DIGITS: Final = str.maketrans("0123456789", "០១២៣៤៥៦៧៨៩")

_RECORD: Final = """
insert into exchanges (bank, at, id, holder_id, rate_id, mid_hundredths, spread_bps,
                       given_currency, given_minor, got_currency, got_minor, spread_minor,
                       rounding_minor, quoted_at)
select $1, $2, * from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::integer[],
                             $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[],
                             $13::bigint[], $14::timestamptz[])
"""

CHECKS: Final = (
    Check(
        name="every exchange is its two legs, its spread and its rounding, and came to its rate",
        sql="""
        select format('exchange %s', coalesce(e.id, t.id)) as difference
        from exchanges e
        full join (
            select reference as id,
                   sum(t.amount_minor) filter (where d.kind = 'wallet') as given,
                   sum(t.amount_minor) filter (where c.kind = 'wallet') as got,
                   sum(t.amount_minor) filter (where c.kind = 'fx_spread') as spread,
                   sum(t.amount_minor) filter (where c.kind = 'fx_rounding') as rounding,
                   count(*) filter (where d.kind = 'fx_position') as out_legs,
                   count(*) filter (where d.holder_id is not null) as in_legs
            from transfers t
            join accounts d on d.id = t.debit_account_id
            join accounts c on c.id = t.credit_account_id
            where t.kind in ('exchange', 'exchange_spread', 'exchange_rounding')
            group by reference
        ) t on t.id = e.id
        where e.id is null or t.id is null or t.in_legs <> 1
           or t.given is distinct from e.given_minor or t.got is distinct from e.got_minor
           or coalesce(t.spread, 0) <> e.spread_minor
           or coalesce(t.rounding, 0) <> e.rounding_minor
           or e.got_minor + e.spread_minor + e.rounding_minor <> case e.given_currency
                  when 'KHR' then div(e.given_minor::numeric * 10000, e.mid_hundredths)
                  else div(e.given_minor::numeric * e.mid_hundredths, 10000) end
        """,
    ),
)
