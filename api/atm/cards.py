"""Virtual cards asked for at an ATM: the bank's host has read the Smart ID and checked its PIN.

Promise: the answer holds last four digits and what leads the holder's app to the card, never its
number or check value; a repeat gets the same answer, picture of the code included. Which machine
asks is named by the signature, and where it stands by our own list, not by the body.
Who calls: the banks' ATM hosts.
"""

import base64
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.atm.machine import CardInReader, OnScreen, SmartIdNumber, answered_at, books, screen_of
from api.resources import Resources
from api.security import AtmCaller
from api.wire import Body
from wallet.access import atm_hosts
from wallet.cards import Issuing, atm, claims, undo
from wallet.cards.atm import AtmCardRequest
from wallet.cards.atm_rows import AtmKey
from wallet.cards.screens import Screen
from wallet.identifiers import CardId, Secret
from wallet.money import Currency
from wallet.outcomes import Outcome
from wallet.work import Work

Rrn = Annotated[str, Meta(pattern="^[0-9A-Za-z]{12}$", examples=["601209000017"])]
Stan = Annotated[str, Meta(pattern="^[0-9]{6}$", examples=["000017"])]


class AskedCard(CardInReader, frozen=True, kw_only=True):
    """A virtual card for whoever's Smart ID is in the machine."""

    rrn: Rrn
    stan: Stan
    local_date: Annotated[date, Meta(description="The terminal's own date.")]
    currency: Literal["KHR", "USD"] = "KHR"
    phone: (
        Annotated[
            str,
            Meta(max_length=16, description="Typed at the machine; must be the one on file."),
        ]
        | None
    ) = None


class NamedRequest(Body, frozen=True, kw_only=True):
    """Which request for a card is meant."""

    rrn: Rrn
    stan: Stan
    local_date: date
    smart_id_number: Annotated[
        SmartIdNumber | None, Meta(description="Needed where other banks' cards are served.")
    ] = None


class TakenBack(NamedRequest, frozen=True, kw_only=True):
    """Which request is taken back, and why."""

    cause: Literal[
        "no_answer_in_time", "printer_failed", "customer_cancelled", "device_failed", "other"
    ]


class ClaimSlip(Struct, frozen=True, kw_only=True):
    """For the slip and the screen. `number_match` is for the screen only."""

    reference: Annotated[str, Meta(examples=["7KQM-2XPD"])]
    qr_text: str
    qr_png: Annotated[str, Meta(description="A `data:` URI.")]
    qr_svg: str
    number_match: Annotated[str, Meta(examples=["42"])]
    expires_at: datetime
    lifetime_s: int


class WaitingCard(Struct, frozen=True, kw_only=True):
    """A card that waits for its holder's app. It cannot pay."""

    card_id: str
    last_four: Annotated[str, Meta(examples=["4242"])]
    expires_on: date
    currency: str
    state: Annotated[str, Meta(examples=["ISSUED_PENDING_CLAIM"])]
    claim: ClaimSlip
    screen: OnScreen


class Printed(Struct, frozen=True, kw_only=True):
    """When we first heard that the slip came out."""

    printed_at: datetime


