"""Salary runs: a ministry's file from receipt to the last credit.

Promise: the file is stored before its receipt is told; a second officer, proving themselves by a
fresh code and naming the file's SHA-256, approves it; every good line is paid once. A file with
rejected or held lines may be approved: its good lines are paid and the others listed by line
number. From a file with a file-level fault nothing is paid. Once approved it is not taken back.

    RECEIVED -> CHECKED                 every line read and verified (job salary.check)
             -> REFUSED                 a file-level fault, or recalled
    CHECKED  -> APPROVED                by another officer than who sent it
             -> REFUSED                 recalled by an officer
    APPROVED -> PAYING -> PAID          no PENDING line is left (jobs salary.pay, one a bank)

    lines: PENDING -> PAID              credited, in the same transaction as the credit
                   -> RETURNED          the wallet was closed meanwhile
           HELD                         a person must look first; not paid in this run
           REJECTED                     see `findings`

Tables owned: salary_runs, salary_files (lines and shares: check and pay).
Who calls: the agency door; check and pay.
"""

import enum
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.access.members import Member, Permission
from wallet.identifiers import AgencyId, BankId, SalaryRunId, StaffId, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.salary.findings import FileCode, FileFault, LineCode
from wallet.work import Work

LARGEST_FILE_BYTES: Final = 64 * 1024 * 1024
CHECK_JOB: Final = "salary.check"
PAY_JOB: Final = "salary.pay"


class RunState(enum.StrEnum):
    RECEIVED = "RECEIVED"
    CHECKED = "CHECKED"
    REFUSED = "REFUSED"
    APPROVED = "APPROVED"
    PAYING = "PAYING"
    PAID = "PAID"


class LineState(enum.StrEnum):
    PENDING = "PENDING"
    HELD = "HELD"
    REJECTED = "REJECTED"
    PAID = "PAID"
    RETURNED = "RETURNED"


class Upload(Struct, frozen=True, kw_only=True):
    """What came in: the digest of the bytes that `parts` will give, in order."""

    sha256: bytes
    size_bytes: int


class Run(Struct, frozen=True, kw_only=True):
    """A run as officers see it. Sums are whole riel; `sum_minor` as written over all lines.

    Accepted lines are those that are, were or will be paid; `flagged_lines` is how many of them
    carry a remark. `paid_*` and `returned_*` grow while the run is paid.
    """

    id: SalaryRunId
    agency: AgencyId
    state: RunState
    sha256: bytes
    size_bytes: int
    period: str | None
    half: int | None
    maker: StaffId
    checker: StaffId | None
    lines: int
    sum_minor: int | None
    accepted_lines: int
    accepted_minor: int
    held_lines: int
    held_minor: int
    rejected_lines: int
    rejected_minor: int
    flagged_lines: int
    paid_lines: int
    paid_minor: int
    returned_lines: int
    returned_minor: int
    faults: list[FileFault]
    received_at: datetime
    checked_at: datetime | None
    approved_at: datetime | None
    paid_at: datetime | None


class LineView(Struct, frozen=True, kw_only=True):
    """A line as the officer who sent it may see it: what they wrote and what became of it."""

    line_no: int
    state: LineState
    code: LineCode | None
    other_line: int | None
    staff_no: str
    account_no: str
    amount_minor: int


SecondFactor = Callable[[Work], Awaitable[Declined | None]]
"""Asks the officer for a fresh code within the Work; None when it is right."""


