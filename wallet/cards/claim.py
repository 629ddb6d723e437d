"""card.claim: a card asked for at an ATM becomes its holder's.

Promise: only the Smart ID's owner claims, with the reference of the slip, the two digits of the
ATM's screen and a one-time password, before the exact moment the claim ends. Wrong digits count;
too many end the card. A card reversed or lapsed first stays so: its row's lock decides the race.

Owns no table. Who calls: intents (through `kind`); the mobile door (`look_up`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards import changing, claims, rows, wording
from wallet.cards.changing import Change
from wallet.cards.create import actor_of
from wallet.cards.fees import Due, Fees, Prices, open_fees, prices
from wallet.cards.rows import Standing
from wallet.cards.rules import Issuing
from wallet.cards.states import Card, CardState, Substatus, decide, decide_smart_id
from wallet.fees import decide_signed, facts_of
from wallet.identifiers import CardId, HolderId
from wallet.money import Money
from wallet.outcomes import Declined, Done, GroupAnswer, Reason, Refused
from wallet.work import Work


class ClaimCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reference` as typed or scanned; `number_match`: the two digits on the ATM's screen."""

    reference: Annotated[str, Meta(min_length=8, max_length=200)]
    number_match: Annotated[str, Meta(pattern="^[0-9]{2}$")]


class _Plan(Struct, frozen=True, kw_only=True):
    card_id: CardId
    number_match: str


def kind(issuing: Issuing) -> IntentKind:
    return IntentKind(
        name="card.claim",
        fields=ClaimCard,
        prepare=partial(_prepare, issuing),
        authorise=partial(_authorise, issuing),
    )


async def look_up(
    work: Work, issuing: Issuing, holder_id: HolderId, reference: str
) -> dict[str, Any]:
    """What the app shows before a claim: which ATM, when, how long there is.

    Refuses: NOT_FOUND (unknown, or somebody else's: the same answer).
    """
    card = (await _find(work, issuing, [(holder_id, reference)]))[0]
    if card is None:
        raise Refused(Reason.NOT_FOUND)
    return {
        "card": card.view(work.now),
        "terminal_name": card.terminal_name,
        "asked_at": card.made_at.isoformat(),
        "asked_at_local": wording.when(card.made_at),
        "claimable": card.standing(work.now) is CardState.ISSUED_PENDING_CLAIM,
        "time_left_s": claims.time_left_s(card.claim_expires_at, work.now)
        if card.claim_expires_at
        else 0,
    }


async def _prepare(
    issuing: Issuing, work: Work, asked: Sequence[Asked]
) -> Sequence[Prepared | Refused]:
    """Name the ATM, the time and the fee. The two digits are not looked at here, where trying
    costs nothing.

    Refuses: NOT_FOUND, CARD_CLAIM_EXPIRED, CARD_REVERSED, CARD_NOT_ACTIVE (claimed already),
    SMART_ID_NOT_ACTIVE, SMART_ID_FROZEN.
    """
    found = await _find(work, issuing, [(one.holder_id, one.fields.reference) for one in asked])
    live = await rows.live_cards(work, [card.smart_id_id for card in found if card])
    priced = await prices(work, [one.holder_id for one in asked])
    answers: list[Prepared | Refused] = []
    for one, card in zip(asked, found, strict=True):
        reason = Reason.NOT_FOUND if card is None else decide_claim(card, work)
        if card is None or reason is not None:
            answers.append(Refused(reason or Reason.NOT_FOUND))
            continue
        fee = _fee(priced, card, live.get(card.smart_id_id, 1))
        sentence = wording.claim(card, fee)
        plan = _Plan(card_id=card.id, number_match=one.fields.number_match)
        answers.append(
            Prepared(
                text_en=sentence.en,
                text_km=sentence.km,
                plan=msgspec.to_builtins(plan),
                money=fee,
                facts={
                    "terminal_name": card.terminal_name or "",
                    "last_four": card.last_four,
                    **facts_of(fee),
                },
            )
        )
    return answers


