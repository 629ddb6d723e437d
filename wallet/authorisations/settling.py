"""What a shop takes, and what it gives back: clearings, force posts, returns.

Promise: what the network says was taken is posted always. Up to what is held comes out of the
hold; what goes beyond is paid by the wallet as far as it can and by suspense for the rest, and
whatever was not allowed beforehand has a case. What comes back never passes what was taken, and
goes first to the wallet for what it paid, then to suspense for what that stood in for.

    clearing     the hold covers it        -> captured; the rest is held anew, or released if final
                 above the hold            -> forced, OVER_CAPTURE
                 its time was over         -> forced, LATE_PRESENTMENT
                 nothing was ever allowed  -> forced, NO_AUTHORIZATION (or FORCE_POST)
    return       of a purchase             -> the wallet's part first
                 of nothing we know        -> credited

Who calls: serving.
"""

from msgspec.structs import replace

from wallet.authorisations import telling
from wallet.authorisations.counter import Counter, Moved, purchase_of
from wallet.authorisations.messages import Kind, Message
from wallet.authorisations.records import Cause, Life
from wallet.authorisations.requests import beginning, decline
from wallet.authorisations.states import Standing
from wallet.identifiers import AccountId, TransferId, derived_id
from wallet.ledger.book import Posted, Posting, Reversal, TransferKind
from wallet.ledger.transfer import excess_id
from wallet.money import Money
from wallet.outcomes import Declined, Outcome, Reason


def clear(counter: Counter, message: Message, life: Life) -> Outcome:
    """Take what the shop presents.

    Declines: card_unknown, currency_unsupported (another than was allowed in; or there is no rate).
    """
    begun = _begun(counter, message, life)
    if isinstance(begun, Declined):
        return decline(counter, message, life, begun)
    standing, moved = begun, Moved()
    assert message.money is not None  # noqa: S101 - checked with what it began with
    presented = message.money.minor
    open_s = standing.open_s if standing.holds(counter.now) else 0
    beyond_s = max(0, presented - open_s)
    cleared_s = standing.cleared_s + presented
    charge = standing.pricing.between(standing.cleared_s, cleared_s).charge
    taken = _take(counter, message, life, standing, charge, moved, in_time=open_s > 0)
    if presented:
        counter.exchange(message, standing, standing.cleared_s, cleared_s)
        taken = counter.charge_fee(life, message, taken, moved)
    left_s = 0 if message.final else max(0, open_s - presented)
    taken = replace(taken, cleared_s=cleared_s, open_s=left_s, over=left_s == 0)
    reheld = counter.held_short(life, message, taken)
    total = reheld.pricing.of(cleared_s + left_s).charge
    counted = counter.recount(life, message, reheld, total)
    moved.cardholder = charge
    if beyond_s or moved.short:
        ends = standing.cleared_s + min(open_s, presented)
        moved.beyond = standing.pricing.between(ends, cleared_s).charge
        moved.cause = _cause(message, standing, open_s, moved)
    outcome = counter.answer(life, message, counted, moved, short_minor=moved.short)
    counter.record(life, message, counted, moved, outcome)
    telling.taken(counter, life, message, counted, moved)
    return outcome


def _begun(counter: Counter, message: Message, life: Life) -> Standing | Declined:
    """Where the purchase stands that is presented: as it was left, or never heard of."""
    if life.purchase is None:
        card = counter.card(message)
        if card is None:
            return Declined(reason=Reason.CARD_UNKNOWN)
        life.purchase = purchase_of(message, card, counter.now)
        standing = beginning(counter, message, card)
    elif life.purchase.account_id is None:
        return Declined(reason=Reason.CARD_UNKNOWN)
    else:
        standing = life.standing
        untouched = not (standing.approved or standing.cleared_s)
        if untouched and message.money is not None:
            # Only declined so far: what is presented all the same is reckoned as of now.
            exchanged = message.money.currency is not standing.wallet
            rate = counter.rate if exchanged else None
            standing = replace(standing, settlement=message.money.currency, rate=rate)
    if message.money is None or message.money.currency is not standing.settlement:
        return Declined(reason=Reason.CURRENCY_UNSUPPORTED)
    if standing.settlement is not standing.wallet and standing.rate is None:
        return Declined(reason=Reason.EXCHANGE_UNAVAILABLE)
    return standing


def _take(
    counter: Counter,
    message: Message,
    life: Life,
    standing: Standing,
    charge: int,
    moved: Moved,
    *,
    in_time: bool,
) -> Standing:
    """The wallet's side of what is presented: out of the hold, and by force beyond it."""
    free = replace(standing, held_minor=0, hold_id=None)
    if charge == 0 or not in_time or standing.hold_id is None:
        counter.void(message, standing)
        if charge == 0:
            return free
        answer = counter.book.force(
            _posting(counter, message, life, standing, charge), counter.suspense(standing)
        )
    else:
        transfer, hold = TransferId(message.event_id), TransferId(standing.hold_id)
        answer = counter.book.force_capture(transfer, hold, charge, counter.suspense(standing))
    if isinstance(answer, Declined):
        raise AssertionError(f"what a network took was not posted: {answer.reason.value}")
    moved.transfer_id = message.event_id
    moved.paid, moved.short = answer.amount_minor, answer.shortfall_minor
    return replace(
        free,
        paid_minor=standing.paid_minor + answer.amount_minor,
        short_minor=standing.short_minor + answer.shortfall_minor,
    )


