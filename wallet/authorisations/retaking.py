"""A return that its network takes back: what had come back is taken again.

Promise: never more than had come back; the wallet pays as far as it can and suspense for the rest,
with a case, as of a clearing. Told after the fact, so never declined for funds, and counted in no
limit: nobody was asked (decision 0052). It may be returned again, and so on.

Who calls: serving.
"""

from msgspec.structs import replace

from wallet.authorisations import telling
from wallet.authorisations.counter import Counter, Moved
from wallet.authorisations.messages import Message
from wallet.authorisations.records import Cause, Life
from wallet.authorisations.requests import decline
from wallet.authorisations.states import Standing
from wallet.identifiers import AccountId, TransferId
from wallet.ledger.book import Posting, TransferKind
from wallet.money import Money
from wallet.outcomes import Declined, Outcome, Reason


def take_again(counter: Counter, message: Message, life: Life) -> Outcome:
    """Take back a return, whole or in part.

    Declines: original_not_found, currency_unsupported, exceeds_original (with what came back).
    """
    if life.purchase is None or life.purchase.account_id is None:
        return decline(counter, message, life, Declined(reason=Reason.ORIGINAL_NOT_FOUND))
    standing, moved = life.standing, Moved()
    if message.money is None or message.money.currency is not standing.settlement:
        no = Declined(reason=Reason.CURRENCY_UNSUPPORTED)
        return decline(counter, message, life, no, standing)
    minor, back_s = message.money.minor, standing.returned_s or standing.credited_s
    if minor > back_s:
        no = Declined(reason=Reason.EXCEEDS_ORIGINAL, facts={"left_minor": back_s})
        return decline(counter, message, life, no, standing)
    retake = _returned if standing.returned_s else _credited
    taken = retake(counter, message, life, standing, minor, moved)
    if moved.short:
        moved.cause, moved.beyond = Cause.RETURN_REVERSED, moved.short
    outcome = counter.answer(life, message, taken, moved, short_minor=moved.short)
    counter.record(life, message, taken, moved, outcome)
    telling.taken(counter, life, message, taken, moved)
    return outcome


def _returned(
    counter: Counter, message: Message, life: Life, standing: Standing, minor: int, moved: Moved
) -> Standing:
    """Of what was taken and came back, the latest part first: at the rate it was taken at."""
    before, after = standing.returned_s, standing.returned_s - minor
    moved.cardholder = standing.pricing.between(after, before).charge
    counter.exchange(message, standing, after, before)
    return replace(_forced(counter, message, life, standing, moved), returned_s=after)


def _credited(
    counter: Counter, message: Message, life: Life, standing: Standing, minor: int, moved: Moved
) -> Standing:
    """Of what came back for no purchase of ours."""
    moved.cardholder = min(standing.pricing.credited(minor), standing.credited_minor)
    if standing.rate is not None:
        house, settled = counter.house, Money(minor, standing.settlement)
        position, network = house.position, house.settlement
        counter.post(
            message, "settled", position[settled.currency], network[settled.currency], settled
        )
    taken = _forced(counter, message, life, standing, moved)
    return replace(taken, credited_s=standing.credited_s - minor)


def _forced(
    counter: Counter, message: Message, life: Life, standing: Standing, moved: Moved
) -> Standing:
    """What it costs the holder, by force."""
    if moved.cardholder == 0:
        return standing
    assert life.purchase is not None  # noqa: S101 - asked before
    posting = Posting(
        id=TransferId(message.event_id),
        debit=AccountId(life.purchase.account_id or 0),
        credit=counter.house.target(standing),
        money=Money(moved.cardholder, standing.wallet),
        kind=TransferKind.CARD_PURCHASE,
        reference=life.purchase.id,
    )
    answer = counter.book.force(posting, counter.suspense(standing))
    if isinstance(answer, Declined):
        raise AssertionError(f"a return taken back was not posted: {answer.reason.value}")
    moved.transfer_id = message.event_id
    moved.paid, moved.short = answer.amount_minor, answer.shortfall_minor
    return replace(
        standing,
        paid_minor=standing.paid_minor + moved.paid,
        short_minor=standing.short_minor + moved.short,
    )
