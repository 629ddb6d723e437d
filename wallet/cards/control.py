"""Freezing at once, and the signed acts that undo or end: card.unfreeze, card.close,
smart_id.unfreeze.

Promise: freezing is the safe side and needs no code; undoing it needs signature and one-time
password. Freezing the Smart ID stops all its virtual cards in the same transaction, because they
read its state, unless its holder keeps them going; unfreezing it, or them alone, brings back only
those that nobody else froze. Salary lands either way.

Owns no table. Who calls: doors (freezing); intents (through the kinds).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards import changing, rows, wording
from wallet.cards.changing import Change
from wallet.cards.create import actor_of
from wallet.cards.states import (
    Card,
    CardState,
    Freezer,
    Substatus,
    decide,
    decide_freeze,
    decide_unfreeze,
)
from wallet.cards.wording import Sentence
from wallet.identifiers import CardId, HolderId, SmartIdId
from wallet.outcomes import Declined, Done, GroupAnswer, Outcome, Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.states import Party, decide_let_cards_go_on
from wallet.registry.states import decide_unfreeze as decide_smart_id_unfreeze
from wallet.work import Work


class WhichCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    card_id: CardId


class CloseCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    card_id: CardId
    reason: Literal["END_USER_REQUEST", "LOST", "COMPROMISED", "SUSPICIOUS_ACTIVITY", "OTHER"] = (
        "END_USER_REQUEST"
    )


class UnfreezeSmartId(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The holder's own. `cards_only`: its virtual cards go on, while it stays frozen itself."""

    cards_only: bool = False


class _CardPlan(Struct, frozen=True, kw_only=True):
    card_id: CardId
    substatus: Substatus | None = None


class _SmartIdPlan(Struct, frozen=True, kw_only=True):
    smart_id_id: SmartIdId
    cards_only: bool = False


# the safe side


async def freeze_card(
    work: Work,
    card_id: CardId,
    *,
    holder_id: HolderId | None,
    by: Freezer = Freezer.HOLDER,
    why: str | None = None,
) -> Outcome:
    """Stop one card. Frozen already is Done. `holder_id`: whose it must be; None for the bank.

    Refuses: NOT_FOUND. Declines: CARD_NOT_ACTIVE.
    """
    card = (await rows.locked(work, [card_id])).get(card_id)
    if card is None or holder_id not in (None, card.holder_id):
        raise Refused(Reason.NOT_FOUND)
    try:
        after = decide_freeze(card, by, work.now)
    except Refused as refused:
        return Declined(reason=refused.reason, facts=refused.facts)
    if after != card:
        step = Change(act="card.freeze", cause=by.value.lower(), before=card, after=after, why=why)
        changing.change(work, [step])
    return Done(answer={"card": after.view(work.now)})


async def release_card(work: Work, card_id: CardId, why: str) -> Outcome:
    """Lift the bank's own freeze of one card; the holder's and the Smart ID's stay. Not frozen by
    the bank is Done.

    Refuses: NOT_FOUND. Declines: CARD_NOT_ACTIVE.
    """
    card = (await rows.locked(work, [card_id])).get(card_id)
    if card is None:
        raise Refused(Reason.NOT_FOUND)
    if not card.live(work.now):
        return Declined(reason=Reason.CARD_NOT_ACTIVE, facts={"state": card.state.value})
    if Freezer.BANK in card.frozen_by:
        after = decide_unfreeze(card, Freezer.BANK, work.now)
        step = Change(act="card.unfreeze", cause="bank", before=card, after=after, why=why)
        changing.change(work, [step])
        card = after
    return Done(answer={"card": card.view(work.now)})


async def freeze_smart_id(
    work: Work, holder_id: HolderId, by: Party = Party.HOLDER, *, keep_cards: bool = False
) -> Outcome:
    """Stop the holder's Smart ID and with it every virtual card of it, or, where they keep those,
    the Smart ID alone; the identity stays valid.

    Refuses: NOT_FOUND. Declines: SMART_ID_NOT_ACTIVE; to keep cards that are stopped already:
    SMART_ID_CARDS_STOPPED, FORBIDDEN (the bank or support stopped them).
    """
    smart_id = await smart_ids.of_holder(work, holder_id)
    if smart_id is None:
        raise Refused(Reason.NOT_FOUND)
    frozen = await smart_ids.freeze_payment(work, [smart_id.id], by=by, keep_cards=keep_cards)
    answer = frozen[0]
    if isinstance(answer, Refused):
        return Declined(reason=answer.reason, facts=answer.facts)
    if isinstance(answer, Declined):
        return answer
    return Done(answer={"smart_id": answer.answer})


async def expire_due(work: Work, limit: int) -> int:
    """End up to `limit` cards of the Work's bank whose printed month is over; readers and
    payments treat them as expired already. Answers how many.

    Refuses: nothing.
    """
    due = await rows.due(work, limit)
    changes = [
        Change(
            act="card.expiry",
            cause="expired",
            before=card,
            after=replace(
                decide(card, CardState.EXPIRED, Substatus.EXPIRED), frozen_by=frozenset()
            ),
        )
        for card in due
    ]
    changing.change(work, changes)
    return len(changes)


# the signed acts


def unfreeze_kind() -> IntentKind:
    step = _OneStep("card.unfreeze", wording.unfreeze, _unfrozen)
    return step.kind(WhichCard)


def close_kind() -> IntentKind:
    return _OneStep("card.close", wording.close, _closed).kind(CloseCard)


def _unfrozen(card: Card, plan: _CardPlan, moment: datetime) -> Card:
    return decide_unfreeze(card, Freezer.HOLDER, moment)


