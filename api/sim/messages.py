"""What the imagined network says: one address a verb, one body for all of them.

Promise: each verb becomes one message of the authorisations' own; whatever was decided is answered
with 200, as a network is answered, and the same message gets the same bytes. Numbers and check
values are never kept or shown. Who calls: demonstrations, simulators, tests.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from litestar import post
from msgspec import Meta, Struct

from api.problems import FieldsRefused
from api.resources import Resources
from api.sentences import SENTENCES
from api.wire import Body
from wallet import simulation
from wallet.authorisations.messages import REQUESTS, Kind, Merchant, Message
from wallet.authorisations.serving import Desk
from wallet.cards.purchasing import Presented, number_index
from wallet.clock import Ahead
from wallet.identifiers import BankId, CardId, Secret, luhn_valid, new_id
from wallet.limits import Channel
from wallet.money import LARGEST_MINOR, Currency, Money
from wallet.outcomes import Declined, Facts, Outcome, Reason, Refused

LATE: Final = timedelta(hours=1)
"""How far behind a late answer is: past any deadline."""

ANSWER_WITHIN: Final = timedelta(seconds=5)


class SimMerchant(Body, frozen=True, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=40, examples=["KH000000000CAFE"])]
    name: Annotated[str, Meta(min_length=1, max_length=80, examples=["Kafé Ânkor"])]
    mcc: Annotated[str, Meta(pattern="^[0-9]{4}$", examples=["5814"])] = "5999"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["KH"])] = "KH"


class SimCard(Body, frozen=True, kw_only=True):
    """By its id, or as it is keyed in at a shop: the number and MM/YY, with or without the check
    value. Never printed."""

    id: CardId | None = None
    number: Annotated[str, Meta(min_length=12, max_length=19)] | None = None
    expiry: Annotated[str, Meta(pattern="^[0-9]{2}/[0-9]{2}$")] = "01/30"
    cvv: Annotated[str, Meta(pattern="^[0-9]{3,4}$")] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class SimMessage(Body, frozen=True, kw_only=True):
    """One message. `key`: the network's own, the same for a repeat; none: a new one. `original`:
    the key of the message that began the purchase."""

    bank: Annotated[str, Meta(min_length=1, max_length=20, examples=["ACLEDA"])]
    key: Annotated[str, Meta(min_length=1, max_length=150, examples=["T1|000001"])] | None = None
    original: Annotated[str, Meta(min_length=1, max_length=150)] | None = None
    card: SimCard | None = None
    amount_minor: Annotated[int, Meta(ge=0, le=LARGEST_MINOR, examples=[20_000])] | None = None
    currency: Annotated[Literal["KHR", "USD"], Meta(examples=["KHR"])] = "KHR"
    merchant: SimMerchant | None = None
    channel: Channel = Channel.ONLINE
    recurring: bool = False
    partial_ok: bool = False
    final: bool = True
    stand_in: bool = False
    unanswered: Annotated[
        bool, Meta(description="Of a full reversal: the network had no answer to the request.")
    ] = False
    hold_days: Annotated[int, Meta(ge=1, le=31)] | None = None
    local_minor: Annotated[int, Meta(ge=0, le=LARGEST_MINOR)] | None = None
    local_currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None


class SimAnswer(Struct, frozen=True, kw_only=True):
    """What the network hears."""

    key: str
    approved: bool
    reason: str | None
    facts: Facts
    sentence_en: str | None
    sentence_km: str | None
    answer: dict[str, Any] | None


_NEEDS_CARD: Final = REQUESTS - {Kind.INCREMENT}
_NEEDS_MONEY: Final = frozenset(Kind) - {Kind.REVERSAL, Kind.EXPIRY, Kind.BALANCE_INQUIRY}
_NEEDS_ORIGINAL: Final = frozenset(
    {Kind.INCREMENT, Kind.REVERSAL, Kind.EXPIRY, Kind.RETURN_REVERSAL}
)

_NAMELESS: Final = _NEEDS_ORIGINAL | {Kind.BALANCE_INQUIRY}


def message_of(kind: Kind, data: SimMessage, resources: Resources) -> Message:
    """Refuses: INVALID_REQUEST with the fields that are missing or wrong."""
    wrong = _wrong(kind, data)
    if wrong:
        raise FieldsRefused(wrong)
    index, presented, card_id = None, None, None
    if data.card is not None and data.card.number is not None:
        number = Secret(data.card.number)
        index = number_index(resources.vault, number)
        cvv = None if data.card.cvv is None else Secret(data.card.cvv)
        presented = Presented(number=number, expiry=data.card.expiry, cvv=cvv)
    elif data.card is not None:
        card_id = data.card.id
    merchant = data.merchant
    local = (data.local_minor, data.local_currency)
    return Message(
        kind=kind,
        bank=BankId(data.bank),
        key=data.key or f"sim|{new_id()}",
        original=data.original,
        card_id=card_id,
        number_index=index,
        presented=presented,
        money=None
        if data.amount_minor is None
        else Money(data.amount_minor, Currency(data.currency)),
        local=None if local[0] is None or local[1] is None else (local[0], local[1]),
        merchant=None
        if merchant is None
        else Merchant(
            id=merchant.id, name=merchant.name, mcc=merchant.mcc, country=merchant.country
        ),
        channel=data.channel,
        recurring=data.recurring,
        deadline=resources.clock.now() + ANSWER_WITHIN if kind in REQUESTS else None,
        partial_ok=data.partial_ok,
        final=data.final,
        stand_in=data.stand_in,
        unanswered=data.unanswered,
        lasts=None if data.hold_days is None else timedelta(days=data.hold_days),
    )


def _wrong(kind: Kind, data: SimMessage) -> dict[str, str]:
    wrong: dict[str, str] = {}
    begins = data.original is None
    if (kind in _NEEDS_CARD or begins) and data.card is None and kind not in _NEEDS_ORIGINAL:
        wrong["card"] = "required"
    if data.card is not None and (data.card.id is None) == (data.card.number is None):
        wrong["card"] = "either its id or its number"
    number = None if data.card is None else data.card.number
    if number is not None and not luhn_valid(number):
        wrong["card.number"] = "not a card number"
    if kind in _NEEDS_MONEY and data.amount_minor is None:
        wrong["amount_minor"] = "required"
    if begins and kind not in _NAMELESS and data.merchant is None:
        wrong["merchant"] = "required"
    if kind in _NEEDS_ORIGINAL and begins:
        wrong["original"] = "required"
    if data.unanswered and (kind is not Kind.REVERSAL or data.amount_minor is not None):
        wrong["unanswered"] = "of a full reversal alone"
    return wrong


ONE_OF_EACH: Final = simulation.Faults(duplicate=1, late=1, lost_answer=1)


async def _said(kind: Kind, data: SimMessage, resources: Resources) -> SimAnswer:
    message = message_of(kind, data, resources)
    met = await simulation.meet(resources.works, ONE_OF_EACH)
    clock = Ahead(resources.clock, LATE) if met.late else resources.clock
    desk = Desk(resources.teller, clock, resources.network)
    outcome = await desk.ask(message)
    if met.duplicate:
        outcome = await desk.ask(message)
    if met.lost_answer:
        raise Refused(Reason.OUTCOME_UNKNOWN)
    return _answer(message, outcome)


def _answer(message: Message, outcome: Outcome) -> SimAnswer:
    if isinstance(outcome, Declined):
        en, km = SENTENCES[outcome.reason]
        return SimAnswer(
            key=message.key,
            approved=False,
            reason=outcome.reason.value,
            facts=outcome.facts,
            sentence_en=en,
            sentence_km=km,
            answer=None,
        )
    return SimAnswer(
        key=message.key,
        approved=True,
        reason=None,
        facts={},
        sentence_en=None,
        sentence_km=None,
        answer=outcome.answer,
    )


def _verb(path: str, kind: Kind, summary: str) -> Any:
    async def said(data: SimMessage, resources: Resources) -> SimAnswer:
        return await _said(kind, data, resources)

    said.__name__ = f"sim_{kind.value.lower()}"
    made: Callable[[Any], Any] = post(path, status_code=200, summary=summary)
    return made(said)


HANDLERS: Final[list[Any]] = [
    _verb("/authorise", Kind.AUTHORIZATION, "Ask whether a purchase is allowed; hold it"),
    _verb("/financial", Kind.FINANCIAL, "Ask and take in one message"),
    _verb("/increment", Kind.INCREMENT, "Ask for more of an open purchase"),
    _verb("/advise", Kind.ADVICE, "Tell the new total, or what a stand-in approved"),
    _verb("/inquire", Kind.BALANCE_INQUIRY, "Ask for the balance behind a card"),
    _verb("/reverse", Kind.REVERSAL, "Take a purchase back, whole or in part"),
    _verb("/expire", Kind.EXPIRY, "Tell that a purchase has run out"),
    _verb("/clear", Kind.CLEARING, "Take what was bought"),
    _verb("/force", Kind.FORCE_POST, "Take without asking"),
    _verb("/return", Kind.RETURN, "Give money back"),
    _verb("/return-reversal", Kind.RETURN_REVERSAL, "Take a return back"),
]
