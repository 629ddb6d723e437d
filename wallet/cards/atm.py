"""Virtual cards asked for at an ATM: asked, answered, reversed, lapsed.

Promise: one ATM request makes at most one card however often it is sent, reversed or raced: its
row (acquirer, terminal, RRN, STAN, local date) is the lock and outlives every cache. The answer
holds last four digits and a claim reference, never number or check value. A reversal that comes
first leaves a tombstone; one that comes after the claim is accepted, the card stays and a case is
opened. What the screen says is uniform; the audit says why.

    (none)     --created--> answered with a card       the same answer on every repeat
               --declined-> answered with the reason   the same answer on every repeat
               --reversed-> tombstone                  a late request is declined: card_reversed
    with card  --reversed, not claimed--> CANCELLED    the card becomes REVERSED
               --reversed, claimed------> STAYS        accepted; the card lives; a case is opened

Owns no table (atm_rows, rows do). Who calls: the ATM door.
"""

from datetime import date, timedelta
from typing import Any, Final

from msgspec import Struct

from wallet.access import devices
from wallet.cards import adding, atm_rows, changing, claims, rows
from wallet.cards.adding import NewCard
from wallet.cards.atm_rows import AtmKey, Reversal, Row
from wallet.cards.changing import Change
from wallet.cards.create import decide_create
from wallet.cards.numbers import expiry_for
from wallet.cards.presented import InReader, NotServedError, declined, presented
from wallet.cards.rows import Standing
from wallet.cards.rules import Issuing
from wallet.cards.screens import Screen
from wallet.cards.states import Card, CardKind, CardState, Channel, Substatus, decide
from wallet.cards.undo import JOB, lapsed
from wallet.clock import day_of
from wallet.events import CardWaiting
from wallet.identifiers import BankId, CardId, Secret, new_id
from wallet.ledger.chart import wallets_of
from wallet.money import Currency
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.registry import holders
from wallet.registry.states import SmartId
from wallet.vault import Vault
from wallet.work import Work

CLOCK_DAYS: Final = 1
"""How far a terminal's local date may stand from ours."""


class AtmCardRequest(Struct, frozen=True, kw_only=True):
    """A bank's ATM host asks, under its signature, for the holder in front of its machine.

    `pin_verified`: the host's word that the card's PIN was right. `phone`: what was typed at the
    machine, if anything was; it must be the one on file, and nothing is ever sent to it.
    """

    key: AtmKey
    idempotency_key: str
    terminal_name: str
    number: Secret[str]
    pin_verified: bool
    currency: Currency
    phone: Secret[str] | None = None

    def asked(self, vault: Vault) -> bytes:
        """A keyed hash of what was asked, to tell a repeat from another request."""
        typed = self.phone.reveal() if self.phone else ""
        text = f"{self.number.reveal()}|{self.currency.value}|{self.pin_verified}|{typed}"
        return vault.blind_index("virtual_card.atm_request", text)


async def create_at_atm(work: Work, issuing: Issuing, request: AtmCardRequest) -> Outcome:
    """A card that waits ten minutes for its holder, or the reason for none.

    The request's own row is what makes a repeat a repeat, and no stored answer: after a reversal
    the same request, under the same key too, is answered that the card is gone.
    Refuses: INVALID_REQUEST (local date), IDEMPOTENCY_KEY_REUSED (the same terminal reference, or
    the same key, for another request). Declines: ATM_DECLINED (uniform; facts.screen),
    PHONE_NOT_PAIRED, CARD_REVERSED (a reversal was here first).
    """
    if abs(request.key.local_date - day_of(work.now)) > timedelta(days=CLOCK_DAYS):
        raise Refused(Reason.INVALID_REQUEST, field="local_date")
    asked = request.asked(issuing.vault)
    row = await atm_rows.begin(work, request.key, request.idempotency_key, asked)
    if row is not None:
        return await _answer_again(work, issuing, request, asked, row)
    try:
        smart_id = await _may_ask(work, issuing, request)
        card = await _make(work, issuing, request, smart_id)
    except NotServedError as no:
        return await _decline(work, request, no)
    await atm_rows.made(work, request.key, smart_id.id, card.id)
    return _answer(issuing, card)


async def _answer_again(
    work: Work, issuing: Issuing, request: AtmCardRequest, asked: bytes, row: Row
) -> Outcome:
    if row.asked is not None and row.asked != asked:
        raise Refused(Reason.IDEMPOTENCY_KEY_REUSED)
    if row.asked is None:
        await atm_rows.came_late(work, request.key, request.idempotency_key, asked)
    if row.card_id is None or row.reversal is Reversal.CANCELLED:
        reason = row.declined or Reason.CARD_REVERSED
        return Declined(reason=reason, facts={"screen": row.screen or Screen.NOT_POSSIBLE})
    card = await rows.by_id(work, row.card_id)
    assert card is not None  # noqa: S101 - a foreign key says so
    return _answer(issuing, card)


def _answer(issuing: Issuing, card: Card) -> Done:
    """Of the card as it was made, so that a repeat reads the same; `status` tells the rest."""
    assert card.claim_expires_at is not None  # noqa: S101 - a constraint says so
    return Done(
        answer={
            "card_id": str(card.id),
            "last_four": card.last_four,
            "expires_on": card.expires_on.isoformat(),
            "currency": card.currency.value,
            "state": CardState.ISSUED_PENDING_CLAIM.value,
            "claim_expires_at": card.claim_expires_at.isoformat(),
            "claim_lifetime_s": int(issuing.rules.claim_lifetime.total_seconds()),
        }
    )


# deciding