def _posting(
    counter: Counter, message: Message, life: Life, standing: Standing, charge: int
) -> Posting:
    assert life.purchase is not None  # noqa: S101 - made before
    return Posting(
        id=TransferId(message.event_id),
        debit=AccountId(life.purchase.account_id or 0),
        credit=counter.house.target(standing),
        money=Money(charge, standing.wallet),
        kind=TransferKind.CARD_PURCHASE,
        reference=life.purchase.id,
    )


def _cause(message: Message, standing: Standing, open_s: int, moved: Moved) -> Cause:
    if message.kind is Kind.FORCE_POST:
        return Cause.FORCE_POST
    if moved.short and not moved.beyond:
        return Cause.INSUFFICIENT_FUNDS
    if standing.open_s and not open_s:
        return Cause.LATE_PRESENTMENT
    if open_s:
        return Cause.OVER_CAPTURE
    if standing.cleared_s:
        return Cause.OVER_CAPTURE
    return Cause.LATE_PRESENTMENT if standing.allowed_s else Cause.NO_AUTHORIZATION


def give_back(counter: Counter, message: Message, life: Life) -> Outcome:
    """A shop's return, of a purchase we know or of none.

    Declines: card_unknown, currency_unsupported, exchange_unavailable, already_reversed,
    exceeds_original (with what is left).
    """
    linked = message.original is not None and life.purchase is not None
    begun = _begun(counter, message, life)
    if isinstance(begun, Declined):
        return decline(counter, message, life, begun)
    assert message.money is not None  # noqa: S101 - checked with what it began with
    moved, minor = Moved(), message.money.minor
    if not linked or begun.cleared_s == 0:
        standing = _credit(counter, message, life, begun, minor, moved)
    else:
        left = begun.cleared_s - begun.returned_s
        if left == 0:
            return decline(counter, message, life, Declined(reason=Reason.ALREADY_REVERSED), begun)
        if minor > left:
            no = Declined(reason=Reason.EXCEEDS_ORIGINAL, facts={"left_minor": left})
            return decline(counter, message, life, no, begun)
        standing = return_taken(counter, message, life, begun, minor, moved)
    outcome = counter.answer(life, message, standing, moved)
    counter.record(life, message, standing, moved, outcome)
    telling.returned(counter, life, message, standing, moved)
    return outcome


def return_taken(
    counter: Counter, message: Message, life: Life, standing: Standing, minor: int, moved: Moved
) -> Standing:
    """Give back so much of what was taken, at the rate it was taken at."""
    after = standing.returned_s + minor
    due = standing.pricing.between(standing.returned_s, after).charge
    to_wallet = min(due, standing.paid_minor - standing.returned_minor)
    gives = counter.house.target(standing)
    left, short = to_wallet, 0
    for event in list(life.events):
        for original in () if event.transfer_id is None else _taken_by(event.transfer_id):
            row = counter.book.known.get(original)
            if row is None or left == 0 or event.kind in (Kind.RETURN, Kind.REVERSAL):
                continue
            part = min(left, row.amount_minor - counter.book.returned_of(row))
            if part > 0:
                short += _reverse(counter, message, original, Money(part, standing.wallet))
                left -= part
    counter.post(
        message,
        "suspense",
        gives,
        counter.suspense(standing),
        Money(due - to_wallet, standing.wallet),
    )
    counter.exchange(message, standing, after, standing.returned_s)
    moved.paid, moved.short, moved.cardholder = to_wallet - short, short, due
    if short:
        moved.cause = Cause.ACCOUNT_CLOSED
    return replace(standing, returned_s=after, returned_minor=standing.returned_minor + to_wallet)


def _taken_by(transfer_id: object) -> tuple[TransferId, TransferId]:
    """The transfers a clearing may have made from the wallet."""
    first = TransferId(transfer_id)  # type: ignore[arg-type]
    return first, excess_id(first)


def _reverse(counter: Counter, message: Message, original: TransferId, money: Money) -> int:
    """Give back a part of one transfer; answers what a closed wallet left to suspense."""
    answer = counter.book.reverse(
        Reversal(
            id=TransferId(derived_id(message.event_id, f"back:{original}")),
            original_id=original,
            money=money,
            kind=TransferKind.CARD_RETURN,
            reference=message.authorisation_id,
        ),
        counter.suspense_of(money.currency),
    )
    if isinstance(answer, Declined):
        raise AssertionError(f"what was taken could not be given back: {answer.reason.value}")
    return answer.shortfall_minor


def _credit(
    counter: Counter, message: Message, life: Life, standing: Standing, minor: int, moved: Moved
) -> Standing:
    """Money back for no purchase of ours."""
    assert life.purchase is not None  # noqa: S101 - begun before
    pricing = standing.pricing
    due = pricing.credited(minor)
    if due:
        posting = Posting(
            id=TransferId(message.event_id),
            debit=counter.house.target(standing),
            credit=AccountId(life.purchase.account_id or 0),
            money=Money(due, standing.wallet),
            kind=TransferKind.CARD_RETURN,
            reference=life.purchase.id,
        )
        answer = counter.book.force(posting, counter.suspense(standing))
        if isinstance(answer, Posted):
            moved.paid, moved.short = answer.amount_minor, answer.shortfall_minor
        else:
            raise AssertionError(f"a return was not posted: {answer.reason.value}")
    if standing.rate is not None:
        house = counter.house
        money = Money(minor, standing.settlement)
        settled, position = house.settlement[money.currency], house.position[money.currency]
        counter.post(message, "settled", settled, position, money)
    moved.transfer_id, moved.cardholder = message.event_id if due else None, due
    if moved.short:
        moved.cause = Cause.ACCOUNT_CLOSED
    return replace(
        standing,
        approved=True,
        credited_s=standing.credited_s + minor,
        credited_minor=standing.credited_minor + due,
    )
