"""card.replace: a new number for a card, everything else as it was.

Promise: the new card has the old one's kind, limits, shop and funding, and hangs on the same chain
(`lineage`), so that what is counted and agreed per chain goes on; the two are linked both ways. The
old number stops in the same transaction, but for merchants that charge it by a standing agreement
(purchasing.Tray.paying). It takes the old one's place among the holder's cards: no fee, no quota.
Always with a one-time password.

Owns no table. Who calls: intents (through `kind`).
"""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards import adding, changing, rows, wording
from wallet.cards.adding import NewCard
from wallet.cards.changing import Change
from wallet.cards.create import actor_of
from wallet.cards.numbers import expiry_for
from wallet.cards.rows import Standing
from wallet.cards.rules import Issuing
from wallet.cards.states import (
    Card,
    CardState,
    Channel,
    Freezer,
    Substatus,
    decide,
    decide_goes_on,
)
from wallet.clock import day_of
from wallet.identifiers import CardId, new_id
from wallet.outcomes import Declined, Done, GroupAnswer, Reason, Refused
from wallet.registry import smart_ids
from wallet.work import Work

ACT: Final = "card.replace"


class ReplaceCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reason` becomes the old card's substatus, in Lithic's names."""

    card_id: CardId
    reason: Literal["END_USER_REQUEST", "LOST", "COMPROMISED", "EXPIRED", "OTHER"] = (
        "END_USER_REQUEST"
    )


class _Plan(Struct, frozen=True, kw_only=True):
    card_id: CardId
    new_id: CardId
    substatus: Substatus
    expires_on: date


def kind(issuing: Issuing) -> IntentKind:
    return IntentKind(
        name=ACT,
        fields=ReplaceCard,
        prepare=partial(_prepare, issuing),
        authorise=partial(_authorise, issuing),
    )


async def _prepare(
    issuing: Issuing, work: Work, asked: Sequence[Asked]
) -> Sequence[Prepared | Refused]:
    """Refuses: NOT_FOUND, CARD_NOT_ACTIVE (not claimed, or over), FORBIDDEN (the bank froze it),
    SMART_ID_FROZEN, SMART_ID_NOT_ACTIVE (also: no whole month is left of it)."""
    cards = await rows.by_ids(work, [one.fields.card_id for one in asked])
    held = await smart_ids.of_holders(work, [one.holder_id for one in asked])
    answers: list[Prepared | Refused] = []
    for one in asked:
        card, smart_id = cards.get(one.fields.card_id), held.get(one.holder_id)
        if card is None or smart_id is None or card.holder_id != one.holder_id:
            answers.append(Refused(Reason.NOT_FOUND))
            continue
        no = decide_replace(card, work)
        today = day_of(work.now)
        expires_on = expiry_for(today, issuing.rules.years_valid, smart_id.expires_on or today)
        if no is not None or expires_on is None:
            answers.append(Refused(no or Reason.SMART_ID_NOT_ACTIVE))
            continue
        sentence = wording.renew(card, expires_on)
        plan = _Plan(
            card_id=card.id,
            new_id=CardId(new_id()),
            substatus=Substatus(one.fields.reason),
            expires_on=expires_on,
        )
        answers.append(
            Prepared(
                text_en=sentence.en,
                text_km=sentence.km,
                plan=msgspec.to_builtins(plan),
                facts={"last_four": card.last_four, "expires_on": expires_on.isoformat()},
            )
        )
    return answers


async def _authorise(
    issuing: Issuing, work: Work, consumed: Sequence[Consumed]
) -> Sequence[GroupAnswer]:
    """Declines: CARD_NOT_ACTIVE (a second replacement of one card too), FORBIDDEN,
    SMART_ID_FROZEN, SMART_ID_NOT_ACTIVE."""
    plans = [msgspec.convert(one.plan, _Plan) for one in consumed]
    known = await rows.by_ids(work, [plan.card_id for plan in plans])
    standing = await rows.locked_smart_ids(work, [card.smart_id_id for card in known.values()])
    cards = await rows.locked(work, [plan.card_id for plan in plans])
    answers: list[GroupAnswer | None] = []
    new: list[NewCard] = []
    steps: list[Change] = []
    for one, plan in zip(consumed, plans, strict=True):
        card = cards.get(plan.card_id)
        if card is None or card.holder_id != one.holder_id:
            answers.append(Refused(Reason.NOT_FOUND))
            continue
        no = decide_replace(card, work, standing.get(card.smart_id_id))
        if no is not None:
            answers.append(Declined(reason=no))
            continue
        answers.append(None)
        new.append(renewed(card, plan.new_id, plan.expires_on))
        closed = decide(card, CardState.CLOSED, plan.substatus)
        after = replace(closed, frozen_by=frozenset(), replaced_by=plan.new_id)
        steps.append(
            Change(act=ACT, cause="replaced", before=card, after=after, actor=actor_of(one))
        )
        cards[card.id] = after
    actors = [step.actor or work.actor for step in steps]
    made = await adding.add(work, issuing, new, "replacement", actors)
    changing.change(work, steps)
    return [
        answer or Done(answer=_answer(made[plan.new_id], cards[plan.card_id], work))
        for answer, plan in zip(answers, plans, strict=True)
    ]


def _answer(card: Card, old: Card, work: Work) -> dict[str, Any]:
    return {"card": card.view(work.now), "replaced": old.view(work.now)}


def renewed(card: Card, card_id: CardId, expires_on: date) -> NewCard:
    """The card that takes this one's place."""
    return NewCard(
        id=card_id,
        holder_id=card.holder_id,
        smart_id_id=card.smart_id_id,
        kind=card.kind,
        currency=card.currency,
        account_id=card.account_id,
        label=card.label,
        expires_on=expires_on,
        channel=Channel.APP,
        per_use_limit_minor=card.per_use_limit_minor,
        daily_limit_minor=card.daily_limit_minor,
        uses_per_day=card.uses_per_day,
        locked_merchant=card.locked_merchant,
        locked_name=card.locked_name,
        exchanges=card.exchanges,
        lineage=card.lineage,
        replaces=card.id,
    )


def decide_replace(card: Card, work: Work, standing: Standing | None = None) -> Reason | None:
    """Why this card gets no new number now; None when it does. Its holder's own freeze is no
    hindrance, a stronger party's is. `standing`: the Smart ID as locked."""
    smart_id = standing or card
    if card.standing(work.now) not in (CardState.ACTIVE, CardState.FROZEN):
        return Reason.CARD_NOT_ACTIVE
    reason = decide_goes_on(smart_id.identity_state, smart_id.payment_state, smart_id.cards_kept)
    if reason is not None:
        return reason
    return Reason.FORBIDDEN if Freezer.BANK in card.frozen_by else None
