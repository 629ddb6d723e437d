"""What must be true of every purchase, whatever happened. Run by `smartid prove`."""

from typing import Final

from wallet.ledger.proof import Check

_LAST: Final = """
    select distinct on (e.authorisation_id) e.authorisation_id as id, e.bank, e.place, e.at,
           (e.standing->>'open_s')::bigint as open_s,
           (e.standing->>'allowed_s')::bigint as allowed_s,
           (e.standing->>'cleared_s')::bigint as cleared_s,
           (e.standing->>'returned_s')::bigint as returned_s,
           (e.standing->>'credited_s')::bigint as credited_s,
           (e.standing->>'held_minor')::bigint as held_minor,
           (e.standing->>'hold_id')::uuid as hold_id,
           (e.standing->>'paid_minor')::bigint as paid_minor,
           (e.standing->>'short_minor')::bigint as short_minor,
           (e.standing->>'returned_minor')::bigint as returned_minor,
           (e.standing->>'credited_minor')::bigint as credited_minor,
           (e.standing->>'expires_at')::timestamptz as expires_at,
           coalesce((e.standing->>'unheard')::boolean, false) as unheard,
           e.standing->>'settlement' as settlement
    from authorisation_events e order by e.authorisation_id, e.place desc
"""

CHECKS: Final = (
    Check(
        name="what a purchase holds is its one open hold in the books, and no hold is nobody's",
        sql=f"""
        select format('purchase %s: held %s, the books hold %s', coalesce(l.id, h.reference),
                      l.held_minor, h.amount_minor) as difference
        from (select * from ({_LAST}) l where hold_id is not null) l
        full join (
            select t.id, t.reference, t.amount_minor
            from open_holds o join transfers t on t.id = o.id where t.kind = 'card_purchase'
        ) h on h.id = l.hold_id
        where l.held_minor is distinct from h.amount_minor
           or l.id is distinct from h.reference
        """,  # noqa: S608 - of our own words
    ),
    Check(
        name="what wallets paid for purchases and got back is what their events say",
        sql=f"""
        with moved as (
            select t.reference as id,
                   sum(case when d.kind = 'wallet' and t.kind = 'card_purchase'
                            then t.amount_minor else 0 end) as paid,
                   sum(case when d.kind = 'suspense' and t.kind = 'card_purchase'
                            then t.amount_minor else 0 end) as short,
                   sum(case when t.kind = 'card_return' and t.how is distinct from 'shortfall'
                            then coalesce(t.requested_minor, t.amount_minor) else 0 end) as back
            from transfers t join accounts d on d.id = t.debit_account_id
            where t.kind in ('card_purchase', 'card_return') and t.phase in ('posted', 'capture')
            group by t.reference
        )
        select format('purchase %s: paid %s, short %s, back %s; the books say %s, %s, %s', l.id,
                      l.paid_minor, l.short_minor, l.returned_minor + l.credited_minor, m.paid,
                      m.short, m.back) as difference
        from ({_LAST}) l full join moved m on m.id = l.id
        where l.id is null
           or (l.paid_minor, l.short_minor, l.returned_minor + l.credited_minor)
              <> (coalesce(m.paid, 0), coalesce(m.short, 0), coalesce(m.back, 0))
        """,  # noqa: S608 - of our own words
    ),
    Check(
        name="what is held and taken was allowed, or has a case",
        sql=f"""
        select format('purchase %s: open %s and cleared %s of %s allowed, without a case', l.id,
                      l.open_s, l.cleared_s, l.allowed_s) as difference
        from ({_LAST}) l
        where (l.open_s + l.cleared_s > l.allowed_s or l.short_minor > 0)
          and not exists (select from authorisation_cases c where c.authorisation_id = l.id)
        union all
        select format('purchase %s: more came back than was taken', l.id)
        from ({_LAST}) l where l.returned_s > l.cleared_s or l.returned_minor > l.paid_minor
        """,  # noqa: S608 - of our own words
    ),
    Check(
        name="what is owed to the card networks is what was cleared less what came back",
        sql=f"""
        select format('%s %s: owed %s, the purchases say %s', bank, currency, a.owed, l.owed)
               as difference
        from (
            select bank, currency, credits_posted - debits_posted as owed
            from accounts where kind = 'switch_settlement' and detail = 'CARDS'
        ) a
        full join (
            select bank, settlement as currency, sum(cleared_s - returned_s - credited_s) as owed
            from ({_LAST}) l group by 1, 2
        ) l using (bank, currency)
        where coalesce(a.owed, 0) <> coalesce(l.owed, 0)
        """,  # noqa: S608 - of our own words
    ),
    Check(
        name="the list of open purchases is what their events say, and none is long over",
        sql=f"""
        select format('purchase %s', coalesce(l.id, o.id)) as difference
        from (select * from ({_LAST}) l where open_s > 0) l
        full join open_authorisations o on o.id = l.id
        where l.id is null or o.id is null or o.expires_at <> l.expires_at
           or o.expires_at < (select now from moment) - interval '10 minutes'
        """,  # noqa: S608 - of our own words
    ),
    Check(
        name="what is usual for a wallet is what was allowed to it and heard of",
        sql=f"""
        select format('wallet %s: %s purchases of %s, the events say %s of %s',
                      coalesce(h.account_id, t.account_id), h.purchases, h.spent_minor, t.purchases,
                      t.spent_minor) as difference
        from purchase_habits h
        full join (
            select a.account_id, count(*) as purchases, sum(e.cardholder_minor) as spent_minor
            from authorisations a
            join authorisation_events e on e.authorisation_id = a.id and e.place = 1
             and e.kind in ('AUTHORIZATION', 'FINANCIAL_AUTHORIZATION') and e.reason is null
             and e.settlement_minor > 0
            join ({_LAST}) l on l.id = a.id and not l.unheard
            group by 1
        ) t on t.account_id = h.account_id
        where (coalesce(h.purchases, 0), coalesce(h.spent_minor, 0))
              <> (coalesce(t.purchases, 0), coalesce(t.spent_minor, 0))
        """,  # noqa: S608 - of our own words
    ),
    Check(
        name="a purchase's events follow one another, and each belongs to one",
        sql="""
        select format('purchase %s', coalesce(a.id, e.authorisation_id)) as difference
        from authorisations a
        full join (
            select authorisation_id, count(*) as events, max(place) as last
            from authorisation_events group by authorisation_id
        ) e on e.authorisation_id = a.id
        where a.id is null or e.authorisation_id is null or e.events <> e.last
        """,
    ),
)