async def _may_ask(work: Work, issuing: Issuing, request: AtmCardRequest) -> SmartId:
    in_reader = InReader(number=request.number, pin_verified=request.pin_verified)
    smart_id = await presented(work, issuing.vault, in_reader)
    if request.phone is not None:
        owners = await holders.by_phone(work, issuing.vault, request.phone.reveal())
        if smart_id.holder_id not in {owner.id for owner in owners}:
            raise NotServedError("another phone typed", smart_id)
    return smart_id


async def _make(work: Work, issuing: Issuing, request: AtmCardRequest, smart_id: SmartId) -> Card:
    standing = (await rows.locked_smart_ids(work, [smart_id.id]))[smart_id.id]
    waiting = await rows.waiting(work, smart_id.id)
    expires_on = await _decide(work, issuing, smart_id, standing, waiting)
    wallets = await wallets_of(work, [smart_id.holder_id], request.currency)
    if smart_id.holder_id not in wallets:
        raise NotServedError("no wallet in the currency", smart_id)
    _supersede(work, waiting)
    card_id = CardId(new_id())
    new = NewCard(
        id=card_id,
        holder_id=smart_id.holder_id,
        smart_id_id=smart_id.id,
        kind=CardKind.OPEN,
        currency=request.currency,
        account_id=wallets[smart_id.holder_id],
        label="",
        expires_on=expires_on,
        channel=Channel.ATM,
        claim_index=claims.claim_index(issuing.vault, card_id),
        claim_expires_at=work.now + issuing.rules.claim_lifetime,
        terminal_name=request.terminal_name,
    )
    card = (await adding.add(work, issuing, [new], "atm", [work.actor]))[card_id]
    _announce(work, card)
    return card


async def _decide(
    work: Work, issuing: Issuing, smart_id: SmartId, standing: Standing, waiting: list[Card]
) -> date:
    """The new card's expiry. A card still waiting makes room: it will be superseded."""
    rules = issuing.rules
    making_room = sum(card.live(work.now) for card in waiting)
    no = decide_create(rules, standing, standing.live_cards - making_room)
    if no is not None:
        raise NotServedError(no.reason.value, smart_id)
    since = work.now - timedelta(days=1)
    if await atm_rows.asked_since(work, smart_id.id, since) >= rules.atm_requests_per_day:
        raise NotServedError("too many requests a day", smart_id)
    if not await devices.active_of(work, [smart_id.holder_id]):
        raise NotServedError("no paired phone", smart_id, Screen.PAIR_A_PHONE)
    today = day_of(work.now)
    expires_on = expiry_for(today, rules.years_valid, standing.expires_on or today)
    if expires_on is None:
        raise NotServedError("Smart ID about to expire", smart_id)
    return expires_on


def _supersede(work: Work, waiting: list[Card]) -> None:
    """Whoever asks again has left the earlier machine: its card must not wait for a finder."""
    changes = []
    for card in waiting:
        if card.claim_over(work.now):
            changes.append(lapsed(card))
        else:
            after = decide(card, CardState.REVERSED, Substatus.OTHER)
            changes.append(
                Change(act="card.supersede", cause="superseded", before=card, after=after)
            )
    changing.change(work, changes)


def _announce(work: Work, card: Card) -> None:
    assert card.claim_expires_at is not None  # noqa: S101 - a constraint says so
    work.emit(
        CardWaiting(
            holder_id=card.holder_id,
            card_id=str(card.id),
            last_four=card.last_four,
            terminal=card.terminal_name or "",
            claim_expires_at=card.claim_expires_at,
        )
    )
    payload = {"card_id": str(card.id), "bank": card.bank}
    work.later(JOB, payload, at=card.claim_expires_at, dedupe=f"{JOB}:{card.id}")


async def _decline(work: Work, request: AtmCardRequest, no: NotServedError) -> Declined:
    smart_id_id = no.smart_id.id if no.smart_id else None
    await atm_rows.declined(work, request.key, smart_id_id, no.reason, no.screen)
    return declined(work, "card.atm_declined", no, request.key.terminal, request.key.rrn)


# what the machine says and asks afterwards


async def confirm_printed(work: Work, key: AtmKey) -> Outcome:
    """The slip came out: evidence, noted once. It changes no card, not even one that was taken
    back: then the audit says that both were told us.

    Refuses: NOT_FOUND (no card was made under this reference, or its books are another bank's).
    """
    row = await atm_rows.found(work, key)
    if row is None or row.card_id is None:
        raise Refused(Reason.NOT_FOUND)
    printed_at = row.printed_at
    if printed_at is None:
        printed_at = work.now
        await atm_rows.printed(work, key)
        card = await rows.by_id(work, row.card_id)
        work.note(
            "card.atm_printed",
            str(row.card_id),
            holder_id=card.holder_id if card else None,
            reason=f"after its reversal: {row.reversal.value}" if row.reversal else None,
        )
    return Done(answer={"printed_at": printed_at.isoformat()})


async def status(
    work: Work, acquirer: BankId, terminal: str, idempotency_key: str
) -> dict[str, Any]:
    """How a request stands now, for the terminal's host that sent it. In a Work of no one bank,
    so that it is found whichever issuer's books it stands in.

    Refuses: NOT_FOUND.
    """
    row = await atm_rows.by_idempotency_key(work, acquirer, terminal, idempotency_key)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    card = await rows.by_id(work, row.card_id) if row.card_id else None
    return {
        "state": card.standing(work.now).value if card else None,
        "last_four": card.last_four if card else None,
        "declined": row.declined.value if row.declined else None,
        "screen": row.screen.value if row.screen else None,
        "reversal": row.reversal.value if row.reversal else None,
        "printed_at": row.printed_at.isoformat() if row.printed_at else None,
    }
