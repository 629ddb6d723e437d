"""What must be true of disputes' money, whatever happened. Run by `smartid prove`."""

from typing import Final

from wallet.ledger.proof import Check

CHECKS: Final = (
    Check(
        name="every paid refund is one credit of its amount to the disputed wallet",
        sql="""
        select format('refund %s', r.id) as difference
        from refunds r
        join disputes d on d.id = r.dispute_id
        left join transfers t on t.id = r.transfer_id
        left join accounts a on a.id = t.credit_account_id
        where r.state = 'PAID'
          and (t.id is null or t.kind <> 'refund' or t.amount_minor <> r.amount_minor
               or t.currency <> d.currency or a.holder_id is distinct from d.holder_id)
        """,
    ),
    Check(
        name="every refund entry in the books is one paid refund",
        sql="""
        select format('transfer %s', t.id) as difference
        from transfers t left join refunds r on r.transfer_id = t.id and r.state = 'PAID'
        where t.kind = 'refund' and r.id is null
        """,
    ),
    Check(
        name="a case's recovered and written-off money is its paid refunds and what came back",
        sql="""
        select format('case %s', d.case_number) as difference
        from disputes d
        left join lateral (
            select coalesce(sum(amount_minor) filter (where source = 'COUNTERPARTY'), 0) as house,
                   coalesce(sum(amount_minor) filter (where source = 'BANK'), 0) as bank
            from refunds where dispute_id = d.id and state = 'PAID') paid on true
        left join lateral (
            select coalesce(sum(amount_minor), 0) as minor from dispute_events
            where dispute_id = d.id and what = 'CAME_BACK') elsewhere on true
        where d.recovered_minor <> paid.house + elsewhere.minor or d.written_off_minor <> paid.bank
        """,
    ),
)
