"""How far the journal is final, and checkpoints of balances along it.

Promise: nothing here touches the payment path: positions and checkpoints are written afterwards,
by the worker and the day close, from the journal and the counters in one snapshot. A number of
the journal is final when every transaction that could have drawn one up to it has ended: a mark is
the last number drawn, then a transaction id taken after it; once `pg_snapshot_xmin` has passed
that id, nothing up to the mark can appear any more. Each step commits whole, so a worker killed
at any line leaves a shorter reach and nothing else, and two at once take turns.

    between two checkpoints of an account stand at most `every` entries of one stretch, plus
    `least` a stretch that had fewer, until the month ends; not yet reached are at most `reach`

Tables owned: journal_positions, balance_checkpoints. Who calls: worker's rounds, days.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct

from wallet.identifiers import BankId
from wallet.ledger.proof import Check
from wallet.work import WORKER, Work, Works


class Spacing(Struct, frozen=True, kw_only=True):
    """`every`: entries between checkpoints of a busy account. `least`: entries of a stretch that
    earn one at its end. `reach`: entries of the bank's journal that start a stretch."""

    every: int = 256
    least: int = 16
    reach: int = 100_000


SPACING: Final = Spacing()


class Mark(Struct, frozen=True, kw_only=True):
    """Up to `seq` the bank's journal is final; the mark was taken at `marked_at`."""

    seq: int
    marked_at: datetime | None
    checkpoint_seq: int


async def settle(works: Works, bank: BankId) -> Mark:
    """Take a new mark of one bank's journal and make the one before final if it is."""

    async def drawn(work: Work) -> int:
        return int(await work.value(_DRAWN))

    # Read in a transaction of its own: the next one's id is younger than whoever drew up to it.
    seq = await works.read(WORKER, bank, drawn)

    async def mark(work: Work) -> Mark:
        await work.execute(_ENSURE_POSITION, bank)
        await work.execute(_SETTLE, bank, seq, work.now)
        return await _mark_of(work, bank)

    return await works.perform(WORKER, bank, mark)


async def keep_up(works: Works, bank: BankId, spacing: Spacing = SPACING) -> int:
    """One round of the worker: settle, then at most one stretch of checkpoints; answers how many
    were written."""
    mark = await settle(works, bank)
    if mark.seq - mark.checkpoint_seq < spacing.reach:
        return 0

    async def stretch(work: Work) -> int:
        position = await lock(work, bank)
        upto = min(position.seq, position.checkpoint_seq + 2 * spacing.reach)
        if upto - position.checkpoint_seq < spacing.reach:
            return 0
        return await extend(work, upto, spacing=spacing)

    return await works.perform(WORKER, bank, stretch)


async def lock(work: Work, bank: BankId) -> Mark:
    """The bank's position, ours until the Work ends."""
    await work.execute(_ENSURE_POSITION, bank)
    await work.execute(_LOCK, bank)
    return await _mark_of(work, bank)


async def extend(work: Work, upto: int, *, spacing: Spacing = SPACING) -> int:
    """Write the checkpoints of the stretch that ends with `upto`, which must be final and locked
    (`lock`); answers how many."""
    start = await work.row(_REACH, work.bank)
    assert start is not None  # noqa: S101 - locked by the caller
    # Given as values: of a stretch between unknown ends the planner expects a third of the journal.
    arguments = (work.bank, start["checkpoint_seq"], upto)
    written = len(
        await work.rows(
            _BUSY_CHECKPOINTS, *arguments, start["latest_at"], spacing.every, spacing.least
        )
    )
    await work.execute(_ADVANCE, *arguments)
    return written


async def checkpoint_all(work: Work, upto: int, latest_at: datetime) -> int:
    """One checkpoint at `upto` for every account that moved since its last (the end of a month);
    no entry up to there is later than `latest_at`. Answers how many."""
    return len(await work.rows(_ALL_CHECKPOINTS, work.bank, upto, latest_at))


async def _mark_of(work: Work, bank: BankId) -> Mark:
    row = await work.row(_MARK, bank)
    assert row is not None  # noqa: S101 - ensured before
    return Mark(seq=row["seq"], marked_at=row["marked_at"], checkpoint_seq=row["checkpoint_seq"])


_DRAWN = "select case when is_called then last_value else 0 end from transfers_seq_seq"

_ENSURE_POSITION = """
insert into journal_positions (bank) values ($1) on conflict do nothing
"""

_LOCK = "select from journal_positions where bank = $1 for no key update"

_MARK = """
select seq, nullif(marked_at, '-infinity') as marked_at, checkpoint_seq
from journal_positions where bank = $1
"""

# A mark waiting for its transactions is kept until they have ended, else it would never be reached.
_SETTLE = """
update journal_positions p
set seq = case when s.final then p.coming_seq else p.seq end,
    marked_at = case when s.final then p.coming_at else p.marked_at end,
    coming_seq = case when s.renew then $2 else p.coming_seq end,
    coming_at = case when s.renew then $3 else p.coming_at end,
    coming_xid = case when s.renew then pg_current_xact_id() else p.coming_xid end
from (select coalesce(coming_xid <= pg_snapshot_xmin(pg_current_snapshot()), false) as final,
             coming_xid is null or coming_xid <= pg_snapshot_xmin(pg_current_snapshot()) as renew
      from journal_positions where bank = $1) s
where p.bank = $1 and (s.final or s.renew)
"""

_REACH = """
select checkpoint_seq, coalesce(nullif(latest_at, '-infinity'), '0001-01-01 00:00:00+00')
       as latest_at
from journal_positions where bank = $1
"""

