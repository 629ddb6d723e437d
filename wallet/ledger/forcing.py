"""Forced posts: what a network says has happened is posted always, and never as a silent overdraft.

Promise: a clearing above its hold, late, or for a closed account is in the books under its own id,
whatever the wallet holds. The wallet pays what it can; for the rest the bank's suspense account
stands in, by a transfer of its own, and a row in `shortfalls` names it, so that somebody looks.
Only what could be no transfer at all is declined (form, unknown accounts, another currency, a
receiver that is closed and a payer that cannot pay).

    asked 100, wallet has 60    ->  forced 60 (asked 100), shortfall 40 from suspense
    asked 100, wallet closed    ->  forced 0 (asked 100), shortfall 100 from suspense
    capture 100 of a hold of 70, wallet has 10 more
                                ->  capture 70 (asked 100), excess 10, shortfall 20
    capture of a hold that is over ->  as the first two, `late`

Who calls: book.
"""

from wallet.identifiers import AccountId, TransferId
from wallet.ledger.deciding import (
    account_not_found,
    decide_amount,
    decide_count,
    decide_currency,
    decide_form,
    decide_funds,
    differs,
    is_over,
)
from wallet.ledger.group import HOLD, POSTED, Group, Shortfall, resolution_of
from wallet.ledger.transfer import (
    Account,
    How,
    Phase,
    Posted,
    Row,
    excess_id,
    expiry_id,
    shortfall_id,
)
from wallet.outcomes import Declined, Reason


def force(group: Group, row: Row, how: How, suspense_id: AccountId) -> Posted | Declined:
    """Post `row` whatever its debit account holds; suspense stands in for the rest."""
    row.how, row.requested_minor = how.value, row.amount_minor
    known = group.known.get(row.id)
    if known is not None:
        return group.repeat(row, known)
    return decide_form(row) or force_move(group, row, suspense_id)


def force_move(group: Group, row: Row, suspense_id: AccountId) -> Posted | Declined:
    """The part of `force` that looks at the accounts; `row.how` and what was asked are set."""
    debit = group.accounts.get(row.debit_account_id)
    credit = group.accounts.get(row.credit_account_id)
    if debit is None or credit is None:
        return account_not_found(debit)
    suspense = _suspense(group, suspense_id)
    if suspense in (debit, credit):
        return Declined(reason=Reason.ACCOUNTS_SAME)
    declined = decide_currency(row, debit, credit) or decide_currency(row, debit, suspense)
    if declined is not None:
        return declined
    asked = row.asked_minor
    if credit.closed:
        declined = _receiver_closed(asked, debit)
        if declined is not None:
            return declined
    # Suspense may carry the whole, on either side, so its counters must have room as well.
    declined = decide_count(asked, debit, credit) or decide_count(asked, suspense, suspense)
    if declined is not None:
        return declined
    row.amount_minor = 0 if credit.closed else _pays(debit, asked)
    posted = group.keep(row)
    return _with_shortfall(group, row, posted, asked - row.amount_minor, suspense_id, debit, credit)


def force_capture(
    group: Group,
    transfer_id: TransferId,
    hold_id: TransferId,
    amount_minor: int,
    suspense_id: AccountId,
) -> Posted | Declined:
    """Capture `amount_minor` of a hold, above its amount and after its end too."""
    if transfer_id == hold_id:
        return Declined(reason=Reason.LINK_TO_ITSELF)
    hold, known = group.known.get(hold_id), group.known.get(transfer_id)
    if known is not None:
        return _again(group, known, hold_id, amount_minor)
    declined = decide_amount(amount_minor)
    if declined is not None:
        return declined
    if hold is None:
        return Declined(reason=Reason.HOLD_NOT_FOUND)
    if hold.phase != HOLD:
        return Declined(reason=Reason.NOT_A_HOLD)
    if hold_id in group.resolutions or is_over(hold, group.now):
        return _late(group, transfer_id, hold, amount_minor, suspense_id)
    if amount_minor <= hold.amount_minor:
        return group.resolve(transfer_id, hold_id, Phase.CAPTURE, amount_minor)
    return _above(group, transfer_id, hold, amount_minor, suspense_id)


def _late(
    group: Group, transfer_id: TransferId, hold: Row, amount_minor: int, suspense_id: AccountId
) -> Posted | Declined:
    mark = group.mark()
    if hold.id not in group.resolutions:
        # What is over but still counts as held is released first, by the worker's own id for it.
        group.keep(resolution_of(expiry_id(hold.id), hold, Phase.EXPIRY, None))
    row = resolution_of(transfer_id, hold, Phase.POSTED, amount_minor)
    row.pending_id, row.original_id = None, hold.id
    answer = force(group, row, How.LATE, suspense_id)
    if isinstance(answer, Declined):
        group.undo(mark)
    return answer


