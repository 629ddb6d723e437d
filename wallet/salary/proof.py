"""What must always hold between salary lines, their credits and the figures officers read.

Promise: each check is one statement that answers its differences. Who calls: `smartid prove`.
"""

from typing import Final

from wallet.ledger.proof import Check

CHECKS: Final = (
    Check(
        name="every paid salary line is one credit of its amount to its wallet",
        sql="""
        select format('line %s of run %s', l.line_no, l.run_id) as difference
        from salary_lines l left join transfers t on t.id = l.transfer_id
        where l.state = 'PAID'
          and (t.id is null or t.kind <> 'salary' or t.phase <> 'posted' or t.bank <> l.bank
               or t.amount_minor <> l.amount_minor or t.currency <> 'KHR'
               or t.credit_account_id <> l.account_id or t.reference is distinct from l.run_id)
        """,
    ),
    Check(
        name="every salary credit is one paid line",
        sql="""
        select format('transfer %s', t.id) as difference
        from transfers t left join salary_lines l on l.transfer_id = t.id and l.state = 'PAID'
        where t.kind = 'salary'
        group by t.id having count(l.line_no) <> 1
        """,
    ),
    Check(
        name="each bank's share of a salary run is the sum of its lines",
        sql="""
        with sums as (
            select run_id, bank, count(*) as payable_lines, sum(amount_minor) as payable_minor,
                   count(*) filter (where state = 'PAID') as paid_lines,
                   coalesce(sum(amount_minor) filter (where state = 'PAID'), 0) as paid_minor,
                   count(*) filter (where state = 'RETURNED') as returned_lines
            from salary_lines l
            where state in ('PENDING', 'PAID', 'RETURNED')
              and exists (select 1 from salary_runs r where r.id = l.run_id
                          and r.state in ('APPROVED', 'PAYING', 'PAID'))
            group by run_id, bank)
        select format('run %s, bank %s: lines say %s of %s paid, the share %s of %s',
                      coalesce(l.run_id, s.run_id), coalesce(l.bank, s.bank), l.paid_lines,
                      l.payable_lines, s.paid_lines, s.payable_lines) as difference
        from sums l full join (
            select s.* from salary_shares s join salary_runs r on r.id = s.run_id
            where r.state in ('APPROVED', 'PAYING', 'PAID')) s using (run_id, bank)
        where (l.payable_lines, l.payable_minor, l.paid_lines, l.paid_minor, l.returned_lines)
              is distinct from
              (s.payable_lines, s.payable_minor, s.paid_lines, s.paid_minor, s.returned_lines)
        """,
    ),
    Check(
        name="no salary line is paid of a run that nobody approved, or left of one that is paid",
        sql="""
        select format('line %s of run %s (%s) is %s', l.line_no, l.run_id, r.state, l.state)
               as difference
        from salary_lines l join salary_runs r on r.id = l.run_id
        where (l.state in ('PAID', 'RETURNED') and r.state not in ('PAYING', 'PAID'))
           or (l.state = 'PENDING' and r.state = 'PAID')
        """,
    ),
)
