"""Business days: a bank's books closed day by day, and the trial balance each day leaves.

Promise: a business day is a Phnom Penh calendar day, every day of the year, since wallets pay
on holidays too; `settles_on` is the working day after it (Monday to Friday, no public holiday), on
which banks settle it between themselves. Closing locks nothing a payment needs, can be asked for
again, and is either whole or not there: cut, trial balance, checkpoints and the next day commit
together.

    (none) -> OPEN     the first day of a bank, or the day before was closed
    OPEN   -> CLOSING  its midnight has passed; transactions of before it may still be ending
    CLOSING -> CLOSED  the journal is final beyond midnight and the books agree
            -> CLOSING the books differ: `difference` says where, nothing is frozen
    CLOSED stays as it is (a trigger sees to it)

The cut: the first transfer, in the journal's order, that began at or after midnight, and all that
follow it, belong to the next day. So a late entry (begun before midnight, in the journal only
after that first one) belongs to the next business date, and is counted there.

Tables owned: business_days, trial_balances. Who calls: runtime (the worker's job, the command),
bank door.
"""

import enum
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from wallet.clock import day_of, midnight_of
from wallet.identifiers import BankId
from wallet.ledger import checkpoints
from wallet.ledger.proof import Check
from wallet.money import Currency
from wallet.outcomes import Reason, Refused
from wallet.work import WORKER, Actor, Work, Works

CLOSE_JOB: Final = "day.close"
JOB_GRACE: Final = timedelta(seconds=10)
"""After midnight before the worker closes: by then the transactions of before have ended."""

_ONE_DAY: Final = timedelta(days=1)
_COUNTERS: Final = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")


class DayState(enum.StrEnum):
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class BusinessDay(Struct, frozen=True, kw_only=True):
    """`late_entries`: of its `entries`, those that began before it did."""

    bank: BankId
    day: date
    state: DayState
    settles_on: date
    cut_seq: int | None
    entries: int | None
    late_entries: int | None
    difference: str | None
    opened_at: datetime
    closed_at: datetime | None


class TrialLine(Struct, frozen=True, kw_only=True):
    """One kind of account in one currency: what moved on the day, and where it stood at its end.
    Minor units."""

    currency: Currency
    kind: str
    day_debits: int
    day_credits: int
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int


async def open_first(works: Works, bank: BankId) -> None:
    """Give a bank that has no business day yet its first: today. What was booked before belongs
    to it. Safe to call again."""

    async def act(work: Work) -> None:
        if await work.value(_HAS_DAY, bank) is None:
            await _open(work, bank, day_of(work.now))

    if await works.read(WORKER, bank, lambda work: work.value(_HAS_DAY, bank)) is None:
        await works.perform(WORKER, bank, act)


async def close(
    works: Works,
    bank: BankId,
    day: date,
    *,
    actor: Actor = WORKER,
    spacing: checkpoints.Spacing = checkpoints.SPACING,
) -> BusinessDay:
    """Close one business day, or tell how far it is: CLOSED; CLOSING with a `difference` that must
    be put right first; CLOSING without one while transactions of before midnight still run (ask
    again). A closed day is answered as it is.

    Refuses: business_day_not_over, not_found (no such day, or days before it are not closed).
    """

    async def begin(work: Work) -> None:
        found = await day_at(work, day)
        ends = midnight_of(day + _ONE_DAY)
        if found is None:
            raise Refused(Reason.NOT_FOUND)
        if work.now < ends:
            raise Refused(Reason.BUSINESS_DAY_NOT_OVER, ends=ends.isoformat())
        await work.execute(_BEGIN, bank, day)

    async def end(work: Work) -> BusinessDay:
        closed = await _end(work, bank, day, spacing)
        if closed.state is DayState.CLOSED:
            work.note("day.close", f"{bank} {day}", actor=actor)
        return closed

    await works.perform(actor, bank, begin)
    # The first mark may have been waiting since before midnight; the second is of after it.
    for _ in range(2):
        await checkpoints.settle(works, bank)
    return await works.perform(actor, bank, end)