def _above(
    group: Group, transfer_id: TransferId, hold: Row, amount_minor: int, suspense_id: AccountId
) -> Posted | Declined:
    """The whole hold, then what the wallet has besides, then suspense."""
    debit = group.accounts[hold.debit_account_id]
    credit = group.accounts[hold.credit_account_id]
    suspense = _suspense(group, suspense_id)
    excess = amount_minor - hold.amount_minor
    if suspense in (debit, credit):
        return Declined(reason=Reason.ACCOUNTS_SAME)
    declined = (
        decide_currency(hold, debit, suspense)
        or (_receiver_closed(excess, debit) if credit.closed else None)
        or decide_count(excess, debit, credit)
        or decide_count(excess, suspense, suspense)
    )
    if declined is not None:
        return declined
    row = resolution_of(transfer_id, hold, Phase.CAPTURE, hold.amount_minor)
    row.how, row.requested_minor = How.FORCED.value, amount_minor
    posted = group.keep(row)
    pays = 0 if credit.closed else _pays(debit, excess)
    if pays:
        posted = group.keep(_beside(row, excess_id(row.id), How.EXCESS, pays))
    answer = Posted(
        transfer_id=transfer_id, available=posted.available, amount_minor=hold.amount_minor + pays
    )
    return _with_shortfall(group, row, answer, excess - pays, suspense_id, debit, credit)


def _with_shortfall(
    group: Group,
    row: Row,
    posted: Posted,
    short: int,
    suspense_id: AccountId,
    debit: Account,
    credit: Account,
) -> Posted:
    """Suspense stands in for what is short: for the payer, or for a receiver that is closed."""
    if short == 0:
        return posted
    beside = _beside(row, shortfall_id(row.id), How.SHORTFALL, short)
    if credit.closed:
        beside.credit_account_id = suspense_id
    else:
        beside.debit_account_id = suspense_id
    closed = debit.closed or credit.closed
    group.keep(beside)
    group.shortfalls[beside.id] = Shortfall(
        transfer_id=beside.id,
        forced_id=row.id,
        account_id=credit.id if credit.closed else debit.id,
        amount_minor=short,
        currency=row.currency,
        cause=Reason.ACCOUNT_CLOSED if closed else Reason.INSUFFICIENT_FUNDS,
    )
    return Posted(
        transfer_id=posted.transfer_id,
        # Read again: of a closed receiver it is the payer who paid the shortfall.
        available=group.available(AccountId(debit.id)) if debit.has_floor else None,
        amount_minor=posted.amount_minor,
        shortfall_minor=short,
    )


def _beside(row: Row, transfer_id: TransferId, how: How, amount_minor: int) -> Row:
    """A transfer of its own that completes a forced one."""
    return Row(
        id=transfer_id,
        phase=POSTED,
        kind=row.kind,
        debit_account_id=row.debit_account_id,
        credit_account_id=row.credit_account_id,
        amount_minor=amount_minor,
        currency=row.currency,
        reference=row.reference,
        how=how.value,
        original_id=row.id,
    )


def _again(group: Group, known: Row, hold_id: TransferId, amount_minor: int) -> Posted | Declined:
    """A forced capture seen before, whichever way it was posted then."""
    if known.phase == Phase.TOMBSTONE.value:
        return Declined(reason=Reason.REVERSED_FIRST)
    if known.phase != Phase.CAPTURE.value and known.how != How.LATE.value:
        return differs("phase")
    if hold_id not in (known.pending_id, known.original_id):
        return differs("pending_id")
    if known.asked_minor != amount_minor:
        return differs("amount")
    again = group.told_again(known)
    excess = group.known.get(excess_id(known.id))
    if excess is None:
        return again
    return Posted(
        transfer_id=again.transfer_id,
        available=again.available,
        amount_minor=again.amount_minor + excess.amount_minor,
        shortfall_minor=again.shortfall_minor,
        repeated=True,
    )


def _pays(debit: Account, amount_minor: int) -> int:
    """What the debit side can pay of an amount."""
    if debit.closed:
        return 0
    return max(0, min(amount_minor, debit.available)) if debit.has_floor else amount_minor


def _receiver_closed(amount_minor: int, debit: Account) -> Declined | None:
    """Suspense stands in for one side only: a closed receiver needs a payer who can pay."""
    if debit.closed:
        return Declined(reason=Reason.ACCOUNT_CLOSED, facts={"side": "credit"})
    return decide_funds(amount_minor, debit)


def _suspense(group: Group, suspense_id: AccountId) -> Account:
    suspense = group.accounts.get(suspense_id)
    if suspense is None or suspense.has_floor or suspense.closed:
        raise AssertionError("what is forced falls to an open house account of the group")
    return suspense
