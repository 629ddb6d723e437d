"""A bank's own rules on their way into force: drafted, tried in shadow, promoted by two people.

Promise: nothing decides before a second member of the same bank approved the very sheet that was
shown (its hash), with a fresh time code; and nothing is promoted that was not in shadow, but a copy
of what was in force before (bringing back what worked must not wait). Withdrawing what decides
nothing takes one person. What is in force is ended by bringing back another version, or by
promoting one that says nothing.

Owns no table (versions, approvals). Who calls: the banks' door.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.controls import versions
from wallet.controls.deciding import SetBy, bank_subject
from wallet.controls.sheets import ControlSheet, decide_sheet
from wallet.controls.versions import NewVersion, State, Version
from wallet.identifiers import ApprovalId, BankId, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import Work

ACT: Final = "controls"

SecondPerson = Callable[[Work, ApprovalId, bytes], Awaitable[Approval | Declined]]
"""The checker's approval of this payload, proved with a fresh code."""


async def draft(work: Work, sheet: ControlSheet) -> Outcome:
    """Write a version of the bank's sheet down; it decides nothing. Refuses: INVALID_REQUEST."""
    decide_sheet(sheet)
    return await _drafted(work, sheet, None)


async def bring_back(work: Work, number: int) -> Outcome:
    """Draft a version that was in force anew, and ask for a second person to promote it at once.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (it never was in force, or is), FORBIDDEN (not a maker).
    """
    known = 0 < number <= versions.HIGHEST_NUMBER
    found = await versions.numbered(work, [_subject(work)], [number]) if known else []
    if not found:
        raise Refused(Reason.NOT_FOUND)
    if found[0].state is not State.PAST:
        raise Refused(Reason.ILLEGAL_TRANSITION, state=found[0].state.value)
    outcome = await _drafted(work, found[0].sheet, number)
    if isinstance(outcome, Done):
        await ask_to_promote(work, UUID(outcome.answer["id"]))
    return outcome


async def put_in_shadow(work: Work, version_id: UUID) -> Outcome:
    """Have a draft asked of every live purchase from now on, deciding nothing.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (not a draft), CONFLICT (another version is in shadow).
    """
    version = await versions.by_id(work, version_id, _subject(work))
    _expect(version, State.DRAFT)
    await versions.next_number(work, version.subject)  # alone from here on
    other = await versions.in_shadow(work, version.subject)
    if other is not None:
        raise Refused(Reason.CONFLICT, field="version", in_shadow=other.version)
    await versions.put_in_shadow(work, version.id)
    return await _told(work, version, "shadow")


async def withdraw(work: Work, version_id: UUID) -> Outcome:
    """Give up a draft, or one in shadow. Refuses: NOT_FOUND, ILLEGAL_TRANSITION."""
    version = await versions.by_id(work, version_id, _subject(work))
    _expect(version, State.DRAFT, State.SHADOW)
    await versions.withdraw(work, version.id)
    return await _told(work, version, "withdraw")


async def ask_to_promote(work: Work, version_id: UUID) -> Outcome:
    """Ask for a second person to put a version in force. Asked again, the same request stands.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (not in shadow), FORBIDDEN (not a maker).
    """
    version = await versions.by_id(work, version_id, _subject(work))
    _decide_promotable(version)
    await approvals.request(
        work, ACT, str(version.id), _payload(version), permission=Permission.CONTROLS_PROPOSE
    )
    return Done(answer=shown(version))


async def promote(work: Work, version_id: UUID, second: SecondPerson) -> Outcome:
    """Approve what somebody else asked for: in force from the next purchase on.

    Declines: OTP_WRONG, LOCKED, APPROVAL_EXPIRED. Refuses: NOT_FOUND (not asked for either),
    FORBIDDEN (not a checker), FOUR_EYES (whoever drafted it or asked), ILLEGAL_TRANSITION.
    """
    subject = _subject(work)
    version = await versions.by_id(work, version_id, subject)
    approval = await approvals.newest(work, ACT, str(version.id))
    if approval is None:
        raise Refused(Reason.NOT_FOUND)
    _decide_promotable(version)
    if version.drafted_by == work.actor.id:
        raise Refused(Reason.FOUR_EYES)
    payload = _payload(version)
    approved = await second(work, approval.id, payload)
    if isinstance(approved, Declined):
        return approved
    spent = await approvals.execute(work, approval.id, act=ACT, payload_hash=payload)
    if isinstance(spent, Declined):
        return spent
    await versions.next_number(work, subject)  # alone from here on
    before = await versions.in_force(work, [subject], locked=True)
    await versions.replace(work, [one.id for one in before.values()])
    await versions.promote(work, version.id, work.actor.id)
    return await _told(work, version, "promote")


def shown(version: Version) -> dict[str, Any]:
    """A version as bank operations read it."""
    return {
        "id": str(version.id),
        "version": version.version,
        "state": version.state.value,
        "sheet": msgspec.to_builtins(version.sheet),
        "copied_from": version.copied_from,
        "drafted_at": version.drafted_at.isoformat(),
        "shadowed_at": _moment(version.shadowed_at),
        "promoted_at": _moment(version.promoted_at),
        "ended_at": _moment(version.ended_at),
    }


async def _drafted(work: Work, sheet: ControlSheet, copied_from: int | None) -> Outcome:
    subject = _subject(work)
    fresh = NewVersion(
        id=new_id(),
        set_by=SetBy.BANK,
        subject=subject,
        version=await versions.next_number(work, subject),
        sheet=sheet,
        by=work.actor.id,
        copied_from=copied_from,
    )
    versions.add(work, [fresh])
    return await _told(work, await versions.by_id(work, fresh.id, subject), "draft")


async def _told(work: Work, version: Version, step: str) -> Outcome:
    work.note(f"{ACT}.{step}", str(version.id))
    return Done(answer=shown(await versions.by_id(work, version.id, version.subject)))


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _subject(work: Work) -> UUID:
    return bank_subject(work.bank or BankId(""))


def _payload(version: Version) -> bytes:
    return approvals.hash_of([version.id, version.version, version.body])


def _decide_promotable(version: Version) -> None:
    _expect(version, State.SHADOW, *([State.DRAFT] if version.copied_from is not None else []))


def _expect(version: Version, *states: State) -> None:
    if version.state not in states:
        raise Refused(Reason.ILLEGAL_TRANSITION, state=version.state.value)
