"""What must be true of virtual cards, whatever happened. Run by `smartid prove`."""

from typing import Final

from wallet.ledger.proof import Check

CHECKS: Final = (
    Check(
        name="a replaced card and the card that replaced it name each other, in one chain",
        sql="""
        select format('card %s', coalesce(o.id, n.id)) as difference
        from (select * from virtual_cards where replaced_by is not null) o
        full join (select * from virtual_cards where replaces is not null) n
            on n.replaces = o.id and o.replaced_by = n.id
        where o.id is null or n.id is null or n.lineage <> o.lineage
           or n.holder_id <> o.holder_id or n.account_id <> o.account_id or n.kind <> o.kind
        """,
    ),
    Check(
        name="no usable card outlives its Smart ID or belongs to another's",
        sql="""
        select format('card %s', c.id) as difference
        from virtual_cards c join smart_ids s on s.id = c.smart_id_id
        where s.holder_id <> c.holder_id
           or (c.state in ('ACTIVE', 'FROZEN') and c.expires_on > s.expires_on)
        """,
    ),
    Check(
        name="every card's history ends in the state it is in",
        sql="""
        select format('card %s is %s', c.id, c.state) as difference
        from virtual_cards c
        left join lateral (
            select to_state from card_changes h where h.card_id = c.id order by seq desc limit 1
        ) last on true
        where last.to_state is distinct from c.state
        """,
    ),
)
