"""What may be declined: authorisations, increments, balance inquiries; and what is only told in
advance: advices, and what a stand-in approved for us.

Promise: a request is decided in one order of reasons: its deadline, its card, what it is to cost,
limits, funds, habits. What is declined changes nothing but the answer (and a wrong check value's
count). An advice is never declined for money: what the wallet lacks is held short, with a case.

Who calls: serving. Each function answers, and leaves its event, on the counter it is given.
"""

from typing import Final

from msgspec.structs import replace

from wallet.authorisations import telling
from wallet.authorisations.counter import (
    LIFE,
    LONGEST_LIFE,
    Counter,
    Moved,
    purchase_of,
)
from wallet.authorisations.habits import Challenge, decide_step_up
from wallet.authorisations.messages import Kind, Merchant, Message
from wallet.authorisations.records import Cause, Life
from wallet.authorisations.states import Standing, Status, status_of
from wallet.cards import purchasing
from wallet.cards.purchasing import decide_usable
from wallet.cards.states import Card
from wallet.fees import Function, Network, decide_fee
from wallet.identifiers import AccountId, TransferId, derived_id
from wallet.ledger.book import Posting, TransferKind
from wallet.money import Money
from wallet.outcomes import Declined, Outcome, Reason


def authorise(counter: Counter, message: Message, life: Life) -> Outcome:
    """Allow a purchase and hold its money (or take it at once, of a single message).

    Declines: reversed_first, answer_too_late, card_unknown, as `Tray.decide`,
    exchange_unavailable, limit_exceeded, insufficient_funds, account_closed,
    purchase_unconfirmed.
    """
    if life.purchase is not None:
        return decline(counter, message, life, Declined(reason=Reason.REVERSED_FIRST))
    asked = counter.card(message)
    purchase = None if asked is None else purchase_at(message)
    card = None if asked is None or purchase is None else counter.tray.paying(asked, purchase)
    life.purchase = purchase_of(message, card, counter.now)
    if card is None or purchase is None:
        return decline(counter, message, life, Declined(reason=Reason.CARD_UNKNOWN))
    if message.deadline is not None and counter.now >= message.deadline:
        return decline(counter, message, life, Declined(reason=Reason.ANSWER_TOO_LATE))
    standing = beginning(counter, message, card)
    no = counter.tray.decide(card, purchase, message.presented)
    if no is None and message.money is not None and message.money.currency is not card.currency:
        no = Declined(reason=Reason.EXCHANGE_UNAVAILABLE) if standing.rate is None else None
    if no is not None:
        return decline(counter, message, life, no, standing)
    allowed_s = _money(message).minor
    standing = replace(standing, fee_minor=_fee(counter, life, standing, allowed_s))
    moved = Moved()
    taken = _take(counter, message, life, standing, allowed_s, moved)
    partial = isinstance(taken, Declined) and message.partial_ok and message.kind is not _ONCE
    if partial and isinstance(taken, Declined) and taken.reason is Reason.INSUFFICIENT_FUNDS:
        left = counter.book.available(card.account_id).minor - standing.fee_minor
        allowed_s = standing.pricing.most(left)
        if allowed_s > 0:
            moved.facts = {"asked_minor": _money(message).minor, "approved_minor": allowed_s}
            taken = _take(counter, message, life, standing, allowed_s, moved)
    if isinstance(taken, Declined):
        return decline(counter, message, life, taken, standing)
    if allowed_s:
        money = Money(allowed_s, standing.settlement)
        counter.tray.approve(card, replace(purchase, money=money), life.purchase.id)
        account, country = card.account_id, life.purchase.merchant.country
        counter.habits.count(account, moved.cardholder, country)
    told = counter.left(life, message, taken)
    outcome = counter.answer(life, message, taken, moved, approved_minor=allowed_s, **told)
    counter.record(life, message, taken, moved, outcome)
    telling.allowed(counter, life, message, taken, moved, allowed_s)
    return outcome


_ONCE: Final = Kind.FINANCIAL


def _take(
    counter: Counter,
    message: Message,
    life: Life,
    standing: Standing,
    allowed_s: int,
    moved: Moved,
) -> Standing | Declined:
    """Count and hold (or post) so much; nothing of it stays when any of it is declined."""
    charge = standing.pricing.of(allowed_s).charge
    if allowed_s == 0:
        return replace(standing, approved=True)
    assert life.purchase is not None  # noqa: S101 - made before
    account = AccountId(life.purchase.account_id or 0)
    asked = counter.asking(life, message, standing, charge)
    no = (
        counter.controls.decide(asked)
        or _unfunded(counter, account, standing, charge)
        or _asked_about(counter, message, life, standing, charge)
    )
    if no is not None:
        return no
    moved.cardholder = charge
    taken = _hold_or_post(counter, message, life, standing, allowed_s, charge, moved)
    return taken if isinstance(taken, Declined) else counter.count(asked, taken)


