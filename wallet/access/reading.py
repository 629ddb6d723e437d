"""Intents as they may be read: by their holder, and by whoever sends a code for one.

Promise: nothing is changed here; an intent past its moment reads EXPIRED whatever its row says.
Who calls: the mobile door.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from wallet.access import drafts
from wallet.access.challenges import Subject
from wallet.access.intents import digest_of, money_of
from wallet.database import Record
from wallet.identifiers import BankId, DeviceId, HolderId, IntentId
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.teller import Lane, Teller
from wallet.work import ActorKind, Work


async def kind_of(work: Work, intent_id: IntentId, holder_id: HolderId) -> str:
    """Which lane an intent belongs to. Refuses: NOT_FOUND."""
    kind: str | None = await work.value(_KIND_OF, intent_id, holder_id)
    if kind is None:
        raise Refused(Reason.NOT_FOUND)
    return kind


async def seen(work: Work, intent_id: IntentId, holder_id: HolderId) -> dict[str, Any]:
    """The intent as its holder may read it, with its answer or reason. Refuses: NOT_FOUND."""
    row = await work.row(_SEEN, intent_id, holder_id)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    state = row["state"]
    if state == "PENDING" and row["expires_at"] <= work.now:
        state = "EXPIRED"
    shown = drafts.shown(
        intent_id=row["id"],
        kind=row["kind"],
        state=state,
        text_en=row["text_en"],
        text_km=row["text_km"],
        money=money_of(row),
        payee=row["payee"],
        facts=row["facts"],
        expires_at=row["expires_at"],
    )
    return {**shown, "answer": row["answer"], "reason": row["reason"]}


async def subject_of(
    teller: Teller, bank: BankId, intent_id: IntentId, device_id: DeviceId, language: str
) -> Subject:
    """What a one-time password may be asked for: the device's own open intent that needs one.

    Refuses: NOT_FOUND, INTENT_NOT_PENDING, INTENT_EXPIRED, ILLEGAL_TRANSITION (it needs none),
    BUSY.
    """
    found = await teller.ask(_SUBJECTS, bank, (intent_id, device_id, language))
    assert isinstance(found, Done)  # noqa: S101 - this lane declines nothing
    subject: Subject = found.answer["subject"]
    return subject


async def _subjects(
    work: Work, asked: Sequence[tuple[IntentId, DeviceId, str]]
) -> list[GroupAnswer]:
    rows = {row["id"]: row for row in await work.rows(_OF_INTENTS, [one[0] for one in asked])}
    return [
        _decide_subject(rows.get(intent_id), device_id, language, work.now)
        for intent_id, device_id, language in asked
    ]


def _decide_subject(
    row: Record | None, device_id: DeviceId, language: str, now: datetime
) -> Done | Refused:
    if row is None or row["device_id"] != device_id:
        return Refused(Reason.NOT_FOUND)
    if row["state"] != "PENDING":
        return Refused(Reason.INTENT_NOT_PENDING)
    if row["expires_at"] <= now:
        return Refused(Reason.INTENT_EXPIRED)
    if not row["otp_needed"]:
        return Refused(Reason.ILLEGAL_TRANSITION)
    subject = Subject(
        intent_id=row["id"],
        holder_id=row["holder_id"],
        device_id=device_id,
        bank=row["bank"],
        tx_hash=digest_of(row),
        act=row["text_km"] if language == "km" else row["text_en"],
        language=language,
        expires_at=row["expires_at"],
        reachable=row["reachable"],
    )
    return Done(answer={"subject": subject})


_SUBJECTS: Final[Lane[tuple[IntentId, DeviceId, str]]] = Lane(
    "otp.subject", _subjects, caller=ActorKind.DEVICE
)

_KIND_OF: Final = "select kind from intents where id = $1 and holder_id = $2"

_SEEN: Final = """
select id, kind, state, text_en, text_km, amount_minor, currency, payee, facts, expires_at, answer,
       reason
from intents where id = $1 and holder_id = $2
"""

_OF_INTENTS: Final = """
select id, bank, holder_id, device_id, kind, text_en, text_km, amount_minor, currency, payee,
       nonce, otp_needed, state, expires_at,
       exists (select from push_addresses as push where push.device_id = intents.device_id)
           as reachable
from intents where id = any($1)
"""