# What a busy account stood at before the stretch, its last checkpoint and the few entries since, is
# the first row of its run. (No coalesce in what limits `seq`: under a wall by row the planner would
# not take it for the index, and read all of the account.)
_BUSY_CHECKPOINTS = """
with legs as materialized (
    select * from transfer_legs where bank = $1 and seq > $2 and seq <= $3
), busy as materialized (
    select account_id from legs group by account_id having count(*) >= $6
), base as (
    select busy.account_id, last.dp + since.dp as dp, last.d + since.d as d,
           last.cp + since.cp as cp, last.c + since.c as c
    from busy
    cross join lateral (
        (select b.seq, b.debits_pending as dp, b.debits_posted as d,
                b.credits_pending as cp, b.credits_posted as c
         from balance_checkpoints b
         where b.account_id = busy.account_id and b.seq <= $2 order by b.seq desc limit 1)
        union all
        select 0, 0, 0, 0, 0
        order by seq desc limit 1
    ) last
    cross join lateral (
        select coalesce(sum(l.debits_pending), 0) as dp, coalesce(sum(l.debits_posted), 0) as d,
               coalesce(sum(l.credits_pending), 0) as cp, coalesce(sum(l.credits_posted), 0) as c
        from transfer_legs l
        where l.account_id = busy.account_id and l.seq > last.seq and l.seq <= $2
    ) since
), rows as (
    select account_id, seq, at, debits_pending as dp, debits_posted as d,
           credits_pending as cp, credits_posted as c
    from legs where account_id in (select account_id from busy)
    union all
    select account_id, $2, null, dp, d, cp, c from base
), runs as (
    select account_id, seq, row_number() over w - 1 as n, lead(seq) over w is null as last,
           max(at) over w as at, sum(dp) over w as dp, sum(d) over w as d,
           sum(cp) over w as cp, sum(c) over w as c
    from rows window w as (partition by account_id order by seq)
)
insert into balance_checkpoints (account_id, seq, bank, latest_at, debits_pending, debits_posted,
                                 credits_pending, credits_posted)
select account_id, seq, $1, greatest($4, at), dp, d, cp, c
from runs where n > 0 and (n % $5 = 0 or last)
on conflict (account_id, seq) do nothing
returning 1
"""

_ADVANCE = """
update journal_positions p
set checkpoint_seq = $3,
    latest_at = greatest(p.latest_at, (select max(t.at) from transfers t
        where t.bank = $1 and t.seq > $2 and t.seq <= $3))
where p.bank = $1
"""

# An account's counters up to `upto` are its counters now less what came after, in one snapshot.
_ALL_CHECKPOINTS = """
with after as (
    select account_id, sum(debits_pending) as dp, sum(debits_posted) as d,
           sum(credits_pending) as cp, sum(credits_posted) as c
    from transfer_legs where bank = $1 and seq > $2 group by account_id
), now as (
    select a.id, a.debits_pending - coalesce(after.dp, 0) as dp,
           a.debits_posted - coalesce(after.d, 0) as d,
           a.credits_pending - coalesce(after.cp, 0) as cp,
           a.credits_posted - coalesce(after.c, 0) as c
    from accounts a left join after on after.account_id = a.id where a.bank = $1
)
insert into balance_checkpoints (account_id, seq, bank, latest_at, debits_pending, debits_posted,
                                 credits_pending, credits_posted)
select now.id, $2, $1, $3, now.dp, now.d, now.cp, now.c
from now left join lateral (
    select * from balance_checkpoints b where b.account_id = now.id and b.seq <= $2
    order by seq desc limit 1
) last on true
where (now.dp, now.d, now.cp, now.c)
      is distinct from (coalesce(last.debits_pending, 0), coalesce(last.debits_posted, 0),
                        coalesce(last.credits_pending, 0), coalesce(last.credits_posted, 0))
on conflict (account_id, seq) do nothing
returning 1
"""

CHECKS: Final = (
    Check(
        name="every balance checkpoint is the sum of its account's transfers",
        sql="""
        with along as (
            select account_id, seq, 0 as checkpoint, debits_pending as dp, debits_posted as d,
                   credits_pending as cp, credits_posted as c,
                   null::bigint as want_dp, null::bigint as want_d,
                   null::bigint as want_cp, null::bigint as want_c, at
            from transfer_legs
            where account_id in (select account_id from balance_checkpoints)
            union all
            select account_id, seq, 1, 0, 0, 0, 0,
                   debits_pending, debits_posted, credits_pending, credits_posted, null
            from balance_checkpoints
        ), sums as (
            select account_id, seq, checkpoint, want_dp, want_d, want_cp, want_c,
                   sum(dp) over w as dp, sum(d) over w as d, sum(cp) over w as cp,
                   sum(c) over w as c, max(at) over w as latest
            from along
            window w as (partition by account_id order by seq, checkpoint)
        )
        select format('account %s up to entry %s: checkpoint %s/%s/%s/%s, transfers say '
                      '%s/%s/%s/%s (debits pending/posted, credits pending/posted)',
                      s.account_id, s.seq, want_dp, want_d, want_cp, want_c, dp, d, cp, c)
               as difference
        from sums s
        join balance_checkpoints b on b.account_id = s.account_id and b.seq = s.seq
        where checkpoint = 1
          and ((want_dp, want_d, want_cp, want_c) is distinct from (dp, d, cp, c)
               or latest > b.latest_at)
        """,
    ),
)