def _unfunded(
    counter: Counter, account: AccountId, standing: Standing, charge: int
) -> Declined | None:
    available = counter.book.available(account)
    if available.minor >= charge + standing.fee_minor:
        return None
    facts: dict[str, str | int] = {
        "available_minor": available.minor,
        "currency": available.currency.value,
        "needed_minor": charge + standing.fee_minor,
    }
    return Declined(reason=Reason.INSUFFICIENT_FUNDS, facts=facts)


def _hold_or_post(
    counter: Counter,
    message: Message,
    life: Life,
    standing: Standing,
    allowed_s: int,
    charge: int,
    moved: Moved,
) -> Standing | Declined:
    if message.kind is Kind.FINANCIAL:
        return _post(counter, message, life, standing, allowed_s, charge, moved)
    lasts = min(message.lasts or LIFE, LONGEST_LIFE)
    held = replace(
        standing,
        approved=True,
        allowed_s=allowed_s,
        open_s=allowed_s,
        expires_at=counter.now + lasts,
    )
    return counter.held(life, message, held)


def _post(
    counter: Counter,
    message: Message,
    life: Life,
    standing: Standing,
    allowed_s: int,
    charge: int,
    moved: Moved,
) -> Standing | Declined:
    """Taken in the same message."""
    assert life.purchase is not None  # noqa: S101 - made before
    account = AccountId(life.purchase.account_id or 0)
    posting = Posting(
        id=TransferId(message.event_id),
        debit=account,
        credit=counter.house.target(standing),
        money=Money(charge, standing.wallet),
        kind=TransferKind.CARD_PURCHASE,
        reference=life.purchase.id,
    )
    posted = counter.book.post(posting)
    if isinstance(posted, Declined):
        return posted
    moved.transfer_id, moved.paid = message.event_id, charge
    counter.exchange(message, standing, 0, allowed_s)
    taken = replace(
        standing,
        approved=True,
        allowed_s=allowed_s,
        cleared_s=allowed_s,
        paid_minor=charge,
        over=True,
    )
    return counter.charge_fee(life, message, taken, moved)


def _asked_about(
    counter: Counter, message: Message, life: Life, standing: Standing, charge: int
) -> Declined | None:
    """Whether its holder must say yes first: asked once, and used up by the retry that passes."""
    purchase = life.purchase
    assert purchase is not None and purchase.account_id is not None  # noqa: S101, PT018 - ours
    habits, money = counter.habits, _money(message)
    habit = habits.of(purchase.account_id)
    charged = Money(charge, standing.wallet)
    rule = decide_step_up(habits.rules, habit, purchase.merchant, charged, counter.now)
    if rule is None:
        return None
    question = habits.question(purchase.account_id, purchase.merchant, money)
    if question is not None and question.confirmed_at is not None:
        habits.use(question, purchase.id)
        return None
    if question is None:
        question = _question(counter, message, life, rule)
        habits.ask(question)
        telling.asked(counter, life, question, charged)
    facts: dict[str, str | int] = {
        "rule": rule,
        "challenge_id": str(question.id),
        "confirm_by": question.ends_at.isoformat(),
    }
    return Declined(reason=Reason.PURCHASE_UNCONFIRMED, facts=facts)


def _question(counter: Counter, message: Message, life: Life, rule: str) -> Challenge:
    purchase, money = life.purchase, _money(message)
    assert purchase is not None  # noqa: S101 - made before
    assert purchase.holder_id is not None  # noqa: S101 - ours
    assert purchase.account_id is not None  # noqa: S101 - ours
    assert purchase.card_id is not None  # noqa: S101 - ours
    assert purchase.last_four is not None  # noqa: S101 - ours
    return Challenge(
        id=derived_id(message.event_id, "question"),
        holder_id=purchase.holder_id,
        account_id=purchase.account_id,
        card_id=purchase.card_id,
        last_four=purchase.last_four,
        merchant_id=purchase.merchant.id,
        merchant_name=purchase.merchant.name,
        country=purchase.merchant.country,
        settlement_minor=money.minor,
        settlement_currency=money.currency,
        rule=rule,
        made_at=counter.now,
        ends_at=counter.now + counter.habits.rules.retry_within,
    )


