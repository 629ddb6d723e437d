"""The intent kind purchase.confirm: a holder's signed yes to a purchase out of pattern.

Promise: what is signed names the shop and the amount; the yes lets the shop's retry pass once,
until the question ends, and nothing else: no money moves here. Who calls: intents.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.authorisations import habits
from wallet.authorisations.habits import Challenge
from wallet.clock import PHNOM_PENH
from wallet.identifiers import HolderId
from wallet.outcomes import Declined, Done, GroupAnswer, Reason, Refused
from wallet.work import Work


class ConfirmPurchase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`challenge_id` as the notice and the decline name it."""

    challenge_id: UUID


async def prepare(work: Work, asked: Sequence[Asked]) -> list[Prepared | Refused]:
    """Refuses (in the answer): NOT_FOUND; CONFLICT (confirmed before); INTENT_EXPIRED (the
    question has ended)."""
    found = await habits.find(work, [one.fields.challenge_id for one in asked])
    answers: list[Prepared | Refused] = []
    for one in asked:
        question = found.get(one.fields.challenge_id)
        no = _refused(question, one.holder_id, work)
        answers.append(no if question is None or no is not None else _prepared(question))  # type: ignore[arg-type]
    return answers


def _refused(question: Challenge | None, holder_id: HolderId, work: Work) -> Refused | None:
    if question is None or question.holder_id != holder_id:
        return Refused(Reason.NOT_FOUND)
    if question.confirmed_at is not None:
        return Refused(Reason.CONFLICT)
    return Refused(Reason.INTENT_EXPIRED) if work.now >= question.ends_at else None


def _prepared(question: Challenge) -> Prepared:
    until = f"{question.ends_at.astimezone(PHNOM_PENH):%H:%M:%S}"
    en, km = question.money.display("en"), question.money.display("km")
    name, place = question.merchant_name, question.country
    return Prepared(
        text_en=f"Allow {name} ({place}) to take {en} with card ••{question.last_four}, once, "
        f"if it asks again before {until}.",
        text_km=f"អនុញ្ញាតឱ្យ {name} ({place}) យក {km} ដោយកាត ••{question.last_four} ម្តង "
        f"បើហាងស្នើម្តងទៀតមុនម៉ោង {until}។",
        money=question.money,
        payee=question.merchant_id,
        facts={
            "merchant_name": name,
            "country": place,
            "rule": question.rule,
            "confirm_by": question.ends_at.isoformat(),
        },
        plan={"challenge_id": str(question.id)},
    )


async def authorise(work: Work, consumed: Sequence[Consumed]) -> list[GroupAnswer]:
    """Declines: INTENT_EXPIRED (the question has ended), CONFLICT (answered before)."""
    ids = [UUID(one.plan["challenge_id"]) for one in consumed]
    found = await habits.find(work, ids, lock=True)
    answers: list[GroupAnswer] = []
    said: list[UUID] = []
    for challenge_id, one in zip(ids, consumed, strict=True):
        no = _refused(found.get(challenge_id), one.holder_id, work)
        if no is not None or challenge_id in said:
            reason = Reason.CONFLICT if no is None else no.reason
            answers.append(Declined(reason=reason))
            continue
        said.append(challenge_id)
        work.note("purchase.confirm", str(challenge_id), holder_id=one.holder_id)
        ends = found[challenge_id].ends_at.isoformat()
        answers.append(Done(answer={"challenge_id": str(challenge_id), "retry_before": ends}))
    if said:
        habits.confirm(work, said)
    return answers


CONFIRM: Final = IntentKind(
    name="purchase.confirm",
    fields=ConfirmPurchase,
    prepare=prepare,
    authorise=authorise,
)
