"""Intents as they may be read: by their holder, and by whoever sends a code for one.

Promise: nothing is changed here; an intent past its moment reads EXPIRED whatever its row says.
Who calls: the mobile door.
"""

from typing import Any, Final

from wallet.access import drafts
from wallet.access.challenges import Subject
from wallet.access.intents import digest_of, money_of
from wallet.identifiers import DeviceId, HolderId, IntentId
from wallet.outcomes import Reason, Refused
from wallet.work import Work


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
    work: Work, intent_id: IntentId, device_id: DeviceId, language: str
) -> Subject:
    """What a one-time password may be asked for: the device's own open intent that needs one.

    Refuses: NOT_FOUND, INTENT_NOT_PENDING, INTENT_EXPIRED, ILLEGAL_TRANSITION (it needs none).
    """
    row = await work.row(_SUBJECT, intent_id, device_id)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    if row["state"] != "PENDING":
        raise Refused(Reason.INTENT_NOT_PENDING)
    if row["expires_at"] <= work.now:
        raise Refused(Reason.INTENT_EXPIRED)
    if not row["otp_needed"]:
        raise Refused(Reason.ILLEGAL_TRANSITION)
    return Subject(
        intent_id=intent_id,
        holder_id=row["holder_id"],
        device_id=device_id,
        bank=row["bank"],
        tx_hash=digest_of(row),
        act=row["text_km"] if language == "km" else row["text_en"],
        language=language,
        expires_at=row["expires_at"],
    )


_KIND_OF: Final = "select kind from intents where id = $1 and holder_id = $2"

_SEEN: Final = """
select id, kind, state, text_en, text_km, amount_minor, currency, payee, facts, expires_at, answer,
       reason
from intents where id = $1 and holder_id = $2
"""

_SUBJECT: Final = """
select id, bank, holder_id, device_id, kind, text_en, text_km, amount_minor, currency, payee,
       nonce, otp_needed, state, expires_at
from intents where id = $1 and device_id = $2
"""