async def receive(work: Work, officer: Member, upload: Upload, parts: Iterable[bytes]) -> Outcome:
    """Store a file and have it checked. Needs a Work across banks.

    Done answers `run_id`, `sha256`, `state`.
    Refuses: forbidden (no maker of an agency), too_large, salary_file_repeated (with run_id).
    """
    agency = _agency_of(officer, Permission.SALARY_SEND)
    if upload.size_bytes > LARGEST_FILE_BYTES:
        raise Refused(Reason.TOO_LARGE, most_bytes=LARGEST_FILE_BYTES)
    run_id = SalaryRunId(new_id())
    added = await work.value(
        _ADD_RUN, run_id, agency, upload.sha256, upload.size_bytes, officer.id, work.now
    )
    if added is None:
        before = await work.value(_RUN_OF_FILE, agency, upload.sha256)
        raise Refused(Reason.SALARY_FILE_REPEATED, run_id=str(before))
    for part, data in enumerate(parts):
        await work.execute(_ADD_PART, run_id, part, data)
    work.later(CHECK_JOB, {"run_id": str(run_id)}, dedupe=f"{CHECK_JOB}:{run_id}")
    work.note("salary.receive", str(run_id))
    digest = upload.sha256.hex()
    return Done(answer={"run_id": str(run_id), "sha256": digest, "state": RunState.RECEIVED.value})


async def approve(
    work: Work, officer: Member, run_id: SalaryRunId, sha256: str, second_factor: SecondFactor
) -> Outcome:
    """Release a checked file to be paid. `sha256` (hex) is of the file the officer looked at.

    Declines: what the second factor declines (counted).
    Refuses: forbidden (no checker of an agency), not_found, illegal_transition, four_eyes,
    salary_file_changed.
    """
    agency = _agency_of(officer, Permission.SALARY_APPROVE)
    run = await work.row(_LOCK_RUN, run_id, agency)
    if run is None:
        raise Refused(Reason.NOT_FOUND)
    decide_approval(RunState(run["state"]), run["maker"], officer.id)
    if run["sha256"].hex() != sha256.strip().lower():
        raise Refused(Reason.SALARY_FILE_CHANGED)
    if (declined := await second_factor(work)) is not None:
        return declined
    await work.execute(_APPROVE, run_id, officer.id, work.now)
    for share in await work.rows(_BANKS_OF_RUN, run_id):
        want_payment(work, run_id, BankId(share["bank"]))
    work.note("salary.approve", str(run_id), reason=f"sha256 {run['sha256'].hex()}")
    return Done(answer={"run_id": str(run_id), "state": RunState.APPROVED.value})


def want_payment(work: Work, run_id: SalaryRunId, bank: BankId) -> None:
    payload = {"run_id": str(run_id), "bank": bank}
    work.later(PAY_JOB, payload, dedupe=f"{PAY_JOB}:{run_id}:{bank}")


async def recall(work: Work, officer: Member, run_id: SalaryRunId) -> Outcome:
    """Take back a file that is not approved yet, so that a corrected one can be sent.

    Refuses: forbidden, not_found, illegal_transition (approved: money may have moved).
    """
    agency = _agency_of(officer, Permission.SALARY_SEND, Permission.SALARY_APPROVE)
    run = await work.row(_LOCK_RUN, run_id, agency)
    if run is None:
        raise Refused(Reason.NOT_FOUND)
    if run["state"] not in (RunState.RECEIVED, RunState.CHECKED):
        raise Refused(Reason.ILLEGAL_TRANSITION, state=run["state"])
    await refuse(work, run_id, [FileFault(code=FileCode.RECALLED)])
    work.note("salary.recall", str(run_id))
    return Done(answer={"run_id": str(run_id), "state": RunState.REFUSED.value})


async def refuse(work: Work, run_id: SalaryRunId, faults: list[FileFault]) -> None:
    """Nothing of this file will be paid. The caller holds the run locked and not yet approved."""
    await work.execute(_REFUSE, run_id, [_stored(fault) for fault in faults], work.now)


async def run_of(work: Work, officer: Member, run_id: SalaryRunId) -> Run:
    """One run of the officer's own agency. Refuses: forbidden, not_found."""
    found = await work.struct(Run, _RUN, _agency_of(officer), run_id)
    if found is None:
        raise Refused(Reason.NOT_FOUND)
    return found


async def runs_of(
    work: Work, officer: Member, *, before: SalaryRunId | None, limit: int
) -> list[Run]:
    """The agency's runs, newest first, older than `before`. Refuses: forbidden."""
    return await work.structs(Run, _RUNS, _agency_of(officer), before or _BEYOND, limit)


