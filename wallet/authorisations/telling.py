"""What a holder hears of a purchase, the moment it happens.

Promise: every decision that a holder would notice is an event of the same transaction; a card that
is nobody's tells nobody. Who calls: requests, settling, releasing.
"""

from wallet.authorisations.counter import Counter, Moved
from wallet.authorisations.habits import Challenge
from wallet.authorisations.messages import Message
from wallet.authorisations.records import Life, Purchase
from wallet.authorisations.states import Standing
from wallet.events import (
    PurchaseAllowed,
    PurchaseAsked,
    PurchaseDeclined,
    PurchaseReleased,
    PurchaseReturned,
    PurchaseTaken,
)
from wallet.identifiers import HolderId
from wallet.money import Money
from wallet.outcomes import Declined


def allowed(
    counter: Counter, life: Life, message: Message, standing: Standing, moved: Moved, minor: int
) -> None:
    if minor == 0 or not moved.cardholder:
        return
    event = PurchaseTaken if moved.transfer_id is not None else PurchaseAllowed
    _tell(counter, life, standing, minor, moved, event)


def taken(counter: Counter, life: Life, message: Message, standing: Standing, moved: Moved) -> None:
    minor = 0 if message.money is None else message.money.minor
    if minor:
        _tell(counter, life, standing, minor, moved, PurchaseTaken)


def returned(
    counter: Counter, life: Life, message: Message, standing: Standing, moved: Moved
) -> None:
    minor = 0 if message.money is None else message.money.minor
    if minor:
        _tell(counter, life, standing, minor, moved, PurchaseReturned)


def _tell(
    counter: Counter,
    life: Life,
    standing: Standing,
    minor: int,
    moved: Moved,
    event: type[PurchaseAllowed] | type[PurchaseTaken] | type[PurchaseReturned],
) -> None:
    purchase, holder_id = _known(life)
    if purchase is not None and holder_id is not None:
        counter.tell(
            event(
                holder_id=holder_id,
                authorisation_id=str(purchase.id),
                last_four=purchase.last_four or "",
                merchant=purchase.merchant.name,
                money=Money(minor, standing.settlement),
                charged=Money(moved.cardholder + moved.fee, standing.wallet),
            )
        )


def released(
    counter: Counter,
    life: Life,
    message: Message,
    standing: Standing,
    moved: Moved,
    cause: str,
) -> None:
    purchase, holder_id = _known(life)
    if purchase is None or holder_id is None:
        return
    charged = Money(moved.cardholder, standing.wallet)
    counter.tell(
        PurchaseReleased(
            holder_id=holder_id,
            authorisation_id=str(purchase.id),
            last_four=purchase.last_four or "",
            merchant=purchase.merchant.name,
            money=charged,
            charged=charged,
            cause=cause,
        )
    )


def declined(counter: Counter, life: Life, message: Message, no: Declined) -> None:
    purchase, holder_id = _known(life)
    if purchase is None or holder_id is None or message.money is None:
        return
    counter.tell(
        PurchaseDeclined(
            holder_id=holder_id,
            authorisation_id=str(purchase.id),
            last_four=purchase.last_four or "",
            merchant=purchase.merchant.name,
            money=message.money,
            charged=Money(0, message.money.currency),
            reason=no.reason.value,
        )
    )


def asked(counter: Counter, life: Life, question: Challenge, charged: Money) -> None:
    counter.tell(
        PurchaseAsked(
            holder_id=question.holder_id,
            authorisation_id=str(life.purchase.id if life.purchase else ""),
            last_four=question.last_four,
            merchant=question.merchant_name,
            money=question.money,
            charged=charged,
            challenge_id=str(question.id),
            ends_at=question.ends_at,
        )
    )


def _known(life: Life) -> tuple[Purchase | None, HolderId | None]:
    purchase = life.purchase
    return purchase, None if purchase is None else purchase.holder_id
