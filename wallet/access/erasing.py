"""The order to erase a person: asked for by one of their bank's staff, agreed to by another.

Promise: an order is for exactly one person and one written reason, both bound by its hash; two
people stand behind it, the second with a fresh time code; it is spent once, within 24 hours, in the
Work that erases. Nothing is erased here.

    (nothing) --asked--> REQUESTED --another, fresh code--> APPROVED --erasure.erase--> EXECUTED

Tables owned: none (approvals). Who calls: the bank's door; erasure, which spends the order.
"""

from typing import Final

from wallet.access import approvals
from wallet.access.approvals import Approval, ApprovalState
from wallet.access.members import Permission
from wallet.identifiers import HolderId, Secret
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.vault import Vault
from wallet.work import Work

ACT: Final = "person.erase"


async def ask(work: Work, holder_id: HolderId, reason: str) -> Outcome:
    """Ask, as a clerk of the person's bank, that they be erased.

    Refuses: NOT_FOUND (nobody of this bank), INVALID_REQUEST (no reason), FORBIDDEN.
    """
    if not await work.value(_OF_THIS_BANK, holder_id, work.bank):
        raise Refused(Reason.NOT_FOUND, field="holder_id")
    asked = await approvals.request(
        work, ACT, str(holder_id), _payload(holder_id, reason), permission=Permission.ERASURE_ASK
    )
    return _answer(asked)


async def agree(
    work: Work, vault: Vault, holder_id: HolderId, reason: str, code: Secret[str]
) -> Outcome:
    """Agree, as a second clerk, with the very reason that was asked for.

    Declines: OTP_WRONG, LOCKED, APPROVAL_EXPIRED. Refuses: NOT_FOUND, FORBIDDEN, FOUR_EYES,
    CONFLICT (another reason), ILLEGAL_TRANSITION.
    """
    asked = await approvals.newest(work, ACT, str(holder_id))
    if asked is None:
        raise Refused(Reason.NOT_FOUND)
    agreed = await approvals.approve(
        work,
        vault,
        asked.id,
        act=ACT,
        payload_hash=_payload(holder_id, reason),
        code=code,
        permission=Permission.ERASURE_APPROVE,
    )
    return agreed if isinstance(agreed, Declined) else _answer(agreed)


async def spend(work: Work, holder_id: HolderId, reason: str) -> None:
    """Use the order up, with the erasure it is for.

    Refuses: FOUR_EYES (no two people agreed, or their order is spent or over), CONFLICT (another
    reason).
    """
    asked = await approvals.newest(work, ACT, str(holder_id))
    if asked is None or asked.state is not ApprovalState.APPROVED:
        raise Refused(Reason.FOUR_EYES)
    spent = await approvals.execute(
        work, asked.id, act=ACT, payload_hash=_payload(holder_id, reason)
    )
    if isinstance(spent, Declined):
        raise Refused(Reason.FOUR_EYES)


def _payload(holder_id: HolderId, reason: str) -> bytes:
    if not reason.strip():
        raise Refused(Reason.INVALID_REQUEST, field="reason")
    return approvals.hash_of([str(holder_id), reason.strip()])


def _answer(asked: Approval) -> Done:
    return Done(answer={"state": asked.state.value, "expires_at": asked.expires_at.isoformat()})


_OF_THIS_BANK: Final = "select exists (select from holders where id = $1 and bank = $2)"
