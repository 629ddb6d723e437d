"""The job that reads a received file: every line verified, totals compared, counts laid out.

Promise: it may be killed anywhere and begun again: each beginning takes a new reading number,
clears what an earlier reading wrote, and every step makes sure that its reading is still the
latest. Steps are short transactions, so a large file holds up neither events nor officers.
Memory: one part of the file at a time, and a number per person (see `file`).

Tables owned: salary_lines (written here, paid in `pay`), salary_shares (opened here).
Who calls: runtime's worker, job `salary.check`.
"""

from typing import Final

from wallet.database import UniqueViolation
from wallet.identifiers import AgencyId, SalaryRunId
from wallet.salary import runs
from wallet.salary.file import ReadLine, SalaryReader, Totals
from wallet.salary.findings import FileCode, FileFault, LineCode
from wallet.salary.people import NOBODY, Judged, judge
from wallet.salary.runs import LineState
from wallet.work import WORKER, Work, Works

_COUNTED: Final = (LineState.PENDING, LineState.HELD, LineState.REJECTED)


class _OvertakenError(Exception):
    """Another worker began a newer reading, or an officer recalled the file: leave it be."""


class _Tally:
    """What the lines come to so far: counts and sums by state and by bank."""

    def __init__(self) -> None:
        self.lines = dict.fromkeys(_COUNTED, 0)
        self.minor = dict.fromkeys(_COUNTED, 0)
        self.flagged = 0
        self.own = 0
        self.others = 0
        self.shares: dict[str, list[int]] = {}

    def add(self, judged: list[Judged], agency: AgencyId) -> None:
        for found in judged:
            amount = found.line.amount_minor
            self.lines[found.state] += 1
            self.minor[found.state] += amount
            if found.person is not None:
                self.own += found.person["agency"] == agency
                self.others += found.person["agency"] != agency
            if found.state is LineState.PENDING:
                self.flagged += found.code is not None
                share = self.shares.setdefault(found.person["bank"], [0, 0])
                share[0] += 1
                share[1] += amount

    def hold(self, bank: str, amount: int, *, flagged: bool) -> None:
        """A line counted as payable turned out to be in doubt."""
        self.lines[LineState.PENDING] -= 1
        self.lines[LineState.HELD] += 1
        self.minor[LineState.PENDING] -= amount
        self.minor[LineState.HELD] += amount
        self.flagged -= flagged
        self.shares[bank][0] -= 1
        self.shares[bank][1] -= amount


class _Check:
    """One reading of one run's file."""

    def __init__(self, works: Works, run_id: SalaryRunId, agency: AgencyId, reading: int) -> None:
        self._works = works
        self._run_id = run_id
        self._agency = agency
        self._reading = reading
        self._tally = _Tally()
        self._faults: list[FileFault] = []
        self._period_claimed = False

    async def read(self) -> None:
        reader = SalaryReader()
        part = 0
        while not reader.stopped and (data := await self._part(part)) is not None:
            await self._take(reader, reader.feed(data))
            part += 1
        await self._take(reader, reader.finish())
        await self._conclude(reader.totals())

    async def _part(self, part: int) -> bytes | None:
        async def load(work: Work) -> bytes | None:
            data: bytes | None = await work.value(_PART, self._run_id, part)
            return data

        return await self._works.read(WORKER, None, load)

    async def _take(self, reader: SalaryReader, lines: list[ReadLine]) -> None:
        if reader.period is not None and not self._period_claimed:
            await self._claim_period(reader.period, reader.half)
        if not lines:
            return

        async def write(work: Work) -> list[Judged]:
            await self._still_ours(work)
            judged = await judge(work, self._agency, lines)
            await _write_lines(work, self._run_id, judged)
            return judged

        self._tally.add(await self._works.perform(WORKER, None, write), self._agency)

    async def _claim_period(self, period: str, half: int | None) -> None:
        """The business key: one file of an agency a period and half, unless refused."""
        self._period_claimed = True

        async def claim(work: Work) -> None:
            await self._still_ours(work)
            await work.execute(_CLAIM_PERIOD, self._run_id, period, half)

        async def holder_of_period(work: Work) -> str:
            found = await work.value(_RUN_OF_PERIOD, self._agency, period, half)
            return str(found)

        try:
            await self._works.perform(WORKER, None, claim)
        except UniqueViolation:
            before = await self._works.read(WORKER, None, holder_of_period)
            facts: dict[str, str | int] = {"period": period, "half": half or 0, "run_id": before}
            self._faults.append(FileFault(code=FileCode.PERIOD_REPEATED, facts=facts))

    async def _conclude(self, totals: Totals) -> None:
        async def conclude(work: Work) -> None:
            await self._still_ours(work)
            tally = self._tally
            if totals.conflicting:
                held = await work.rows(_HOLD_CONFLICTING, self._run_id, list(totals.conflicting))
                for row in held:
                    tally.hold(row["bank"], row["amount_minor"], flagged=row["flagged"])
            await self._write_counts(work, totals)
            faults = decide_faults(self._faults + list(totals.faults), tally)
            if faults:
                await runs.refuse(work, self._run_id, faults)
            else:
                await self._open_shares(work)
                await work.execute(_CHECKED, self._run_id, work.now)

        await self._works.perform(WORKER, None, conclude)

    async def _write_counts(self, work: Work, totals: Totals) -> None:
        tally = self._tally
        counts = [
            figure for state in _COUNTED for figure in (tally.lines[state], tally.minor[state])
        ]
        await work.execute(
            _COUNTS, self._run_id, totals.lines, totals.sum_minor, *counts, tally.flagged
        )

    async def _open_shares(self, work: Work) -> None:
        shares = [(bank, *share) for bank, share in sorted(self._tally.shares.items()) if share[0]]
        await work.execute(
            _OPEN_SHARES,
            self._run_id,
            [bank for bank, _, _ in shares],
            [lines for _, lines, _ in shares],
            [minor for _, _, minor in shares],
        )

    async def _still_ours(self, work: Work) -> None:
        latest = await work.value(_LATEST_READING, self._run_id)
        if latest != self._reading:
            raise _OvertakenError


