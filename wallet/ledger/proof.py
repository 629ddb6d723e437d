"""Proving the books right, on the running system.

Promise: each check is one statement, hence one snapshot: it can run while payments are made. It
answers the first difference it finds, with what was expected and what stands there. Rooms with
rules of their own about money export `CHECKS` too; `smartid prove` runs them all.

Who calls: runtime (prove, demo), tests.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wallet.work import SYSTEM, Work, Works


class Check(Struct, frozen=True, kw_only=True):
    """`sql` answers one row a difference (column `difference`), none when all is right.
    `of_history`: reads every transfer there ever was, so a quick proof leaves it out."""

    name: str
    sql: str
    of_history: bool = False


class Finding(Struct, frozen=True, kw_only=True):
    check: str
    difference: str | None

    @property
    def right(self) -> bool:
        return self.difference is None


async def prove(works: Works, checks: Sequence[Check]) -> list[Finding]:
    """Run the checks over all banks; every finding names the first difference or None.

    A check's statement may read the present moment as `(select now from moment)`.
    """

    async def run(work: Work) -> list[Finding]:
        findings = []
        for check in checks:
            row = await work.row(_FIRST_DIFFERENCE.format(check.sql), work.now)
            difference = None if row is None else str(row["difference"])
            findings.append(Finding(check=check.name, difference=difference))
        return findings

    return await works.read(SYSTEM, None, run)


_FIRST_DIFFERENCE: Final = """
with moment as (select $1::timestamptz as now)
select found.difference from ({}) as found, moment limit 1
"""

CHECKS: Final = (
    Check(
        name="per bank and currency, debits equal credits, posted and pending",
        sql="""
        select format('%s %s: debits posted %s, credits posted %s, debits pending %s, credits '
                      'pending %s', bank, currency, sum(debits_posted), sum(credits_posted),
                      sum(debits_pending), sum(credits_pending)) as difference
        from accounts group by bank, currency
        having sum(debits_posted) <> sum(credits_posted)
            or sum(debits_pending) <> sum(credits_pending)
        """,
    ),
    Check(
        name="every account's counters are the sums of its transfers",
        of_history=True,
        sql="""
        with moves as (
            select debit_account_id as id,
                   case phase when 'hold' then amount_minor else 0 end as dp,
                   case when phase in ('posted', 'capture') then amount_minor else 0 end as d,
                   0::bigint as cp, 0::bigint as c
            from transfers
            union all
            select credit_account_id, 0, 0,
                   case phase when 'hold' then amount_minor else 0 end,
                   case when phase in ('posted', 'capture') then amount_minor else 0 end
            from transfers
            union all
            select h.debit_account_id, -h.amount_minor, 0, 0, 0
            from transfers r join transfers h on h.id = r.pending_id
            union all
            select h.credit_account_id, 0, 0, -h.amount_minor, 0
            from transfers r join transfers h on h.id = r.pending_id
        ), sums as (
            select id, sum(dp) as dp, sum(d) as d, sum(cp) as cp, sum(c) as c
            from moves group by id
        )
        select format('account %s: counters %s/%s/%s/%s, transfers say %s/%s/%s/%s '
                      '(debits pending/posted, credits pending/posted)',
                      coalesce(a.id, s.id), a.debits_pending, a.debits_posted, a.credits_pending,
                      a.credits_posted, s.dp, s.d, s.cp, s.c) as difference
        from accounts a full join sums s on s.id = a.id
        where (coalesce(a.debits_pending, -1), coalesce(a.debits_posted, -1),
               coalesce(a.credits_pending, -1), coalesce(a.credits_posted, -1))
           is distinct from
              (coalesce(s.dp, 0), coalesce(s.d, 0), coalesce(s.cp, 0), coalesce(s.c, 0))
        """,
    ),
    Check(
        name="no floor account is below zero, pending counted",
        sql="""
        select format('account %s is at %s', id, credits_posted - debits_posted - debits_pending)
               as difference
        from accounts where has_floor and debits_posted + debits_pending > credits_posted
        """,
    ),
    Check(
        name="every transfer joins two accounts of its own bank and currency",
        of_history=True,
        sql="""
        select format('transfer %s', t.id) as difference
        from transfers t
        left join accounts d on d.id = t.debit_account_id
        left join accounts c on c.id = t.credit_account_id
        where d.bank is distinct from t.bank or c.bank is distinct from t.bank
           or d.currency is distinct from t.currency or c.currency is distinct from t.currency
        """,
    ),
    Check(
        name="every hold is resolved at most once, within its amount, between its accounts",
        of_history=True,
        sql="""
        select format('hold %s', h.id) as difference
        from transfers r
        left join transfers h on h.id = r.pending_id and h.phase in ('hold', 'close')
        where r.pending_id is not null
        group by r.pending_id, h.id, h.amount_minor, h.debit_account_id, h.credit_account_id
        having h.id is null or count(*) > 1 or max(r.amount_minor) > h.amount_minor
            or bool_or(r.debit_account_id <> h.debit_account_id
                       or r.credit_account_id <> h.credit_account_id)
        """,
    ),
    Check(
        name="the list of open holds is exactly the holds not resolved",
        of_history=True,
        sql="""
        select format('hold %s', coalesce(h.id, o.id)) as difference
        from (select id from transfers t where phase in ('hold', 'close')
              and not exists (select 1 from transfers r where r.pending_id = t.id)) h
        full join open_holds o on o.id = h.id
        where h.id is null or o.id is null
        """,
    ),
    Check(
        name="no open hold is past its expiry by more than five minutes",
        sql="""
        select format('hold %s expired at %s', id, expires_at) as difference
        from open_holds
        where expires_at < (select now from moment) - interval '5 minutes'
        """,
    ),
    Check(
        name="an account is closed exactly while a closing of it stands",
        sql="""
        select format('account %s', coalesce(a.id, c.id)) as difference
        from (select id from accounts where closed_at is not null) a
        full join (select t.debit_account_id as id, count(*) as times
                   from open_holds o join transfers t on t.id = o.id and t.phase = 'close'
                   group by t.debit_account_id) c on c.id = a.id
        where a.id is null or c.id is null or c.times > 1
        """,
    ),
    Check(
        name="what was given back is counted, goes to whoever paid, and never passes the original",
        sql="""
        select format('transfer %s: counted %s, given back %s of %s',
                      coalesce(r.original_id, given.original_id), r.returned_minor, given.minor,
                      o.amount_minor) as difference
        from reversals r
        full join (select t.original_id, sum(coalesce(t.requested_minor, t.amount_minor)) as minor,
                          array_agg(distinct t.credit_account_id) as receivers
                   from transfers t where t.how in ('reversal', 'forced_reversal')
                   group by t.original_id) given on given.original_id = r.original_id
        left join transfers o on o.id = coalesce(r.original_id, given.original_id)
        where r.returned_minor is distinct from given.minor
           or r.original_minor is distinct from o.amount_minor
           or coalesce(given.minor > o.amount_minor, true)
           or o.phase not in ('posted', 'capture') or o.bank <> r.bank
           or given.receivers <> array[o.debit_account_id]
        """,
    ),
    Check(
        name="a forced transfer moved what was asked, its shortfall named in a case",
        sql="""
        select format('transfer %s: asked %s, moved %s, shortfall %s', f.id, f.requested_minor,
                      f.amount_minor + coalesce(e.amount_minor, 0), s.amount_minor) as difference
        from transfers f
        left join transfers e on e.original_id = f.id and e.how = 'excess'
        left join transfers s on s.original_id = f.id and s.how = 'shortfall'
        left join shortfalls c on c.transfer_id = s.id
        left join accounts stands
            on stands.id = case c.account_id when f.credit_account_id then s.credit_account_id
                                             else s.debit_account_id end
        where f.how in ('forced', 'late', 'forced_reversal')
          and (f.requested_minor
                   <> f.amount_minor + coalesce(e.amount_minor, 0) + coalesce(s.amount_minor, 0)
               or (s.id is not null
                   and (c.forced_id is distinct from f.id or c.amount_minor <> s.amount_minor
                        or c.currency <> s.currency or stands.has_floor)))
        """,
    ),
    Check(
        name="every case of a shortfall is one transfer of its amount",
        sql="""
        select format('case of %s', c.forced_id) as difference
        from shortfalls c
        left join transfers s on s.id = c.transfer_id and s.how = 'shortfall'
                              and s.original_id = c.forced_id
        where s.id is null
        """,
    ),
)
