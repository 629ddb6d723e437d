"""A receipt for one entry of a holder's own.

Promise: read-only, and as quick for an entry of years ago as for today's: one row, one batch's
leaf hashes. Another's entry is as good as none. Who calls: the phones' door.
"""

from typing import Final

from wallet.identifiers import HolderId, TransferId
from wallet.outcomes import Reason, Refused
from wallet.seals import leaves, merkle
from wallet.seals.leaves import FIELDS, Log
from wallet.seals.receipt import Receipt
from wallet.seals.sealing import SealsBroken, leaves_of, signed_header_of
from wallet.work import Work

SEALED_WITHIN_S: Final = 2
"""How soon an entry is usually sealed and signed; told to whoever asks too early."""


async def receipt_of(work: Work, holder_id: HolderId, transfer_id: TransferId) -> Receipt:
    """The receipt of a transfer from or to one of the holder's own wallets.

    Refuses: not_found (another's too), not_yet_sealed (retryable). Raises SealsBroken when the
    entry is not what was sealed: `smartid prove` then names what differs.
    """
    row = await work.row(_ENTRY, transfer_id, holder_id)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    seal = await work.row(_SEAL_OF, str(row["xid"]), row["seq"])
    if seal is None or seal["signature"] is None:
        raise Refused(Reason.NOT_YET_SEALED, retry_after_s=SEALED_WITHIN_S)
    content = leaves.canonical(Log.TRANSFERS, row)
    sealed = leaves_of(seal)
    leaf = merkle.leaf_hash(content)
    if leaf not in sealed:
        raise SealsBroken(f"transfer {transfer_id} is not what seal {seal['number']} holds")
    place = sealed.index(leaf)
    return Receipt(
        content=content,
        place=place,
        path=tuple(merkle.path(sealed, place)),
        signed=signed_header_of(seal),
    )


_COLUMNS: Final = ", ".join(
    "t.xid::text::bigint as xid" if name == "xid" else f"t.{name}" for name in FIELDS[Log.TRANSFERS]
)

_ENTRY: Final = f"""
select {_COLUMNS} from transfers t
where t.id = $1
  and exists (select 1 from accounts a
              where a.id in (t.debit_account_id, t.credit_account_id) and a.holder_id = $2)
"""  # noqa: S608 - the columns are ours

_SEAL_OF: Final = """
select s.number, s.version, s.previous, s.log, s.position, s.entries,
       s.last_xid::text::bigint as last_xid, s.last_seq, s.root, s.sealed_at, s.leaves,
       g.key_id, g.signature
from seals s left join seal_signatures g on g.number = s.number
where s.log = 1 and (s.last_xid, s.last_seq) >= ($1::text::xid8, $2)
order by s.last_xid, s.last_seq limit 1
"""
