"""A payroll office for tests: people, their file, the two officers, the two jobs."""

import hashlib
from collections.abc import Sequence

from msgspec import Struct

from tests.world import WorldHolder
from wallet.access.members import Member, Permission, Role, StaffKind
from wallet.identifiers import AgencyId, BankId, SalaryRunId, StaffId, new_id
from wallet.jobs import Again
from wallet.ledger import proof as books
from wallet.ledger.proof import prove
from wallet.outcomes import Declined, Done, Outcome
from wallet.salary import runs
from wallet.salary.check import check
from wallet.salary.file import COLUMNS
from wallet.salary.pay import pay
from wallet.salary.proof import CHECKS
from wallet.salary.runs import LineState, LineView, Run, RunState, Upload
from wallet.teller import Teller
from wallet.work import SYSTEM, Work, Works

HEADER = ",".join(COLUMNS)
SALARY = 1_309_477


class Line(Struct, frozen=True, kw_only=True):
    """One line of a file, made from a person; any cell may be put wrong."""

    holder: WorldHolder
    amount: int | str = SALARY
    staff_no: str | None = None
    account_no: str | None = None
    name_latin: str | None = None
    name_khmer: str | None = None

    def text(self, period: str, half: int) -> str:
        cells = (
            self.holder.staff_no if self.staff_no is None else self.staff_no,
            self.holder.khr_number if self.account_no is None else self.account_no,
            self.name_latin or self.holder.name_latin,
            self.name_khmer or self.holder.name_khmer,
            str(self.amount),
            period,
            str(half),
        )
        return ",".join(cells)


def file_of(lines: Sequence[Line], *, period: str = "2026-01", half: int = 1) -> bytes:
    total = sum(int(line.amount) for line in lines)
    rows = [HEADER, *(line.text(period, half) for line in lines), f"TOTAL,{len(lines)},{total}"]
    return ("\n".join(rows) + "\n").encode()


_ALLOWS = {Role.MAKER: Permission.SALARY_SEND, Role.CHECKER: Permission.SALARY_APPROVE}


def officer(*roles: Role, agency: str = "MCS") -> Member:
    has = roles or (Role.MAKER, Role.CHECKER)
    return Member(
        id=StaffId(new_id()),
        kind=StaffKind.AGENCY_OFFICER,
        name="officer",
        roles=frozenset(has),
        permissions=frozenset(_ALLOWS[role] for role in has),
        agency=AgencyId(agency),
    )


async def _right(work: Work) -> Declined | None:
    return None


class Office:
    """The two officers of one agency at work, each act in a Work of its own."""

    def __init__(self, works: Works, teller: Teller, agency: str = "MCS") -> None:
        self.works = works
        self.teller = teller
        self.maker = officer(Role.MAKER, agency=agency)
        self.checker = officer(Role.CHECKER, agency=agency)

    async def upload(self, data: bytes, part: int = 1 << 19) -> SalaryRunId:
        upload = Upload(sha256=hashlib.sha256(data).digest(), size_bytes=len(data))
        parts = [data[start : start + part] for start in range(0, len(data), part)]
        outcome = await self.works.perform(
            self.maker.actor, None, lambda work: runs.receive(work, self.maker, upload, parts)
        )
        assert isinstance(outcome, Done)
        return SalaryRunId(type(new_id())(outcome.answer["run_id"]))

    async def send(self, data: bytes) -> Run:
        """Upload and check."""
        run_id = await self.upload(data)
        await check(self.works, run_id)
        return await self.run(run_id)

    async def approve(
        self,
        run: Run,
        *,
        by: Member | None = None,
        sha256: str | None = None,
        second_factor: runs.SecondFactor = _right,
    ) -> Outcome:
        who = by or self.checker
        return await self.works.perform(
            who.actor,
            None,
            lambda work: runs.approve(work, who, run.id, sha256 or run.sha256.hex(), second_factor),
        )

    async def recall(self, run: Run) -> Outcome:
        return await self.works.perform(
            self.maker.actor, None, lambda work: runs.recall(work, self.maker, run.id)
        )

    async def pay(self, run: Run, *banks: str) -> Run:
        for bank in banks or ("ACLEDA", "CANADIA", "WING"):
            while True:
                try:
                    await pay(self.works, self.teller, run.id, BankId(bank))
                except Again:
                    continue
                break
        return await self.run(run.id)

    async def pay_whole(self, data: bytes) -> Run:
        run = await self.send(data)
        assert run.state is RunState.CHECKED, run.faults
        await self.approve(run)
        return await self.pay(run)

    async def run(self, run_id: SalaryRunId) -> Run:
        return await self.works.read(
            self.maker.actor, None, lambda work: runs.run_of(work, self.maker, run_id)
        )

    async def lines(self, run: Run, state: LineState | None = None) -> list[LineView]:
        return await self.works.read(
            self.maker.actor,
            None,
            lambda work: runs.lines_of(work, self.maker, run.id, state=state, after=0, limit=1000),
        )

    async def codes(self, run: Run) -> dict[int, tuple[str, str]]:
        """Line number -> (state, code) of every line with a remark."""
        return {
            line.line_no: (line.state.value, line.code.value)
            for line in await self.lines(run)
            if line.code is not None
        }

    async def count(self, sql: str, *arguments: object) -> int:
        async def query(work: Work) -> int:
            found: int = await work.value(sql, *arguments)
            return found

        return await self.works.read(SYSTEM, None, query)

    async def credited(self, holder: WorldHolder) -> int:
        return await self.count(
            "select (credits_posted - debits_posted)::bigint from accounts where id = $1",
            holder.khr,
        )

    async def notices(self, holder: WorldHolder) -> int:
        return await self.count(
            "select count(*) from events where holder_id = $1 and kind = 'salary.paid'", holder.id
        )


async def assert_books_right(works: Works) -> None:
    """The proof over the whole database, as the owner sees it."""
    findings = await prove(works, (*books.CHECKS, *CHECKS))
    assert [finding for finding in findings if not finding.right] == []
