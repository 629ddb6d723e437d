"""Taking back: reversals in full and in part, before their original too, and the end of the time.

Promise: a reversal never fails for funds, freeze, expiry or a closed card, releases exactly what is
held, and once however often it comes. One that overtakes its original stands in its place: the
original then holds nothing. What was taken in one message is given back, its fee too, and counts no
more; what a shop cleared is given back by the shop's return alone. What no shop ever heard of, by
our own word or the network's, leaves no mark on its card or its holder's habits.

Who calls: serving.
"""

from typing import Final

from msgspec.structs import replace

from wallet.authorisations import telling
from wallet.authorisations.counter import Counter, Moved, purchase_of
from wallet.authorisations.messages import Kind, Message
from wallet.authorisations.records import Life
from wallet.authorisations.requests import decline
from wallet.authorisations.settling import return_taken
from wallet.authorisations.states import Standing
from wallet.money import Currency
from wallet.outcomes import Declined, Outcome, Reason


def reverse(counter: Counter, message: Message, life: Life) -> Outcome:
    """Take a purchase back, whole, or down to `message.money`.

    Declines: currency_unsupported, exceeds_original (what would be left is not less than what
    is held; with it), not_reversible (in part, after it was taken back whole).
    """
    if life.purchase is None:
        return _forestall(counter, message, life)
    if message.undoes is Kind.INCREMENT:
        return _undo_increment(counter, message, life)
    standing = life.standing
    left_s = 0
    if message.money is not None:
        no = _partial_declined(message, standing)
        if no is not None:
            return decline(counter, message, life, no, standing)
        left_s = message.money.minor - standing.cleared_s
    moved = Moved()
    before = standing.held_minor
    standing = _released(counter, message, life, standing, left_s)
    if message.money is None:
        standing = replace(standing, voided=True, over=True)
    given_back = 0
    if _single(life) and message.money is None and standing.cleared_s > standing.returned_s:
        standing = _taken_back(counter, message, life, standing, moved)
        given_back = moved.paid
    moved.cardholder = (before - standing.held_minor) + given_back
    if message.unheard and _never_heard(life):
        standing = _unmark(counter, life, standing)
    outcome: Outcome = counter.answer(life, message, standing, moved)
    if message.too_late:
        outcome = Declined(reason=Reason.ANSWER_TOO_LATE)
    counter.record(life, message, standing, moved, outcome)
    if moved.cardholder:
        cause = "too_late" if message.too_late else "reversed"
        telling.released(counter, life, message, standing, moved, cause)
    return outcome


def _undo_increment(counter: Counter, message: Message, life: Life) -> Outcome:
    """Hold again what was held before an increment whose answer came too late."""
    before, more_s = life.standing, 0 if message.money is None else message.money.minor
    back_s = min(more_s, before.open_s)
    standing = _released(counter, message, life, before, before.open_s - back_s)
    standing = replace(standing, allowed_s=before.allowed_s - back_s, over=standing.open_s == 0)
    moved = Moved(cardholder=before.held_minor - standing.held_minor)
    outcome = Declined(reason=Reason.ANSWER_TOO_LATE)
    counter.record(life, message, standing, moved, outcome)
    if moved.cardholder:
        telling.released(counter, life, message, standing, moved, "too_late")
    return outcome


def _taken_back(
    counter: Counter, message: Message, life: Life, standing: Standing, moved: Moved
) -> Standing:
    """What was taken in its one message comes back whole, with its fee; no limit counts it."""
    minor = standing.cleared_s - standing.returned_s
    standing = return_taken(counter, message, life, standing, minor, moved)
    standing = counter.recount(life, message, standing, 0)
    return counter.give_fee_back(message, life, standing, moved)


def _never_heard(life: Life) -> bool:
    """Whether nothing shows that the shop heard yes: since it was allowed it was only taken back,
    or ran out."""
    first, *later = life.events
    allowed = first.kind in _BEGIN and first.reason is None and first.settlement_minor > 0
    return allowed and all(event.kind in _END for event in later)


_BEGIN: Final = frozenset({Kind.AUTHORIZATION, Kind.FINANCIAL})
_END: Final = frozenset({Kind.REVERSAL, Kind.EXPIRY})


def _unmark(counter: Counter, life: Life, standing: Standing) -> Standing:
    """A purchase whose shop heard a decline leaves no mark: on its card, or on what is usual."""
    purchase, first = life.purchase, life.events[0]
    if standing.unheard or purchase is None or purchase.account_id is None:
        return standing
    held = None if purchase.card_id is None else counter.tray.card(purchase.card_id)
    if held is not None:
        counter.tray.unmark(held, purchase.id)
    alone = purchase.id in counter.alone.in_country
    counter.habits.uncount(
        purchase.account_id,
        first.cardholder_minor,
        purchase.merchant.country if alone else None,
        first.at,
        purchase.id,
    )
    return replace(standing, unheard=True)


def _partial_declined(message: Message, standing: Standing) -> Declined | None:
    assert message.money is not None  # noqa: S101 - asked before
    total = standing.cleared_s + standing.open_s
    if message.money.currency is not standing.settlement:
        return Declined(reason=Reason.CURRENCY_UNSUPPORTED)
    if standing.open_s == 0:
        return Declined(reason=Reason.NOT_REVERSIBLE)
    if not standing.cleared_s <= message.money.minor < total or message.money.minor == 0:
        return Declined(reason=Reason.EXCEEDS_ORIGINAL, facts={"left_minor": total})
    return None


def _single(life: Life) -> bool:
    """Whether it was allowed and taken in one message."""
    return bool(life.events) and life.events[0].kind is Kind.FINANCIAL


def _released(
    counter: Counter,
    message: Message,
    life: Life,
    standing: Standing,
    left_s: int,
) -> Standing:
    """Hold `left_s` in place of what is held now."""
    if standing.open_s == 0:
        return standing
    counter.void(message, standing)
    held = counter.held_short(life, message, replace(standing, open_s=left_s))
    total = held.pricing.of(held.cleared_s + left_s).charge
    return counter.recount(life, message, held, min(total, held.counted_minor))


def _forestall(counter: Counter, message: Message, life: Life) -> Outcome:
    """The reversal came first: it stands in the place of its original, which holds nothing then."""
    card = counter.card(message)
    life.purchase = purchase_of(message, card, counter.now)
    currency = Currency.KHR if card is None else card.currency
    standing = Standing(settlement=currency, wallet=currency, voided=True, over=True)
    moved = Moved()
    outcome = counter.answer(life, message, standing, moved)
    return counter.record(life, message, standing, moved, outcome)


def expire(counter: Counter, message: Message, life: Life) -> Outcome:
    """Release what is held: its time is over, by our own clock or as the network tells.

    Declines: original_not_found.
    """
    if life.purchase is None:
        return decline(counter, message, life, Declined(reason=Reason.ORIGINAL_NOT_FOUND))
    moved, before = Moved(), life.standing.held_minor
    was_open = life.standing.open_s > 0
    standing = _released(counter, message, life, life.standing, 0)
    if was_open:
        standing = replace(standing, over=True)
    moved.cardholder = before - standing.held_minor
    outcome = counter.answer(life, message, standing, moved)
    counter.record(life, message, standing, moved, outcome)
    if moved.cardholder:
        telling.released(counter, life, message, standing, moved, "expired")
    return outcome