async def day_at(work: Work, day: date) -> BusinessDay | None:
    """A business day of the Work's bank."""
    return await work.struct(BusinessDay, _DAY, work.bank, day)


async def unclosed(work: Work) -> BusinessDay | None:
    """The bank's business day that is not closed: the date new entries are booked on."""
    return await work.struct(BusinessDay, _UNCLOSED, work.bank)


async def latest(work: Work, *, before: date | None = None, limit: int = 50) -> list[BusinessDay]:
    """The bank's business days before `before`, newest first."""
    return await work.structs(BusinessDay, _LATEST, work.bank, before or date.max, limit)


async def trial_balance(work: Work, day: date) -> list[TrialLine]:
    """What a closed day left. Refuses: not_found, business_day_not_closed."""
    found = await day_at(work, day)
    if found is None:
        raise Refused(Reason.NOT_FOUND)
    if found.state is not DayState.CLOSED:
        raise Refused(Reason.BUSINESS_DAY_NOT_CLOSED)
    return await work.structs(TrialLine, _TRIAL_BALANCE, work.bank, day)


async def _end(work: Work, bank: BankId, day: date, spacing: checkpoints.Spacing) -> BusinessDay:
    mark = await checkpoints.lock(work, bank)
    found = await day_at(work, day)
    assert found is not None  # noqa: S101 - begun before
    ends = midnight_of(day + _ONE_DAY)
    if found.state is DayState.CLOSED or mark.marked_at is None or mark.marked_at < ends:
        return found
    before = await work.row(_DAY_BEFORE, bank, day)
    start = 0 if before is None else before["cut_seq"]
    cut = int(await work.value(_CUT, bank, start, mark.seq, ends))
    previous = await work.rows(_TRIAL_BALANCE, bank, None if before is None else before["day"])
    lines, difference = decide_close(
        {(row["kind"], row["currency"]): row for row in previous},
        await work.rows(_TOTALS, bank, start, cut),
    )
    if difference is not None:
        await work.execute(_DIFFERS, bank, day, difference)
        return _there(await day_at(work, day))
    counted = await work.row(_COUNT, bank, start, cut, midnight_of(day))
    assert counted is not None  # noqa: S101 - an aggregate answers one row
    await _freeze(work, bank, day, lines)
    if cut > mark.checkpoint_seq:
        await checkpoints.extend(work, cut, spacing=spacing)
    if (day + _ONE_DAY).day == 1:
        await checkpoints.checkpoint_all(work, cut, ends - timedelta(microseconds=1))
    await work.execute(_CLOSE, bank, day, cut, counted["entries"], counted["late"], work.now)
    await _open(work, bank, day + _ONE_DAY)
    return _there(await day_at(work, day))


async def _open(work: Work, bank: BankId, day: date) -> None:
    await work.execute(_OPEN, bank, day, work.now)
    work.later(
        CLOSE_JOB,
        {"bank": bank, "day": day.isoformat()},
        at=midnight_of(day + _ONE_DAY) + JOB_GRACE,
        dedupe=f"{CLOSE_JOB}:{bank}:{day}",
    )


async def _freeze(work: Work, bank: BankId, day: date, lines: Sequence[TrialLine]) -> None:
    fields = ("day_debits", "day_credits", "debits_posted", "credits_posted")
    pending = ("debits_pending", "credits_pending")
    await work.execute(
        _FREEZE,
        bank,
        day,
        [line.currency.value for line in lines],
        [line.kind for line in lines],
        *([getattr(line, field) for line in lines] for field in (*fields, *pending)),
    )


def _there(day: BusinessDay | None) -> BusinessDay:
    assert day is not None  # noqa: S101 - days are never deleted
    return day


