"""A holder's own rules: the intent kinds `card.controls` and `holder.controls`.

Promise: a sheet that allows nothing new takes the phone's signature alone; one that may allow what
was not allowed before takes a one-time password too, and whether it does is decided against the
very version that is then replaced: if another one came between, nothing is set. An earlier version
is brought back by its number. What is set holds from the next purchase on, is in the audit and in
the holder's feed.

Owns no table (versions). Who calls: intents, through `kinds`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.controls import versions, wording
from wallet.controls.deciding import SetBy
from wallet.controls.sheets import NO_CONTROLS, ControlSheet, decide_sheet, lists_of, loosens
from wallet.controls.versions import NewVersion, Version
from wallet.events import ControlsChanged
from wallet.identifiers import CardId, HolderId, derived_id
from wallet.outcomes import Declined, Done, GroupAnswer, Reason, Refused
from wallet.work import Actor, ActorKind, Work

MOST_SIGNED: Final = 20
"""How many entries one list of a holder's sheet holds: all stand in the words that are signed."""


class OwnedCard(Struct, frozen=True, kw_only=True):
    """A card as this room has to know it."""

    holder_id: HolderId
    last_four: str
    lineage: CardId | None = None
    """The first card of its chain, which controls and limits hang on; None: the card itself."""


Owners = Callable[[Work, Sequence[CardId]], Awaitable[Mapping[CardId, OwnedCard]]]
"""Whose cards these are; what is not a card is left out. The cards' room answers."""


class SetCardControls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `sheet`, replacing the card's whole, or `version`, an earlier one brought back."""

    card_id: CardId
    sheet: ControlSheet | None = None
    version: int | None = None


class SetHolderControls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of all the holder's cards together; as `SetCardControls`."""

    sheet: ControlSheet | None = None
    version: int | None = None


class _Plan(Struct, frozen=True, kw_only=True):
    subject: UUID
    sheet: ControlSheet
    based_on: int
    """The version it was compared with; 0: there was none."""
    last_four: str
    looser: bool
    copied_from: int | None = None


def kinds(owners: Owners) -> tuple[IntentKind, ...]:
    """Both kinds; `owners` tells whose a card is."""
    return (
        _Setting(SetBy.CARD, owners).kind("card.controls", SetCardControls),
        _Setting(SetBy.HOLDER, owners).kind("holder.controls", SetHolderControls),
    )


