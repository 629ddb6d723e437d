"""Mobile top-ups: airtime bought from an operator with money from a wallet.

Promise: never sent twice, never lost. The price is held before the operator is called, captured
when the operator says delivered, released when it says it will not be, and while nobody knows it
is looked up by our reference until somebody does; within a day the holder has one or the other.

State table (topups.state):

    (signed)  --price held-----------------------------> HELD
    HELD      --marked, committed, then called---------> SENT
    HELD      --number is another operator's, or too old> FAILED     hold released, nothing sent
    SENT      --no answer that can be relied on---------> UNKNOWN    holder is told "checking"
    SENT | UNKNOWN --delivered-------------------------> SUCCEEDED  hold captured
    SENT | UNKNOWN --declined, never received, silent---> FAILED     hold released
    SENT | UNKNOWN --delivered, but the hold had expired> RECOVERY   suspense pays the operator
    SUCCEEDED --operator took it back------------------> REVERSED   credited by a new transfer
    FAILED    --delivered all the same-----------------> RECOVERY   a case; nobody is debited

Rooms: numbers (E.164, prefixes), products (catalogue), operators (the port), buying (the intent
kind `topup.buy`), states (decisions), entering (group acts), delivering (jobs), fees (given back),
reading.

The phone number stands in clear in `topups`: it is sent to the operator, and a repeat within a
minute is found by it. Events and answers carry it masked; the row lies behind the bank's wall.

Tables owned: topups. Who calls: the intents room (BUY), runtime's worker, the phone's door.
"""

from typing import Final

from wallet.ledger.proof import Check
from wallet.topups.buying import BUY, Buy
from wallet.topups.delivering import Desk, hinted, lookup, recheck, resume, submit
from wallet.topups.fees import fee_returned, taken_by
from wallet.topups.numbers import OPERATORS, PREFIXES
from wallet.topups.operators import OperatorPort
from wallet.topups.products import Product, delivered, on_sale
from wallet.topups.reading import Topup, by_id, of_holder
from wallet.topups.states import Patience, State

__all__ = [
    "BUY",
    "CHECKS",
    "OPERATORS",
    "PREFIXES",
    "Buy",
    "Desk",
    "OperatorPort",
    "Patience",
    "Product",
    "State",
    "Topup",
    "by_id",
    "delivered",
    "fee_returned",
    "hinted",
    "lookup",
    "of_holder",
    "on_sale",
    "recheck",
    "resume",
    "submit",
    "taken_by",
]

CHECKS: Final = (
    Check(
        name="every top-up's hold is open, captured or released as its state says",
        sql="""
        select format('top-up %s is %s, its hold is %s', u.id, u.state,
                      coalesce(r.phase, case when h.id is null then 'missing' else 'open' end))
               as difference
        from topups u
        left join transfers h on h.id = u.id and h.phase = 'hold'
        left join transfers r on r.pending_id = u.id
        where h.amount_minor is distinct from u.amount_minor
           or h.currency is distinct from u.currency
           or case u.state
                  when 'SUCCEEDED' then r.phase is distinct from 'capture'
                  when 'REVERSED' then r.phase is distinct from 'capture'
                  when 'FAILED' then r.phase is null or r.phase = 'capture'
                  when 'RECOVERY' then r.phase is null or r.phase = 'capture'
                  else r.phase is not null
              end
        """,
    ),
    Check(
        name="the fee of a top-up is held, taken or released with its price",
        sql="""
        select format('top-up %s is %s, its fee of %s: %s', u.id, u.state, u.fee_minor,
                      coalesce(r.phase, h.amount_minor::text, 'missing')) as difference
        from topups u
        left join transfers h on h.reference = u.id and h.kind = 'fee' and h.phase = 'hold'
        left join transfers r on r.pending_id = h.id
        left join transfers price on price.pending_id = u.id
        where u.fee_minor > 0
          and (h.amount_minor is distinct from u.fee_minor or h.currency <> u.currency
               or r.phase is distinct from price.phase)
        """,
    ),
    Check(
        name="the fee of a top-up is given back exactly when all of its price came back",
        sql="""
        select format('top-up %s is %s, of its fee %s came back', u.id, u.state,
                      coalesce(back.minor, 0)) as difference
        from topups u
        join transfers price on price.id = u.resolved_by and price.phase = 'capture'
        join transfers h on h.reference = u.id and h.kind = 'fee' and h.phase = 'hold'
        join transfers fee on fee.pending_id = h.id and fee.phase = 'capture'
        left join lateral (select sum(b.amount_minor) as minor from transfers b
                           where b.original_id = fee.id) back on true
        left join lateral (select sum(b.amount_minor) as minor from transfers b
                           where b.original_id = price.id
                             and b.credit_account_id = price.debit_account_id) whole on true
        where coalesce(back.minor, 0) not in (0, u.fee_minor)
           or (u.state = 'REVERSED' or coalesce(whole.minor = price.amount_minor, false))
              <> (back.minor is not null)
        """,
    ),
    Check(
        name="a top-up amended after its ending has exactly the transfer that says so",
        sql="""
        select format('top-up %s is %s', u.id, u.state) as difference
        from topups u left join transfers t on t.id = u.amended_by
        where u.state in ('REVERSED', 'RECOVERY')
          and (t.id is null or t.phase <> 'posted' or t.amount_minor <> u.amount_minor
               or t.reference is distinct from u.id)
        """,
    ),
)
