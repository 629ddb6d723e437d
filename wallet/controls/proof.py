"""What must be true of controls, whatever happened. Run by `smartid prove`."""

from typing import Final

from wallet.ledger.proof import Check

CHECKS: Final = (
    Check(
        name="what a card's lifetime has counted is what was decided on it and not given back",
        sql="""
        with told as (
            select card_id, currency,
                   sum(case when step = 'given_back' then -amount_minor else amount_minor end)
                       as amount_minor,
                   sum(case when not another then 0 when step = 'given_back' then -1 else 1 end)
                       as uses
            from control_evaluations where counted group by card_id, currency
        ), counted as (
            select subject as card_id, right(measure, 3) as currency, amount_minor, uses
            from limit_counters where measure like 'lifetime/any/any/%'
        )
        select format('card %s in %s: counted %s in %s, the decisions say %s in %s', card_id,
                      currency, c.amount_minor, c.uses, t.amount_minor, t.uses) as difference
        from told t full join counted c using (card_id, currency)
        where (coalesce(c.amount_minor, 0), coalesce(c.uses, 0))
              <> (coalesce(t.amount_minor, 0), coalesce(t.uses, 0))
        """,
    ),
)