async def lines_of(
    work: Work,
    officer: Member,
    run_id: SalaryRunId,
    *,
    state: LineState | None,
    after: int,
    limit: int,
) -> list[LineView]:
    """Lines of a run beyond line number `after`, in order. Without `state`: those with a remark.

    Refuses: forbidden, not_found.
    """
    await run_of(work, officer, run_id)
    if state is None:
        return await work.structs(LineView, _LINES_TOLD, run_id, after, limit)
    told = state in (LineState.HELD, LineState.REJECTED, LineState.RETURNED)
    sql = _LINES_TOLD_IN_STATE if told else _LINES_IN_STATE
    return await work.structs(LineView, sql, run_id, after, limit, state.value)


def decide_approval(state: RunState, maker: UUID, checker: UUID) -> None:
    """Refuses: illegal_transition, four_eyes."""
    if state is not RunState.CHECKED:
        raise Refused(Reason.ILLEGAL_TRANSITION, state=state.value)
    if maker == checker:
        raise Refused(Reason.FOUR_EYES)


def _agency_of(officer: Member, *any_of: Permission) -> AgencyId:
    if officer.agency is None or (any_of and not officer.permissions.intersection(any_of)):
        raise Refused(Reason.FORBIDDEN)
    return officer.agency


def _stored(fault: FileFault) -> dict[str, Any]:
    return {"code": fault.code.value, "line_no": fault.line_no, "facts": fault.facts}


_BEYOND: Final = UUID(int=2**128 - 1)

_ADD_RUN: Final = """
insert into salary_runs (id, agency, state, sha256, size_bytes, maker, received_at)
values ($1, $2, 'RECEIVED', $3, $4, $5, $6)
on conflict (agency, sha256) where state <> 'REFUSED' do nothing
returning id
"""

_RUN_OF_FILE: Final = """
select id from salary_runs where agency = $1 and sha256 = $2 and state <> 'REFUSED'
"""

_ADD_PART: Final = "insert into salary_files (run_id, part, bytes) values ($1, $2, $3)"

_LOCK_RUN: Final = """
select state, maker, sha256 from salary_runs where id = $1 and agency = $2 for update
"""

_APPROVE: Final = """
update salary_runs set state = 'APPROVED', checker = $2, approved_at = $3
where id = $1 and state = 'CHECKED'
"""

_BANKS_OF_RUN: Final = "select bank from salary_shares where run_id = $1 order by bank"

_REFUSE: Final = """
update salary_runs
set state = 'REFUSED', faults = faults || $2::jsonb, checked_at = coalesce(checked_at, $3)
where id = $1 and state in ('RECEIVED', 'CHECKED')
"""

_SELECT_RUN: Final = """
select r.*, coalesce(p.paid_lines, 0) as paid_lines, coalesce(p.paid_minor, 0) as paid_minor,
       coalesce(p.returned_lines, 0) as returned_lines,
       coalesce(p.returned_minor, 0) as returned_minor
from salary_runs r
left join lateral (
    select sum(paid_lines)::bigint as paid_lines, sum(paid_minor)::bigint as paid_minor,
           sum(returned_lines)::bigint as returned_lines,
           sum(returned_minor)::bigint as returned_minor
    from salary_shares where run_id = r.id) p on true
"""

_RUN: Final = _SELECT_RUN + "where r.agency = $1 and r.id = $2"

_RUNS: Final = _SELECT_RUN + "where r.agency = $1 and r.id < $2 order by r.id desc limit $3"

_SELECT_LINES: Final = """
select line_no, state, code, other_line, staff_no, account_no, amount_minor
from salary_lines where run_id = $1 and line_no > $2
"""

_LINES_TOLD: Final = _SELECT_LINES + "and code is not null order by line_no limit $3"

# Lines in these states always carry a code, which is what their index is made of.
_LINES_TOLD_IN_STATE: Final = (
    _SELECT_LINES + "and code is not null and state = $4 order by line_no limit $3"
)

_LINES_IN_STATE: Final = _SELECT_LINES + "and state = $4 order by line_no limit $3"
