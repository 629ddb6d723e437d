"""Closing a case: what was not given back is denied, or withdrawn by the holder.

Promise: nothing still waits for a second person when a case closes; what came back by other doors
(an operator that took its top-up back) counts as recovered, so that nobody is told "denied" who
has the money. Tables owned: none. Who calls: support door.
"""

from wallet.disputes import cases, refunds
from wallet.disputes.cases import Case, CaseState, Disposition
from wallet.disputes.statements import without_card_numbers
from wallet.events import DisputeClosed
from wallet.identifiers import DisputeId
from wallet.outcomes import Done, Outcome, Reason, Refused
from wallet.work import Work


async def close(work: Work, case_id: DisputeId, why: str, *, withdrawn: bool = False) -> Outcome:
    """Close a case for a reason, which the holder's own feed shows.

    Refuses: not_found, forbidden, dispute_closed, conflict while a refund waits for a second
    person.
    """
    await refunds.acting_agent(work)
    case = await cases.locked(work, case_id)
    if case.state is CaseState.CLOSED:
        raise Refused(Reason.DISPUTE_CLOSED)
    if await refunds.waiting(work, case):
        raise Refused(Reason.CONFLICT)
    elsewhere = min(await cases.came_back_elsewhere(work, case), case.remaining_minor)
    if elsewhere:
        await cases.count_given_back(work, case, elsewhere, recovered=True)
        await cases.record(work, case, "LIABILITY", "CAME_BACK", amount_minor=elsewhere)
        case = await cases.locked(work, case_id)
    disposition = decide_disposition(case, withdrawn=withdrawn)
    reason = without_card_numbers(why)
    if case.remaining_minor:
        denied = case.remaining_minor
        await cases.record(work, case, "LIABILITY", "DENIED", amount_minor=denied)
    await cases.finish(work, case, disposition)
    await cases.record(work, case, "WORKFLOW", "CLOSED", detail=reason)
    work.note(
        "dispute.close",
        str(case_id),
        holder_id=case.holder_id,
        case_number=case.case_number,
        reason=reason,
    )
    work.emit(
        DisputeClosed(
            holder_id=case.holder_id,
            dispute_id=str(case_id),
            case_number=case.case_number,
            disposition=disposition.value,
        )
    )
    return Done(
        answer={
            "dispute_id": str(case_id),
            "case_number": case.case_number,
            "state": CaseState.CLOSED.value,
            "disposition": disposition.value,
        }
    )


def decide_disposition(case: Case, *, withdrawn: bool) -> Disposition:
    """How a case ends, from what was given back."""
    given_back = case.recovered_minor + case.written_off_minor
    if given_back == case.original_minor:
        return Disposition.WON
    if withdrawn:
        return Disposition.WITHDRAWN
    return Disposition.PARTIALLY_WON if given_back else Disposition.DENIED