async def check(works: Works, run_id: SalaryRunId) -> None:
    """Read the run's file, if it still waits to be read. Safe to run twice, or twice at once.

    Refuses: in_flight, unavailable (the job is tried again).
    """

    async def begin(work: Work) -> tuple[AgencyId, int] | None:
        row = await work.row(_BEGIN_READING, run_id)
        if row is None:
            return None
        await work.execute(_CLEAR_LINES, run_id)
        return AgencyId(row["agency"]), row["reading"]

    begun = await works.perform(WORKER, None, begin)
    if begun is None:
        return
    agency, reading = begun
    try:
        await _Check(works, run_id, agency, reading).read()
    except _OvertakenError:
        return


def decide_faults(faults: list[FileFault], tally: _Tally) -> list[FileFault]:
    """The file-level faults, those of the people in it included."""
    found = list(faults)
    if tally.others > tally.own:
        facts: dict[str, str | int] = {"own": tally.own, "others": tally.others}
        found.append(FileFault(code=FileCode.OTHER_AGENCY_FILE, facts=facts))
    if not found and not tally.lines[LineState.PENDING]:
        found.append(FileFault(code=FileCode.NOTHING_TO_PAY))
    return found


async def _write_lines(work: Work, run_id: SalaryRunId, judged: list[Judged]) -> None:
    people = [found.person for found in judged]
    await work.execute(
        _WRITE_LINES,
        run_id,
        [found.line.line_no for found in judged],
        [NOBODY if person is None else person["bank"] for person in people],
        [found.state.value for found in judged],
        [None if found.code is None else found.code.value for found in judged],
        [found.line.other_line or None for found in judged],
        [found.line.staff_no for found in judged],
        [found.line.account_no for found in judged],
        [found.line.amount_minor for found in judged],
        [None if person is None else person["holder_id"] for person in people],
        [None if person is None else person["account_id"] for person in people],
    )


_BEGIN_READING: Final = """
update salary_runs set reading = reading + 1, period = null, half = null
where id = $1 and state = 'RECEIVED'
returning agency, reading
"""

_CLEAR_LINES: Final = "delete from salary_lines where run_id = $1"

_LATEST_READING: Final = """
select reading from salary_runs where id = $1 and state = 'RECEIVED' for update
"""

_PART: Final = "select bytes from salary_files where run_id = $1 and part = $2"

_CLAIM_PERIOD: Final = "update salary_runs set period = $2, half = $3 where id = $1"

_RUN_OF_PERIOD: Final = """
select id from salary_runs
where agency = $1 and period = $2 and half = $3 and state <> 'REFUSED'
"""

_WRITE_LINES: Final = """
insert into salary_lines (run_id, line_no, bank, state, code, other_line, staff_no, account_no,
                          amount_minor, holder_id, account_id)
select $1, * from unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[],
                         $8::text[], $9::bigint[], $10::uuid[], $11::bigint[])
"""

_HOLD_CONFLICTING: Final = f"""
update salary_lines l set state = 'HELD', code = '{LineCode.DUPLICATE_DIFFERS.value}'
from (select line_no, code from salary_lines
      where run_id = $1 and line_no = any($2::int[]) and state = 'PENDING') before
where l.run_id = $1 and l.line_no = before.line_no
returning l.bank, l.amount_minor, before.code is not null as flagged
"""  # noqa: S608 - a code of ours

_COUNTS: Final = """
update salary_runs
set lines = $2, sum_minor = $3, accepted_lines = $4, accepted_minor = $5, held_lines = $6,
    held_minor = $7, rejected_lines = $8, rejected_minor = $9, flagged_lines = $10
where id = $1
"""

_CHECKED: Final = "update salary_runs set state = 'CHECKED', checked_at = $2 where id = $1"

_OPEN_SHARES: Final = """
insert into salary_shares (run_id, bank, payable_lines, payable_minor)
select $1, * from unnest($2::text[], $3::int[], $4::bigint[])
"""