class Reversed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Always accepted. STAYS: it was claimed already; the case is ours to look into."""

    result: Annotated[str, Meta(examples=["CANCELLED"])]
    case_number: str | None = None


class AskedStatus(Struct, frozen=True, kw_only=True):
    """How a request stands: a card with its state, or why there is none."""

    state: Annotated[str | None, Meta(examples=["ACTIVE"])]
    last_four: str | None
    declined: Annotated[str | None, Meta(examples=[None])]
    screen: Annotated[str | None, Meta(examples=[None])]
    reversal: Annotated[str | None, Meta(examples=[None])]
    printed_at: datetime | None


@post("/cards", status_code=201, summary="Ask for a virtual card at an ATM")
async def ask_card(
    data: AskedCard, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> WaitingCard:
    issuing = resources.issuing

    async def ask(work: Work) -> Outcome:
        place = await atm_hosts.place_of(work, caller.bank, caller.terminal)
        request = AtmCardRequest(
            key=_key(caller, data),
            idempotency_key=idempotency_key,
            terminal_name=place or caller.terminal,
            number=Secret(data.smart_id_number),
            pin_verified=data.pin_verified,
            currency=Currency(data.currency),
            phone=None if data.phone is None else Secret(data.phone),
        )
        return await atm.create_at_atm(work, issuing, request)

    # No stored answer: the request's own row knows its repeats, and what became of them since.
    bank = books(resources, caller, data.smart_id_number)
    outcome = await resources.works.perform(caller.actor, bank, ask)
    return _waiting(issuing, answered_at(outcome))


@post("/cards/reverse", status_code=200, summary="Take a request for a virtual card back")
async def reverse_card(
    data: TakenBack, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> Reversed:
    async def reverse(work: Work) -> Outcome:
        return await undo.reverse(work, _key(caller, data), data.cause)

    bank = books(resources, caller, data.smart_id_number)
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        bank,
        "atm.card.reverse",
        idempotency_key,
        _fingerprint(resources, data),
        reverse,
    )
    return msgspec.convert(answered_at(outcome), Reversed)


@post("/cards/confirm", status_code=200, summary="Say that a card's slip came out of the printer")
async def confirm_card(
    data: NamedRequest, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> Printed:
    async def confirm(work: Work) -> Outcome:
        return await atm.confirm_printed(work, _key(caller, data))

    bank = books(resources, caller, data.smart_id_number)
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        bank,
        "atm.card.confirm",
        idempotency_key,
        _fingerprint(resources, data),
        confirm,
    )
    return msgspec.convert(answered_at(outcome), Printed)


@get("/cards/{request_key:str}", summary="How a request for a virtual card stands")
async def card_status(
    request_key: Annotated[
        str, Parameter(max_length=255, description="The request's Idempotency-Key.")
    ],
    caller: AtmCaller,
    resources: Resources,
) -> AskedStatus:
    found = await resources.works.read(
        caller.actor,
        None,
        lambda work: atm.status(work, caller.bank, caller.terminal, request_key),
    )
    return msgspec.convert(found, AskedStatus)


def _key(caller: AtmCaller, data: AskedCard | NamedRequest) -> AtmKey:
    return AtmKey(
        acquirer=caller.bank,
        terminal=caller.terminal,
        rrn=data.rrn,
        stan=data.stan,
        local_date=data.local_date,
    )


def _fingerprint(resources: Resources, data: NamedRequest) -> bytes:
    """A keyed hash: the plain one of a card number in known words could be found by trying."""
    return resources.vault.blind_index("atm.card", msgspec.json.encode(data).decode())


def _waiting(issuing: Issuing, answer: dict[str, Any]) -> WaitingCard:
    # The slip is made anew from the card's id: it stands in no table, and is always the same.
    card_id = msgspec.convert(answer["card_id"], CardId)
    slip = claims.slip_for(issuing.vault, card_id, issuing.rules.claim_link)
    picture = base64.b64encode(claims.qr_png(slip.qr_text)).decode("ascii")
    return WaitingCard(
        card_id=answer["card_id"],
        last_four=answer["last_four"],
        expires_on=date.fromisoformat(answer["expires_on"]),
        currency=answer["currency"],
        state=answer["state"],
        claim=ClaimSlip(
            reference=slip.reference,
            qr_text=slip.qr_text,
            qr_png=f"data:image/png;base64,{picture}",
            qr_svg=claims.qr_svg(slip.qr_text),
            number_match=slip.match,
            expires_at=datetime.fromisoformat(answer["claim_expires_at"]),
            lifetime_s=answer["claim_lifetime_s"],
        ),
        screen=screen_of(Screen.CLAIM_IN_APP),
    )


HANDLERS: Final[list[Any]] = [ask_card, reverse_card, confirm_card, card_status]