def _closed(card: Card, plan: _CardPlan, moment: datetime) -> Card:
    """Refuses: CARD_NOT_ACTIVE when it is over already."""
    if not card.live(moment):
        raise Refused(Reason.CARD_NOT_ACTIVE, state=card.standing(moment).value)
    closed = decide(card, CardState.CLOSED, plan.substatus or Substatus.END_USER_REQUEST)
    return replace(closed, frozen_by=frozenset())


class _OneStep:
    """A kind whose effect is one step of one card of the holder's own."""

    def __init__(
        self,
        name: str,
        word: Callable[[Card], Sentence],
        decided: Callable[[Card, _CardPlan, datetime], Card],
    ) -> None:
        self._name = name
        self._word = word
        self._decided = decided

    def kind(self, fields: type[Struct]) -> IntentKind:
        return IntentKind(
            name=self._name,
            fields=fields,
            prepare=self._prepare,
            authorise=self._authorise,
        )

    async def _prepare(self, work: Work, asked: Sequence[Asked]) -> Sequence[Prepared | Refused]:
        cards = await rows.by_ids(work, [one.fields.card_id for one in asked])
        return [self._prepared(work, one, cards.get(one.fields.card_id)) for one in asked]

    def _prepared(self, work: Work, one: Asked, card: Card | None) -> Prepared | Refused:
        if card is None or card.holder_id != one.holder_id:
            return Refused(Reason.NOT_FOUND)
        reason = getattr(one.fields, "reason", None)
        plan = _CardPlan(card_id=card.id, substatus=Substatus(reason) if reason else None)
        try:
            self._decided(card, plan, work.now)
        except Refused as refused:
            return refused
        sentence = self._word(card)
        return Prepared(
            text_en=sentence.en,
            text_km=sentence.km,
            plan=msgspec.to_builtins(plan),
            facts={"last_four": card.last_four},
        )

    async def _authorise(self, work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
        """Declines: what the step refuses by now."""
        plans = [msgspec.convert(one.plan, _CardPlan) for one in consumed]
        cards = await rows.locked(work, [plan.card_id for plan in plans])
        changes: dict[CardId, Change] = {}
        answers: list[GroupAnswer] = []
        for one, plan in zip(consumed, plans, strict=True):
            card = cards.get(plan.card_id)
            if card is None or card.holder_id != one.holder_id:
                answers.append(Refused(Reason.NOT_FOUND))
                continue
            try:
                after = self._decided(card, plan, work.now)
            except Refused as refused:
                answers.append(Declined(reason=refused.reason, facts=refused.facts))
                continue
            answers.append(Done(answer={"card": after.view(work.now)}))
            if after != card:
                changes[card.id] = self._step(one, changes.get(card.id), card, after)
                cards[card.id] = after
        changing.change(work, list(changes.values()))
        return answers

    def _step(self, one: Consumed, earlier: Change | None, card: Card, after: Card) -> Change:
        # A second step of one card in one group is written with the first as one.
        before = earlier.before if earlier else card
        return Change(
            act=self._name, cause="holder", before=before, after=after, actor=actor_of(one)
        )


def unfreeze_smart_id_kind() -> IntentKind:
    return IntentKind(
        name="smart_id.unfreeze",
        fields=UnfreezeSmartId,
        prepare=_prepare_smart_id,
        authorise=_authorise_smart_id,
    )


async def _prepare_smart_id(work: Work, asked: Sequence[Asked]) -> Sequence[Prepared | Refused]:
    """Refuses: NOT_FOUND, SMART_ID_NOT_ACTIVE, FORBIDDEN (the bank or support froze it)."""
    held = await smart_ids.of_holders(work, [one.holder_id for one in asked])
    answers: list[Prepared | Refused] = []
    for one in asked:
        smart_id = held.get(one.holder_id)
        if smart_id is None:
            answers.append(Refused(Reason.NOT_FOUND))
            continue
        cards_only = one.fields.cards_only
        try:
            if cards_only:
                decide_let_cards_go_on(smart_id)
            else:
                decide_smart_id_unfreeze(smart_id, Party.HOLDER)
        except Refused as refused:
            answers.append(refused)
            continue
        word = wording.unfreeze_cards if cards_only else wording.unfreeze_smart_id
        sentence = word(smart_id.last_four)
        plan: dict[str, Any] = msgspec.to_builtins(
            _SmartIdPlan(smart_id_id=smart_id.id, cards_only=cards_only)
        )
        answers.append(Prepared(text_en=sentence.en, text_km=sentence.km, plan=plan))
    return answers


async def _authorise_smart_id(work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
    """Declines: SMART_ID_NOT_ACTIVE, FORBIDDEN."""
    plans = [msgspec.convert(one.plan, _SmartIdPlan) for one in consumed]
    answers: dict[int, GroupAnswer] = {}
    for cards_only in (True, False):
        places = [at for at, plan in enumerate(plans) if plan.cards_only is cards_only]
        ids = [plans[at].smart_id_id for at in places]
        actors = [actor_of(consumed[at]) for at in places]
        if not places:
            continue
        if cards_only:
            told = await smart_ids.let_cards_go_on(work, ids, actors=actors)
        else:
            told = await smart_ids.unfreeze_payment(work, ids, by=Party.HOLDER, actors=actors)
        answers.update(zip(places, told, strict=True))
    return [_as_committed(answers[at]) for at in range(len(plans))]


def _as_committed(answer: GroupAnswer) -> GroupAnswer:
    if isinstance(answer, Done):
        return Done(answer={"smart_id": answer.answer})
    if isinstance(answer, Refused):
        return Declined(reason=answer.reason, facts=answer.facts)
    return answer
