"""The job that pays an approved run: one bank's lines, in groups, each line once.

Promise: a credit, its line's state, the bank's progress and the holder's event commit together,
so a worker killed anywhere leaves only whole groups behind and the next one goes on. A line's
transfer id follows from run and line number: even two workers at once could not credit it twice.
A group that fails for one line's sake is paid line by line. Banks are paid side by side.

Tables owned: see `runs` and `check`; here lines turn PAID or RETURNED and shares grow.
Who calls: runtime's worker, job `salary.pay`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.events import SalaryPaid
from wallet.identifiers import AccountId, BankId, HolderId, SalaryRunId, TransferId, derived_id
from wallet.jobs import Again
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Currency, Money
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.salary.findings import LineCode
from wallet.salary.runs import LineState, RunState
from wallet.teller import Lane, Teller
from wallet.turns import Priority
from wallet.work import WORKER, Work, Works

GROUP: Final = 1000
"""Lines to one transaction: large enough to share its commit, small enough to lock for a blink."""

PATIENCE_S: Final = 20.0
"""How long one call pays before it hands the job back, well within a job's lease."""


class LineToPay(Struct, frozen=True, kw_only=True):
    run_id: SalaryRunId
    line_no: int


async def pay_lines(work: Work, wanted: Sequence[LineToPay]) -> list[GroupAnswer]:
    """Credit the lines that are still to be paid; one answer each, in order.

    Done answers `state`: PAID, RETURNED, or null when the line was not ours to pay (paid already,
    being paid by another worker, or its run is not approved).
    """
    by_run: dict[SalaryRunId, list[int]] = {}
    for want in wanted:
        by_run.setdefault(want.run_id, []).append(want.line_no)
    rows = []
    for run_id in sorted(by_run):
        rows += await work.rows(_TAKE, run_id, by_run[run_id], work.bank)
    became: dict[tuple[UUID, int], str] = {}
    if rows:
        for row, transfer_id in await _credit(work, rows):
            state = LineState.RETURNED if transfer_id is None else LineState.PAID
            became[(row["run_id"], row["line_no"])] = state.value
    return [Done(answer={"state": became.get((want.run_id, want.line_no))}) for want in wanted]


PAY_LINES: Final = Lane[LineToPay]("salary.pay", pay_lines, priority=Priority.BULK)


async def pay(works: Works, teller: Teller, run_id: SalaryRunId, bank: BankId) -> None:
    """Pay what is left of one bank's share. Safe to run twice, or twice at once.

    Raises `Again` while lines are left: the time is up, or another worker holds them.
    Refuses: in_flight, unavailable, internal (a line that fails every time; the others are paid).
    """
    if not await works.perform(WORKER, None, lambda work: _begin(work, run_id)):
        return
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    failed: Refused | None = None
    after = 0
    while group := await _next_lines(works, run_id, bank, after):
        for answer in await teller.ask_group(PAY_LINES, bank, group):
            failed = answer if isinstance(answer, Refused) else failed
        after = group[-1].line_no
        if asyncio.get_running_loop().time() > deadline:
            raise Again(pause_s=0.0)
    if failed is not None:
        raise failed
    if not await _conclude(works, run_id, bank):
        raise Again(pause_s=1.0)


async def _begin(work: Work, run_id: SalaryRunId) -> bool:
    """Whether the run is one to pay; the first bank's job marks it PAYING."""
    await work.execute(_BEGIN, run_id)
    state = await work.value(_STATE, run_id)
    return bool(state == RunState.PAYING)


async def _next_lines(
    works: Works, run_id: SalaryRunId, bank: BankId, after: int
) -> list[LineToPay]:
    async def query(work: Work) -> list[LineToPay]:
        rows = await work.rows(_NEXT, run_id, bank, after, GROUP)
        return [LineToPay(run_id=run_id, line_no=row["line_no"]) for row in rows]

    return await works.read(WORKER, bank, query)


async def _credit(work: Work, rows: Sequence[Any]) -> list[tuple[Any, TransferId | None]]:
    """Post every line from the bank's treasury account; None where the wallet is closed."""
    treasury = await house_account(work, AccountKind.TREASURY, Currency.KHR)
    ids = [TransferId(derived_id(row["run_id"], str(row["line_no"]))) for row in rows]
    accounts = [AccountId(row["account_id"]) for row in rows]
    book = await open_book(work, accounts=[treasury, *accounts], ids=ids)
    credited: list[tuple[Any, TransferId | None]] = []
    for row, transfer_id, account in zip(rows, ids, accounts, strict=True):
        posting = Posting(
            id=transfer_id,
            debit=treasury,
            credit=account,
            money=Money.khr(row["amount_minor"]),
            kind=TransferKind.SALARY,
            reference=row["run_id"],
        )
        answer = book.post(posting)
        if isinstance(answer, Posted):
            work.emit(_event(row, posting.money))
            credited.append((row, transfer_id))
        elif answer.reason is Reason.ACCOUNT_CLOSED:
            credited.append((row, None))
        else:
            raise AssertionError(f"salary line {row['line_no']}: {answer.reason.value}")
    await book.write()
    await _write_lines(work, credited)
    return credited