async def _authorise(
    issuing: Issuing, work: Work, consumed: Sequence[Consumed]
) -> Sequence[GroupAnswer]:
    """Make the cards their holders'.

    Declines: CARD_CLAIM_MISMATCH (with tries left), CARD_CLAIM_EXPIRED, CARD_REVERSED,
    CARD_NOT_ACTIVE, SMART_ID_NOT_ACTIVE, SMART_ID_FROZEN, CONFLICT (fee), INSUFFICIENT_FUNDS.
    """
    plans = [msgspec.convert(one.plan, _Plan) for one in consumed]
    ids = [plan.card_id for plan in plans]
    known = await rows.by_ids(work, ids)
    held = await rows.locked_smart_ids(work, [card.smart_id_id for card in known.values()])
    cards = await rows.locked(work, ids)
    dues = {
        place: Due(consumed=one, account_id=cards[plan.card_id].account_id)
        for place, (one, plan) in enumerate(zip(consumed, plans, strict=True))
        if plan.card_id in cards
    }
    priced = await prices(work, [one.holder_id for one in consumed])
    fees = await open_fees(work, list(dues.values()))
    group = _Group(issuing, work, cards, held, fees, priced)
    answers: list[GroupAnswer] = []
    for place, plan in enumerate(plans):
        due = dues.get(place)
        answers.append(group.claim(plan, due) if due else Refused(Reason.NOT_FOUND))
    changing.change(work, list(group.changes.values()))
    await group.fees.write()
    return answers


class _Group:
    """Decides the members in turn, each seeing those before it."""

    def __init__(
        self,
        issuing: Issuing,
        work: Work,
        cards: dict[CardId, Card],
        held: dict[Any, Standing],
        fees: Fees,
        priced: Prices,
    ) -> None:
        self.issuing = issuing
        self.work = work
        self.cards = cards
        self.held = held
        self.fees = fees
        self.priced = priced
        self.changes: dict[CardId, Change] = {}

    def claim(self, plan: _Plan, due: Due) -> GroupAnswer:
        card = self.cards[plan.card_id]
        if card.holder_id != due.consumed.holder_id:
            return Refused(Reason.NOT_FOUND)
        reason = decide_claim(card, self.work)
        if reason is Reason.CARD_CLAIM_EXPIRED and card.state is CardState.ISSUED_PENDING_CLAIM:
            lapsed = decide(card, CardState.EXPIRED, Substatus.UNDELIVERABLE)
            self._step("card.claim_expiry", "claim_expired", card, lapsed, due)
        if reason is not None:
            return Declined(reason=reason)
        if not claims.matches(self.issuing.vault, card.id, plan.number_match):
            return self._mismatch(card, due)
        live = self.held[card.smart_id_id].live_cards
        no = decide_signed(due.consumed.money, _fee(self.priced, card, live))
        no = no or self.fees.charge(due)
        if no is not None:
            return no
        active = decide(card, CardState.ACTIVE, None)
        self._step("card.claim", "claimed", card, active, due)
        return Done(answer={"card": active.view(self.work.now)})

    def _mismatch(self, card: Card, due: Due) -> Declined:
        left = self.issuing.rules.claim_tries - card.claim_failures - 1
        counted = replace(card, claim_failures=card.claim_failures + 1)
        if left <= 0:
            counted = decide(counted, CardState.EXPIRED, Substatus.SUSPICIOUS_ACTIVITY)
        self._step("card.claim_mismatch", "wrong_digits", card, counted, due)
        return Declined(reason=Reason.CARD_CLAIM_MISMATCH, facts={"tries_left": max(left, 0)})

    def _step(self, act: str, cause: str, before: Card, after: Card, due: Due) -> None:
        # Two steps of one card in one group are written as one: from what is stored to the last.
        stored = self.changes[before.id].before if before.id in self.changes else before
        self.changes[before.id] = Change(
            act=act, cause=cause, before=stored, after=after, actor=actor_of(due.consumed)
        )
        self.cards[before.id] = after


async def _find(
    work: Work, issuing: Issuing, wanted: Sequence[tuple[HolderId, str]]
) -> list[Card | None]:
    """Each holder's card of that reference; None for unknown and for somebody else's alike."""
    indexes = [claims.index_of(issuing.vault, reference) for _, reference in wanted]
    cards = await rows.by_claim_indexes(work, [index for index in indexes if index])
    found: list[Card | None] = []
    for (holder_id, reference), index in zip(wanted, indexes, strict=True):
        card = cards.get(index) if index else None
        own = card is not None and card.holder_id == holder_id
        right = card is not None and claims.belongs(issuing.vault, card.id, reference)
        found.append(card if own and right else None)
    return found


def _fee(priced: Prices, card: Card, live_with_itself: int) -> Money | None:
    return priced.next_card(card.holder_id, card.currency, live_with_itself - 1)


def decide_claim(card: Card, work: Work) -> Reason | None:
    """Why this card cannot be claimed now; None when it can."""
    standing = card.standing(work.now)
    if standing is CardState.EXPIRED:
        return Reason.CARD_CLAIM_EXPIRED
    if standing is CardState.REVERSED:
        return Reason.CARD_REVERSED
    if standing is not CardState.ISSUED_PENDING_CLAIM:
        return Reason.CARD_NOT_ACTIVE
    return decide_smart_id(card.identity_state, card.payment_state)