def increment(counter: Counter, message: Message, life: Life) -> Outcome:
    """Hold so much more for a purchase that is still open; the hold is replaced, not edited.

    Declines: original_not_found, answer_too_late, hold_expired, hold_already_captured,
    hold_already_voided, as `decide_usable`, limit_exceeded, insufficient_funds, account_closed.
    """
    if life.purchase is None:
        return _unfound(counter, message, life)
    standing, moved = life.standing, Moved()
    no = _increment_declined(counter, message, life)
    if no is not None:
        return decline(counter, message, life, no, standing)
    more, begins = _money(message).minor, standing.cleared_s + standing.open_s
    charge = standing.pricing.between(begins, begins + more).charge
    asked = counter.asking(life, message, standing, charge, another=False)
    no = (
        Declined(reason=Reason.AMOUNT_ZERO) if charge == 0 else counter.controls.decide(asked)
    ) or _whole_declined(counter, message, life, standing, standing.counted_minor + charge)
    if no is not None:
        return decline(counter, message, life, no, standing)
    mark = counter.book.mark()
    counter.void(message, standing)
    taken = counter.held(life, message, replace(standing, open_s=standing.open_s + more))
    if isinstance(taken, Declined):
        counter.book.undo(mark)
        return decline(counter, message, life, taken, standing)
    taken = counter.count(asked, replace(taken, allowed_s=standing.allowed_s + more))
    moved.cardholder = taken.held_minor - standing.held_minor
    left = counter.left(life, message, taken)
    outcome = counter.answer(life, message, taken, moved, approved_minor=more, **left)
    counter.record(life, message, taken, moved, outcome)
    telling.allowed(counter, life, message, taken, moved, more)
    return outcome


_OVER: Final = {
    Status.SETTLED: Reason.HOLD_ALREADY_CAPTURED,
    Status.VOIDED: Reason.HOLD_ALREADY_VOIDED,
}
"""Why nothing can be added to a purchase that holds nothing any more; otherwise it has run out."""


def _increment_declined(counter: Counter, message: Message, life: Life) -> Declined | None:
    standing = life.standing
    if message.deadline is not None and counter.now >= message.deadline:
        return Declined(reason=Reason.ANSWER_TOO_LATE)
    if not standing.holds(counter.now):
        over = status_of(standing, counter.now)
        return Declined(reason=_OVER.get(over, Reason.HOLD_EXPIRED))
    if _money(message).currency is not standing.settlement:
        return Declined(reason=Reason.CURRENCY_UNSUPPORTED)
    assert life.purchase is not None  # noqa: S101 - ours
    assert life.purchase.card_id is not None  # noqa: S101 - ours
    card = counter.tray.card(life.purchase.card_id)
    # A single-use card was closed by this very purchase's first approval.
    if card is not None and card.spent_by == life.purchase.id:
        return None
    return None if card is None else decide_usable(card, counter.now)


def _whole_declined(
    counter: Counter, message: Message, life: Life, standing: Standing, charge: int
) -> Declined | None:
    """Whether the whole, were it asked for at once, would be too much for one purchase."""
    whole = counter.asking(life, message, standing, charge, another=False)
    return counter.controls.decide_size(whole)


def advise(counter: Counter, message: Message, life: Life) -> Outcome:
    """Take the new total of a purchase as told; or, of one nobody asked us about, what a stand-in
    approved. Never declined for money, limits or standing.

    Declines: card_unknown, currency_unsupported.
    """
    moved = Moved()
    if life.purchase is None:
        card = counter.card(message)
        life.purchase = purchase_of(message, card, counter.now)
        if card is None:
            return decline(counter, message, life, Declined(reason=Reason.CARD_UNKNOWN))
        standing = replace(
            beginning(counter, message, card),
            approved=True,
            expires_at=counter.now + min(message.lasts or LIFE, LONGEST_LIFE),
        )
        moved.cause = Cause.STAND_IN
    else:
        standing = life.standing
        moved.cause = Cause.ADVICE_RAISED
    if message.money is None or message.money.currency is not standing.settlement:
        return decline(
            counter, message, life, Declined(reason=Reason.CURRENCY_UNSUPPORTED), standing
        )
    if life.events and not standing.holds(counter.now):
        outcome = counter.answer(life, message, standing, Moved())
        return counter.record(life, message, standing, Moved(), outcome)
    return _advised(counter, message, life, standing, moved)


