"""What must be true of QR payments' money, whatever happened. Run by `smartid prove`."""

from typing import Final

from wallet.ledger.proof import Check

CHECKS: Final = (
    Check(
        name="every QR payment is one debit of its amount from its holder's wallet, and back",
        sql="""
        select format('QR payment %s', coalesce(q.id, t.id)) as difference
        from qr_payments q
        full join (select * from transfers where kind = 'qr_payment') t on t.id = q.transfer_id
        left join accounts a on a.id = t.debit_account_id
        where q.id is null or t.id is null or t.amount_minor <> q.amount_minor
           or t.currency <> q.currency or a.holder_id is distinct from q.holder_id
        """,
    ),
)