def _event(row: Any, money: Money) -> SalaryPaid:
    return SalaryPaid(
        holder_id=HolderId(row["holder_id"]),
        money=money,
        agency=row["agency"],
        period=row["period"],
        half=row["half"],
        account_last_four=row["account_no"][-4:],
        run_id=str(row["run_id"]),
    )


async def _write_lines(work: Work, credited: Sequence[tuple[Any, TransferId | None]]) -> None:
    settled = await work.execute(
        _SETTLE,
        [row["run_id"] for row, _ in credited],
        [row["line_no"] for row, _ in credited],
        [transfer_id for _, transfer_id in credited],
        LineCode.WALLET_CLOSED.value,
    )
    if settled != f"UPDATE {len(credited)}":
        raise AssertionError("a line we hold locked was settled by somebody else")
    await work.execute(
        _GROW_SHARES,
        work.bank,
        [row["run_id"] for row, _ in credited],
        [row["amount_minor"] for row, _ in credited],
        [transfer_id is not None for _, transfer_id in credited],
    )


async def _conclude(works: Works, run_id: SalaryRunId, bank: BankId) -> bool:
    """Whether this bank's share is done; the last bank to be done makes the run PAID."""

    async def conclude(work: Work) -> bool:
        if await work.value(_LEFT_IN_SHARE, run_id, bank):
            return False
        if await work.value(_PAID, run_id, work.now) is not None:
            work.note("salary.paid", str(run_id))
        return True

    return await works.perform(WORKER, None, conclude)


_BEGIN: Final = "update salary_runs set state = 'PAYING' where id = $1 and state = 'APPROVED'"

_STATE: Final = "select state from salary_runs where id = $1"

_NEXT: Final = """
select line_no from salary_lines
where run_id = $1 and bank = $2 and state = 'PENDING' and line_no > $3
order by line_no limit $4
"""

# Locked in line order, before any account; lines another worker holds are left to it. One run at
# a time by its primary key: joined to a list of lines, a table without statistics is read whole.
_TAKE: Final = """
select l.run_id, l.line_no, l.holder_id, l.account_id, l.account_no, l.amount_minor,
       r.agency, r.period, r.half
from salary_lines l
join salary_runs r on r.id = l.run_id and r.state in ('APPROVED', 'PAYING')
where l.run_id = $1 and l.line_no = any($2::int[]) and l.state = 'PENDING' and l.bank = $3
order by l.line_no
for update of l skip locked
"""

_SETTLE: Final = """
update salary_lines l
set state = case when s.transfer_id is null then 'RETURNED' else 'PAID' end,
    transfer_id = s.transfer_id,
    code = case when s.transfer_id is null then $4 else l.code end
from unnest($1::uuid[], $2::int[], $3::uuid[]) as s (run_id, line_no, transfer_id)
where l.run_id = s.run_id and l.line_no = s.line_no and l.state = 'PENDING'
"""

_GROW_SHARES: Final = """
with done as (
    select run_id, count(*) filter (where paid) as paid_lines,
           coalesce(sum(minor) filter (where paid), 0) as paid_minor,
           count(*) filter (where not paid) as returned_lines,
           coalesce(sum(minor) filter (where not paid), 0) as returned_minor
    from unnest($2::uuid[], $3::bigint[], $4::bool[]) as d (run_id, minor, paid)
    group by run_id)
update salary_shares s
set paid_lines = s.paid_lines + d.paid_lines, paid_minor = s.paid_minor + d.paid_minor,
    returned_lines = s.returned_lines + d.returned_lines,
    returned_minor = s.returned_minor + d.returned_minor
from done d where s.run_id = d.run_id and s.bank = $1
"""

_LEFT_IN_SHARE: Final = """
select payable_lines > paid_lines + returned_lines
from salary_shares where run_id = $1 and bank = $2
"""

_PAID: Final = """
update salary_runs r set state = 'PAID', paid_at = $2
where id = $1 and state = 'PAYING'
  and not exists (select 1 from salary_shares s
                  where s.run_id = r.id and s.payable_lines > s.paid_lines + s.returned_lines)
returning id
"""