def _advised(
    counter: Counter, message: Message, life: Life, standing: Standing, moved: Moved
) -> Outcome:
    total = _money(message).minor
    open_s = max(0, total - standing.cleared_s)
    before = standing.allowed_s
    counter.void(message, standing)
    taken = counter.held_short(life, message, replace(standing, open_s=open_s))
    counts = taken.pricing.of(taken.cleared_s + open_s).charge
    taken = counter.recount(life, message, taken, counts)
    taken = replace(taken, allowed_s=max(before, total), over=taken.over or open_s == 0)
    moved.cardholder = standing.pricing.of(total).charge
    needed = taken.pricing.between(taken.cleared_s, taken.cleared_s + open_s).charge
    moved.beyond = max(0, needed - taken.held_minor)
    if moved.cause is Cause.ADVICE_RAISED and total > before:
        moved.beyond = taken.pricing.between(before, total).charge
    elif not moved.beyond:
        moved.cause = None
    outcome = counter.answer(life, message, taken, moved, approved_minor=total)
    counter.record(life, message, taken, moved, outcome)
    telling.allowed(counter, life, message, taken, moved, total)
    return outcome


def inquire(counter: Counter, message: Message, life: Life) -> Outcome:
    """Tell the balance behind a card, and what its limits leave; nothing is held or counted.

    Declines: reversed_first, answer_too_late, card_unknown, as `Tray.decide`.
    """
    if life.purchase is not None:
        return decline(counter, message, life, Declined(reason=Reason.REVERSED_FIRST))
    card = counter.card(message)
    life.purchase = purchase_of(message, card, counter.now)
    if card is None:
        return decline(counter, message, life, Declined(reason=Reason.CARD_UNKNOWN))
    standing = replace(beginning(counter, message, card), settlement=card.currency, rate=None)
    if message.deadline is not None and counter.now >= message.deadline:
        late = Declined(reason=Reason.ANSWER_TOO_LATE)
        return decline(counter, message, life, late, standing)
    asked = purchasing.Purchase(money=Money(0, card.currency), merchant=_shop(message.merchant))
    no = counter.tray.decide(card, asked, message.presented)
    if no is not None:
        return decline(counter, message, life, no, standing)
    standing, moved = replace(standing, approved=True), Moved()
    left = counter.left(life, message, standing)
    outcome = counter.answer(life, message, standing, moved, **left)
    return counter.record(life, message, standing, moved, outcome)


def decline(
    counter: Counter,
    message: Message,
    life: Life,
    declined: Declined,
    standing: Standing | None = None,
) -> Outcome:
    """Keep a decline as its event, and tell the holder at once."""
    if life.purchase is None:
        life.purchase = purchase_of(message, counter.card(message), counter.now)
    standing = standing or life.standing
    if not life.events and message.money is not None and standing.rate is None:
        standing = replace(standing, settlement=message.money.currency)
    if declined.reason not in _TELLS_NOTHING:
        left = counter.left(life, message, standing)
        declined = Declined(reason=declined.reason, facts={**left, **declined.facts})
    counter.record(life, message, standing, Moved(), declined)
    telling.declined(counter, life, message, declined)
    return declined


_TELLS_NOTHING: Final = frozenset({Reason.CARD_DETAILS_WRONG, Reason.CARD_DETAILS_LOCKED})
"""Whoever guesses at a card learns nothing of its limits."""


def _unfound(counter: Counter, message: Message, life: Life) -> Outcome:
    return decline(counter, message, life, Declined(reason=Reason.ORIGINAL_NOT_FOUND))


def beginning(counter: Counter, message: Message, card: Card) -> Standing:
    """Where a purchase stands before anything happened: its currencies, and the rate it keeps."""
    settlement = card.currency if message.money is None else message.money.currency
    exchanged = settlement is not card.currency
    return Standing(
        settlement=settlement, wallet=card.currency, rate=counter.rate if exchanged else None
    )


def purchase_at(message: Message) -> purchasing.Purchase:
    return purchasing.Purchase(
        money=_money(message),
        merchant=_shop(message.merchant),
        recurring=message.recurring,
    )


def _shop(merchant: Merchant | None) -> purchasing.Merchant:
    return purchasing.Merchant(
        id="" if merchant is None else merchant.id, name="" if merchant is None else merchant.name
    )


def _fee(counter: Counter, life: Life, standing: Standing, allowed_s: int) -> int:
    """What the bank takes on top, in the wallet's currency."""
    if allowed_s == 0:
        return 0
    fee = decide_fee(
        counter.fees,
        Function.CARD_PURCHASE,
        standing.wallet,
        amount_minor=standing.pricing.of(allowed_s).charge,
        network=Network.OFF_US,
    )
    return 0 if fee is None else fee.minor


def _money(message: Message) -> Money:
    assert message.money is not None  # noqa: S101 - the doors see to it that a request names one
    return message.money