def decide_close(
    previous: Mapping[tuple[str, str], Any], totals: Sequence[Any]
) -> tuple[list[TrialLine], str | None]:
    """The day's trial balance out of the day before's and what the journal says moved, and the
    first difference: a kind whose accounts stand elsewhere, or a currency that is out of balance.
    """
    lines, difference = [], None
    for row in totals:
        known = previous.get((row["kind"], row["currency"]), dict.fromkeys(_COUNTERS, 0))
        says = {name: int(known[name] + row[f"day_{name}"]) for name in _COUNTERS}
        stand = {name: int(row[f"now_{name}"] - row[f"after_{name}"]) for name in _COUNTERS}
        if says != stand and difference is None:
            difference = (
                f"{row['currency']} {row['kind']}: the journal says {_told(says)}, "
                f"the accounts stand at {_told(stand)}"
            )
        if any(says.values()):
            lines.append(
                TrialLine(
                    currency=Currency(row["currency"]),
                    kind=row["kind"],
                    day_debits=int(row["day_debits_posted"]),
                    day_credits=int(row["day_credits_posted"]),
                    **says,
                )
            )
    return lines, difference or _out_of_balance(lines)


def _out_of_balance(lines: Sequence[TrialLine]) -> str | None:
    for currency in Currency:
        for what in ("posted", "pending"):
            debits, credits = (
                sum(getattr(one, f"{side}_{what}") for one in lines if one.currency is currency)
                for side in ("debits", "credits")
            )
            if debits != credits:
                return f"{currency.value}: debits {what} {debits}, credits {what} {credits}"
    return None


def _told(counters: Mapping[str, int]) -> str:
    return "/".join(str(counters[name]) for name in _COUNTERS)


_FIELDS = """bank, day, state, settles_on, cut_seq, entries, late_entries, difference, opened_at,
       closed_at"""

_HAS_DAY = "select true from business_days where bank = $1 limit 1"

_DAY = f"select {_FIELDS} from business_days where bank = $1 and day = $2"  # noqa: S608 - of constants

_UNCLOSED = f"""
select {_FIELDS} from business_days where bank = $1 and state <> 'CLOSED'
"""  # noqa: S608 - of constants

_LATEST = f"""
select {_FIELDS} from business_days where bank = $1 and day < $2 order by day desc limit $3
"""  # noqa: S608 - of constants

_DAY_BEFORE = """
select day, cut_seq from business_days where bank = $1 and day < $2 order by day desc limit 1
"""

# The next Monday to Friday that is no public holiday; a month of holidays does not happen.
_OPEN = """
insert into business_days (bank, day, state, settles_on, opened_at)
select $1, $2, 'OPEN', min(later.day), $3
from (select $2::date + step as day from generate_series(1, 60) step) later
where extract(isodow from later.day) < 6
  and not exists (select from public_holidays h where h.day = later.day)
on conflict do nothing
"""

_BEGIN = """
update business_days set state = 'CLOSING' where bank = $1 and day = $2 and state = 'OPEN'
"""

_DIFFERS = "update business_days set difference = $3 where bank = $1 and day = $2"

_CLOSE = """
update business_days
set state = 'CLOSED', cut_seq = $3, entries = $4, late_entries = $5, closed_at = $6,
    difference = null
where bank = $1 and day = $2
"""

_CUT = """
select coalesce(min(seq) - 1, $3) from transfers
where bank = $1 and seq > $2 and seq <= $3 and at >= $4
"""

_COUNT = """
select count(*) as entries, count(*) filter (where at < $4 and $2 > 0) as late
from transfers where bank = $1 and seq > $2 and seq <= $3
"""

