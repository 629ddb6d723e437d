"""What must be true of the counters, whatever happened. Run by `smartid prove`."""

from typing import Final

from wallet.ledger.proof import Check

CHECKS: Final = (
    Check(
        name="what a day's limits have counted is what the wallets' holds and payments say",
        sql="""
        with told as (
            select a.holder_id as subject, 'day/any/any/' || t.currency as measure,
                   (t.at at time zone 'Asia/Phnom_Penh')::date as start,
                   sum(case when r.phase in ('void', 'expiry') then 0
                            else coalesce(r.amount_minor, t.amount_minor) end) as amount_minor,
                   count(*) filter (where r.phase is null or r.phase = 'capture') as uses
            from transfers t
            join accounts a on a.id = t.debit_account_id and a.kind = 'wallet'
            left join transfers r on r.pending_id = t.id
            where t.phase in ('posted', 'hold') and t.kind in ('qr_payment', 'topup', 'transfer')
              and t.at >= date_trunc('day', (select now from moment) - interval '30 days',
                                     'Asia/Phnom_Penh')
            group by 1, 2, 3
        )
        select format('%s on %s of %s: counted %s in %s, the journal says %s in %s',
                      measure, start, subject, c.amount_minor, c.uses, t.amount_minor, t.uses)
               as difference
        from told t
        full join (
            select subject, measure, start, amount_minor, uses from limit_counters
            where measure like 'day/any/any/___'
              and subject in (select holder_id from accounts where kind = 'wallet')
              and start >= ((select now from moment) at time zone 'Asia/Phnom_Penh')::date - 30
        ) c using (subject, measure, start)
        where (coalesce(c.amount_minor, 0), coalesce(c.uses, 0))
              <> (coalesce(t.amount_minor, 0), coalesce(t.uses, 0))
        """,
    ),
)
