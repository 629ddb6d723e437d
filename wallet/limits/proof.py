"""What must be true of the counters, whatever happened. Run by `smartid prove`."""

from typing import Final

from wallet.ledger.proof import Check

# Purchases with cards are counted as they were decided, whatever became of the hold: what counted
# and what was given back is written down by the controls, each with the moment it was counted at.
_CARD_PURCHASES: Final = """
            select holder_id as subject, currency, 'card_purchase' as kind,
                   (moment at time zone 'Asia/Phnom_Penh')::date as day,
                   sum(case step when 'given_back' then -amount_minor else amount_minor end)
                       as amount_minor,
                   sum(case when not another then 0 when step = 'given_back' then -1 else 1 end)
                       as uses
            from control_evaluations where counted group by 1, 2, 3, 4
"""

CHECKS: Final = (
    Check(
        name="what a day's limits have counted is what the wallets' holds and payments say",
        sql=f"""
        with told as (
            select subject, 'day/any/any/' || currency as measure, day as start,
                   sum(amount_minor) as amount_minor, sum(uses) as uses
            from (
                select a.holder_id as subject, t.currency,
                       (t.at at time zone 'Asia/Phnom_Penh')::date as day,
                       case when r.phase in ('void', 'expiry') then 0
                            else coalesce(r.amount_minor, t.amount_minor) end as amount_minor,
                       case when r.phase is null or r.phase = 'capture' then 1 else 0 end as uses
                from transfers t
                join accounts a on a.id = t.debit_account_id and a.kind = 'wallet'
                left join transfers r on r.pending_id = t.id
                where t.phase in ('posted', 'hold')
                  and t.kind in ('qr_payment', 'topup', 'transfer')
                  and t.at >= date_trunc('day', (select now from moment) - interval '30 days',
                                         'Asia/Phnom_Penh')
                union all
                select subject, currency, day, amount_minor, uses from ({_CARD_PURCHASES}) p
                where day >= ((select now from moment) at time zone 'Asia/Phnom_Penh')::date - 30
            ) acts group by 1, 2, 3
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
        """,  # noqa: S608 - of our own words
    ),
    Check(
        name="what months and single kinds of act have counted is what the journal says",
        sql=f"""
        with horizon as (
            select date_trunc('month', (select now from moment) at time zone 'Asia/Phnom_Penh'
                                       - interval '30 days')::date as day
        ), told as (
            select a.holder_id as subject, t.currency, t.kind,
                   (t.at at time zone 'Asia/Phnom_Penh')::date as day,
                   sum(case when r.phase in ('void', 'expiry') then 0
                            else coalesce(r.amount_minor, t.amount_minor) end) as amount_minor,
                   count(*) filter (where r.phase is null or r.phase = 'capture') as uses
            from transfers t
            join accounts a on a.id = t.debit_account_id and a.kind = 'wallet'
            left join transfers r on r.pending_id = t.id
            where t.phase in ('posted', 'hold')
              and t.at >= (select day from horizon)::timestamp at time zone 'Asia/Phnom_Penh'
              and t.kind <> 'card_purchase'
            group by 1, 2, 3, 4
            union all
            {_CARD_PURCHASES}
        ), counted as (
            select *, split_part(measure, '/', 1) as part, split_part(measure, '/', 2) as kind,
                   left(split_part(measure, '/', 4), 3) as currency, measure like '%+' as both
            from limit_counters
            where start >= (select day from horizon) and split_part(measure, '/', 3) = 'any'
              and measure not like 'day/any/any/___'
              and subject in (select holder_id from accounts where kind = 'wallet')
        )
        select format('%s from %s on of %s: counted %s in %s, the journal says %s in %s', c.measure,
                      c.start, c.subject, c.amount_minor, c.uses, coalesce(sum(t.amount_minor), 0),
                      coalesce(sum(t.uses), 0)) as difference
        from counted c
        left join told t on t.subject = c.subject and (c.both or t.currency = c.currency)
         and t.day >= c.start
         and t.day < c.start + case c.part when 'month' then interval '1 month'
                                           else interval '1 day' end
         and case c.kind when 'any' then t.kind in ('qr_payment', 'topup', 'transfer',
                                                      'card_purchase')
                         else t.kind = c.kind end
        group by c.subject, c.measure, c.start, c.amount_minor, c.uses, c.both
        -- over both currencies the amount depends on each moment's rate: there only acts are told
        having c.uses <> coalesce(sum(t.uses), 0)
            or (not c.both and c.amount_minor <> coalesce(sum(t.amount_minor), 0))
        """,  # noqa: S608 - of our own words
    ),
)