class _Setting:
    def __init__(self, by: SetBy, owners: Owners) -> None:
        self._by = by
        self._owners = owners

    def kind(self, name: str, fields: type[Struct]) -> IntentKind:
        return IntentKind(
            name=name,
            fields=fields,
            prepare=self._prepare,
            authorise=self._authorise,
        )

    async def _prepare(self, work: Work, asked: Sequence[Asked]) -> Sequence[Prepared | Refused]:
        """Refuses: NOT_FOUND (card, version), INVALID_REQUEST (both or neither of `sheet` and
        `version`; as `decide_sheet`; a list longer than can be signed)."""
        cards: Mapping[CardId, OwnedCard] = {}
        if self._by is SetBy.CARD:
            cards = await self._owners(work, [one.fields.card_id for one in asked])
        subjects = [self._subject(one, cards) for one in asked]
        in_force = await versions.in_force(work, subjects)
        earlier = await self._earlier(work, asked, subjects)
        answers: list[Prepared | Refused] = []
        for one, subject in zip(asked, subjects, strict=True):
            try:
                last_four = self._last_four(one, cards)
                sheet = _wished(one.fields, earlier.get((subject, one.fields.version or 0)))
                answers.append(_prepared(one, subject, last_four, sheet, in_force.get(subject)))
            except Refused as refused:
                answers.append(refused)
        return answers

    def _subject(self, asked: Asked, cards: Mapping[CardId, OwnedCard]) -> UUID:
        if self._by is SetBy.HOLDER:
            return asked.holder_id
        card_id: CardId = asked.fields.card_id
        card = cards.get(card_id)
        return card_id if card is None else card.lineage or card_id

    async def _earlier(
        self, work: Work, asked: Sequence[Asked], subjects: Sequence[UUID]
    ) -> dict[tuple[UUID, int], Version]:
        wanted = [
            (subject, one.fields.version)
            for one, subject in zip(asked, subjects, strict=True)
            if one.fields.version is not None
        ]
        if not wanted:
            return {}
        found = await versions.numbered(work, [s for s, _ in wanted], [n for _, n in wanted])
        return {(version.subject, version.version): version for version in found}

    def _last_four(self, asked: Asked, cards: Mapping[CardId, OwnedCard]) -> str:
        if self._by is SetBy.HOLDER:
            return ""
        card = cards.get(asked.fields.card_id)
        if card is None or card.holder_id != asked.holder_id:
            raise Refused(Reason.NOT_FOUND)
        return card.last_four

    async def _authorise(self, work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
        """Declines: CONFLICT (another version came between; nothing is set)."""
        plans = [msgspec.convert(one.plan, _Plan) for one in consumed]
        in_force = await versions.in_force(work, [plan.subject for plan in plans], locked=True)
        numbers = {subject: version.version for subject, version in in_force.items()}
        answers: list[GroupAnswer] = []
        fresh: list[NewVersion] = []
        for one, plan in zip(consumed, plans, strict=True):
            standing = numbers.get(plan.subject, 0)
            if standing != plan.based_on:
                facts: dict[str, str | int] = {"field": "version", "in_force": standing}
                answers.append(Declined(reason=Reason.CONFLICT, facts=facts))
                continue
            numbers[plan.subject] = standing + 1
            fresh.append(self._fresh(one, plan))
            answers.append(Done(answer=_shown(plan)))
            self._tell(work, one, plan)
        replaced = [in_force[new.subject].id for new in fresh if new.subject in in_force]
        await versions.replace(work, replaced)
        versions.add(work, fresh)
        return answers

    def _fresh(self, one: Consumed, plan: _Plan) -> NewVersion:
        return NewVersion(
            id=derived_id(one.intent_id, "controls"),
            set_by=self._by,
            subject=plan.subject,
            version=plan.based_on + 1,
            sheet=plan.sheet,
            by=str(one.holder_id),
            holder_id=one.holder_id,
            promoted_by=str(one.holder_id),
            copied_from=plan.copied_from,
        )

    def _tell(self, work: Work, one: Consumed, plan: _Plan) -> None:
        work.emit(
            ControlsChanged(holder_id=one.holder_id, last_four=plan.last_four, looser=plan.looser)
        )
        work.note(
            f"{self._by.value}.controls",
            str(plan.subject),
            holder_id=one.holder_id,
            actor=Actor(
                kind=ActorKind.HOLDER,
                id=str(one.holder_id),
                bank=one.bank,
                holder_id=one.holder_id,
                device_id=one.device_id,
            ),
        )


def _wished(fields: Any, earlier: Version | None) -> ControlSheet:
    if (fields.sheet is None) == (fields.version is None):
        raise Refused(Reason.INVALID_REQUEST, field="sheet")
    if fields.sheet is None:
        if earlier is None:
            raise Refused(Reason.NOT_FOUND, field="version")
        return earlier.sheet
    sheet: ControlSheet = fields.sheet
    decide_sheet(sheet)
    for name, entries in lists_of(sheet):
        if len(entries) > MOST_SIGNED:
            raise Refused(Reason.INVALID_REQUEST, field=name, most=MOST_SIGNED)
    return sheet


def _prepared(
    asked: Asked, subject: UUID, last_four: str, sheet: ControlSheet, before: Version | None
) -> Prepared:
    looser = loosens(NO_CONTROLS if before is None else before.sheet, sheet)
    sentence = wording.setting(last_four, sheet)
    plan = _Plan(
        subject=subject,
        sheet=sheet,
        based_on=0 if before is None else before.version,
        last_four=last_four,
        looser=looser,
        copied_from=asked.fields.version,
    )
    return Prepared(
        text_en=sentence.en,
        text_km=sentence.km,
        plan=msgspec.to_builtins(plan),
        facts={"looser": int(looser)},
        ask_code=looser,
    )


def _shown(plan: _Plan) -> dict[str, Any]:
    return {
        "controls": {
            "version": plan.based_on + 1,
            "sheet": msgspec.to_builtins(plan.sheet),
        }
    }
