"""Giving back: new transfers linked to the original, never above it, and reversals that come first.

Promise: what is given back of a transfer, by whatever room and in however many parts, is counted
in one row (`reversals`), locked before it is decided on and bounded by a constraint, so the sum
never passes the original and two at once cannot both pay. The original is never touched.

A reversal that overtakes its original leaves a tombstone under the original's own id: the primary
key then sees to it that the original, coming later or at the same moment, is not posted.

Who calls: book.
"""

from uuid import UUID

from wallet.identifiers import AccountId, TransferId
from wallet.ledger.deciding import (
    account_not_found,
    decide_currency,
    decide_form,
    differs,
)
from wallet.ledger.forcing import force_move
from wallet.ledger.group import CAPTURE, POSTED, TOMBSTONE, Group, row_of
from wallet.ledger.transfer import REVERSALS, How, Phase, Posted, Posting, Reversal, Row
from wallet.outcomes import Declined, Reason


def reverse(
    group: Group, reversal: Reversal, suspense_id: AccountId | None = None
) -> Posted | Declined:
    """Give a transfer back; with `suspense_id`, whatever its receiver still holds."""
    if reversal.id == reversal.original_id:
        return Declined(reason=Reason.LINK_TO_ITSELF)
    original = group.known.get(reversal.original_id)
    known = group.known.get(reversal.id)
    if original is None:
        if known is not None:
            return differs("original_id")
        return Declined(reason=Reason.ORIGINAL_NOT_FOUND)
    if original.phase == TOMBSTONE:
        return _forestalled(group, original, reversal.id)
    row = _row_of(reversal, original, forced=suspense_id is not None)
    if known is not None:
        return group.repeat(row, known)
    declined = _decide(row, original, group.returned_of(original))
    if declined is not None:
        return declined
    return group.move(row) if suspense_id is None else force_move(group, row, suspense_id)


def forestall(group: Group, original: Posting, by: TransferId) -> Posted | Declined:
    """See to it that a transfer which has not come will not be posted when it does."""
    if original.id == by:
        return Declined(reason=Reason.LINK_TO_ITSELF)
    known = group.known.get(original.id)
    if known is not None:
        if known.phase != TOMBSTONE:
            return differs("phase")
        return _forestalled(group, known, by)
    row = row_of(original, Phase.TOMBSTONE)
    row.how, row.requested_minor, row.original_id = None, None, by
    declined = decide_form(row)
    if declined is not None:
        return declined
    debit = group.accounts.get(original.debit)
    credit = group.accounts.get(original.credit)
    if debit is None or credit is None:
        return account_not_found(debit)
    return decide_currency(row, debit, credit) or group.keep(row)


def _decide(row: Row, original: Row, returned: int) -> Declined | None:
    declined = decide_form(row)
    if declined is not None:
        return declined
    if original.phase not in (POSTED, CAPTURE) or original.how in REVERSALS:
        return Declined(reason=Reason.NOT_REVERSIBLE, facts={"phase": original.phase})
    if row.currency != original.currency:
        return Declined(reason=Reason.CURRENCY_UNSUPPORTED, facts={"currency": row.currency})
    left = original.amount_minor - returned
    if left == 0:
        return Declined(reason=Reason.ALREADY_REVERSED)
    if row.amount_minor > left:
        return Declined(reason=Reason.EXCEEDS_ORIGINAL, facts={"left_minor": left})
    return None


def _forestalled(group: Group, tombstone: Row, by: UUID) -> Posted | Declined:
    """The reversal that left the tombstone is told so again; another comes too late."""
    if tombstone.original_id != by:
        return Declined(reason=Reason.ALREADY_REVERSED)
    return group.told_again(tombstone)


def _row_of(reversal: Reversal, original: Row, *, forced: bool) -> Row:
    money = reversal.money
    amount = original.amount_minor if money is None else money.minor
    payer = original.credit_account_id if reversal.paid_by is None else reversal.paid_by
    return Row(
        id=reversal.id,
        phase=POSTED,
        kind=reversal.kind.value,
        debit_account_id=payer,
        credit_account_id=original.debit_account_id,
        amount_minor=amount,
        currency=original.currency if money is None else money.currency.value,
        reference=original.reference if reversal.reference is None else reversal.reference,
        how=How.FORCED_REVERSAL.value if forced else How.REVERSAL.value,
        requested_minor=amount if forced else None,
        original_id=original.id,
    )