# Counters and journal in one statement, hence one snapshot: payments may go on meanwhile.
_TOTALS = """
with moved as (
    select account_id, currency,
           coalesce(sum(debits_pending) filter (where seq <= $3), 0) as day_dp,
           coalesce(sum(debits_posted) filter (where seq <= $3), 0) as day_d,
           coalesce(sum(credits_pending) filter (where seq <= $3), 0) as day_cp,
           coalesce(sum(credits_posted) filter (where seq <= $3), 0) as day_c,
           coalesce(sum(debits_pending) filter (where seq > $3), 0) as after_dp,
           coalesce(sum(debits_posted) filter (where seq > $3), 0) as after_d,
           coalesce(sum(credits_pending) filter (where seq > $3), 0) as after_cp,
           coalesce(sum(credits_posted) filter (where seq > $3), 0) as after_c
    from transfer_legs where bank = $1 and seq > $2 group by account_id, currency
), said as (
    select coalesce(a.kind, 'unknown') as kind, m.currency,
           sum(day_dp) as day_dp, sum(day_d) as day_d,
           sum(day_cp) as day_cp, sum(day_c) as day_c,
           sum(after_dp) as after_dp, sum(after_d) as after_d,
           sum(after_cp) as after_cp, sum(after_c) as after_c
    from moved m left join accounts a
         on a.id = m.account_id and a.bank = $1 and a.currency = m.currency
    group by 1, 2
), stand as (
    select kind, currency, sum(debits_pending) as dp, sum(debits_posted) as d,
           sum(credits_pending) as cp, sum(credits_posted) as c
    from accounts where bank = $1 group by kind, currency
)
select kind, currency,
       coalesce(day_dp, 0) as day_debits_pending, coalesce(day_d, 0) as day_debits_posted,
       coalesce(day_cp, 0) as day_credits_pending, coalesce(day_c, 0) as day_credits_posted,
       coalesce(after_dp, 0) as after_debits_pending,
       coalesce(after_d, 0) as after_debits_posted,
       coalesce(after_cp, 0) as after_credits_pending,
       coalesce(after_c, 0) as after_credits_posted,
       coalesce(dp, 0) as now_debits_pending, coalesce(d, 0) as now_debits_posted,
       coalesce(cp, 0) as now_credits_pending, coalesce(c, 0) as now_credits_posted
from stand full join said using (kind, currency)
order by currency, kind
"""

_FREEZE = """
insert into trial_balances (bank, day, currency, kind, day_debits, day_credits, debits_posted,
                            credits_posted, debits_pending, credits_pending)
select $1, $2, * from unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                             $8::bigint[], $9::bigint[], $10::bigint[])
"""

_TRIAL_BALANCE = """
select currency, kind, day_debits, day_credits, debits_posted, credits_posted, debits_pending,
       credits_pending
from trial_balances where bank = $1 and day = $2 order by currency, kind
"""

CHECKS: Final = (
    Check(
        name="every closed day's trial balance is zero per currency",
        sql="""
        select format('%s %s %s: debits %s, credits %s, pending %s and %s', bank, day, currency,
                      sum(debits_posted), sum(credits_posted),
                      sum(debits_pending), sum(credits_pending)) as difference
        from trial_balances group by bank, day, currency
        having sum(debits_posted) <> sum(credits_posted)
            or sum(debits_pending) <> sum(credits_pending)
            or sum(day_debits) <> sum(day_credits)
        """,
    ),
    Check(
        name="every closed day's trial balance is the day before's and what moved",
        sql="""
        select format('%s %s %s %s', bank, day, currency, kind) as difference
        from (select *, lag(debits_posted, 1, 0::bigint) over w as debits_before,
                     lag(credits_posted, 1, 0::bigint) over w as credits_before
              from trial_balances window w as (partition by bank, currency, kind order by day)) t
        where debits_posted <> debits_before + day_debits
           or credits_posted <> credits_before + day_credits
        """,
    ),
    Check(
        name="every bank's last trial balance is what its journal says up to the cut",
        sql="""
        with last as (
            select distinct on (bank) bank, day, cut_seq from business_days
            where state = 'CLOSED' order by bank, day desc
        ), said as (
            select l.bank, l.currency, a.kind, sum(l.debits_posted) as d,
                   sum(l.credits_posted) as c, sum(l.debits_pending) as dp,
                   sum(l.credits_pending) as cp
            from transfer_legs l join last on last.bank = l.bank and l.seq <= last.cut_seq
            join accounts a on a.id = l.account_id group by 1, 2, 3
        ), frozen as (
            select t.* from trial_balances t join last on last.bank = t.bank and last.day = t.day
        )
        select format('%s %s %s: frozen %s and %s, the journal says %s and %s', bank, currency,
                      kind, debits_posted, credits_posted, d, c) as difference
        from frozen full join said using (bank, currency, kind)
        where (coalesce(debits_posted, 0), coalesce(credits_posted, 0),
               coalesce(debits_pending, 0), coalesce(credits_pending, 0))
           is distinct from (coalesce(d, 0), coalesce(c, 0), coalesce(dp, 0), coalesce(cp, 0))
        """,
    ),
)
