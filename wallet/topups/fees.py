"""The fee of a top-up after it was taken: who gives it back, and that it is given back once.

Promise: a top-up that came to nothing has cost nothing. The operator taking it back and a dispute
that gives the last of its price back both return the fee, under one id and as the same reversal, so
that whoever comes second repeats the first. A refund of a part is of the price alone.

Owns no table. Who calls: entering, disputes.
"""

from typing import Final

from wallet.fees import fee_id
from wallet.identifiers import TransferId, derived_id
from wallet.ledger.book import Phase, Reversal, TransferKind
from wallet.topups.reading import Topup
from wallet.work import Work


def fee_taken(topup: Topup) -> TransferId:
    """The transfer that took the fee: the capture of its hold."""
    return TransferId(derived_id(fee_id(TransferId(topup.id)), Phase.CAPTURE.value))


def fee_returned(topup: Topup) -> Reversal:
    """The one transfer that gives the fee back."""
    return Reversal(
        id=TransferId(derived_id(fee_id(TransferId(topup.id)), "return")),
        original_id=fee_taken(topup),
        kind=TransferKind.FEE,
        reference=topup.id,
    )


async def taken_by(work: Work, transfer_id: TransferId) -> Topup | None:
    """The top-up whose price this transfer took, where it cost a fee besides."""
    return await work.struct(Topup, _TAKEN_BY, transfer_id)


_TAKEN_BY: Final = """
select u.* from topups u join transfers t on t.id = $1 and t.pending_id = u.id
where u.fee_minor > 0 and u.resolved_by = t.id
"""
