"""What may move, decided on loaded rows alone: pure, and in one fixed order of reasons.

Promise: when several reasons apply, the first of this list is the answer, whichever way the
request came. The order is TigerBeetle's, with our form checks (zero, negative) where it has none.

    1.  linked_chain_open, linked_failed (chains); link_to_itself
    2.  the id is known: reversed_first, transfer_differs (facts: field), or the same answer again
    3.  form: amount_zero, amount_negative, amount_too_large, accounts_same
    4.  what it names: account_not_found (facts: side), hold_not_found, not_a_hold,
        original_not_found, not_reversible
    5.  currency_unsupported
    6.  account_closed (facts: side), for a resolution only when the hold is itself a closing
    7.  resolutions: exceeds_hold, hold_already_captured, hold_already_voided, hold_expired,
        hold_not_yet_expired; reversals: already_reversed, exceeds_original (facts: left_minor)
    8.  nothing_to_move (balancing)
    9.  balance_too_large, insufficient_funds (facts: available_minor, currency)

Who calls: group, forcing, reversing.
"""

from datetime import datetime
from typing import Final

from wallet.ledger.transfer import Account, How, Phase, Row
from wallet.money import LARGEST_MINOR
from wallet.outcomes import Declined, Reason


def decide_amount(amount_minor: int) -> Declined | None:
    """Whether an amount can be moved at all."""
    if 0 < amount_minor <= LARGEST_MINOR:
        return None
    if amount_minor == 0:
        return Declined(reason=Reason.AMOUNT_ZERO)
    return Declined(reason=Reason.AMOUNT_NEGATIVE if amount_minor < 0 else Reason.AMOUNT_TOO_LARGE)


def decide_form(row: Row) -> Declined | None:
    """What is wrong with a request whatever the books say."""
    declined = decide_amount(row.amount_minor)
    if declined is None and row.debit_account_id == row.credit_account_id:
        return Declined(reason=Reason.ACCOUNTS_SAME)
    return declined


def account_not_found(debit: Account | None) -> Declined:
    """One of the two is missing; the debit side is named first."""
    side = "debit" if debit is None else "credit"
    return Declined(reason=Reason.ACCOUNT_NOT_FOUND, facts={"side": side})


def decide_currency(row: Row, debit: Account, credit: Account) -> Declined | None:
    if debit.currency == row.currency == credit.currency:
        return None
    return Declined(reason=Reason.CURRENCY_UNSUPPORTED, facts={"currency": row.currency})


def decide_open(debit: Account, credit: Account) -> Declined | None:
    """Whether both accounts still take new transfers."""
    if not (debit.closed or credit.closed):
        return None
    side = "debit" if debit.closed else "credit"
    return Declined(reason=Reason.ACCOUNT_CLOSED, facts={"side": side})


def balanced(how: str | None, amount_minor: int, debit: Account, credit: Account) -> int:
    """At most what is there: on the debit side what its credits leave, on the credit side what it
    is still owed. Zero when there is nothing."""
    if how != How.BALANCING_CREDIT.value:
        must_be_exact(debit)
        amount_minor = min(amount_minor, debit.available)
    if how != How.BALANCING_DEBIT.value:
        must_be_exact(credit)
        owed = credit.debits_posted - credit.credits_posted - credit.credits_pending
        amount_minor = min(amount_minor, owed)
    return max(amount_minor, 0)


def decide_count(amount_minor: int, debit: Account, credit: Account) -> Declined | None:
    """Whether the counters can take the amount (they are 64-bit integers)."""
    debits = debit.debits_posted + debit.debits_pending
    credits = credit.credits_posted + credit.credits_pending
    if (debits if debits > credits else credits) > LARGEST_MINOR - amount_minor:
        return Declined(reason=Reason.BALANCE_TOO_LARGE)
    return None


def decide_funds(amount_minor: int, debit: Account) -> Declined | None:
    """A floor account never goes below zero, what is held counted."""
    if not debit.has_floor or debit.available >= amount_minor:
        return None
    return Declined(
        reason=Reason.INSUFFICIENT_FUNDS,
        facts={"available_minor": debit.available, "currency": debit.currency},
    )


def decide_resolution(
    hold: Row, resolved_by: Row | None, phase: Phase, amount_minor: int, now: datetime
) -> Declined | None:
    """Why a hold may not be resolved this way now; None when it may."""
    if hold.phase == Phase.CLOSE.value:
        # A closing holds nothing: it is only ever voided, which opens the account again.
        if phase is Phase.CAPTURE:
            return Declined(reason=Reason.ACCOUNT_CLOSED, facts={"side": "debit"})
    elif phase is Phase.CAPTURE and amount_minor > hold.amount_minor:
        return _of_hold(Reason.EXCEEDS_HOLD, hold)
    if resolved_by is not None:
        return _of_hold(_ALREADY[resolved_by.phase], hold)
    expired = is_over(hold, now)
    if phase is Phase.EXPIRY:
        return None if expired else _of_hold(Reason.HOLD_NOT_YET_EXPIRED, hold)
    return _of_hold(Reason.HOLD_EXPIRED, hold) if expired else None


def is_over(hold: Row, now: datetime) -> bool:
    """A hold ends exactly at its moment, to the microsecond."""
    return hold.expires_at is not None and now >= hold.expires_at


def differing_field(asked: Row, known: Row) -> str | None:
    """The first field in which a repeat is another transfer; None when it is the same.

    A hold's length is compared, not its end: a repeat counts from its own now.
    """
    for field, one, other in (
        ("phase", asked.phase, known.phase),
        ("how", asked.how, known.how),
        ("pending_id", asked.pending_id, known.pending_id),
        ("original_id", asked.original_id, known.original_id),
        ("lasts", asked.lasts, known.lasts),
        ("debit", asked.debit_account_id, known.debit_account_id),
        ("credit", asked.credit_account_id, known.credit_account_id),
        ("amount", asked.asked_minor, known.asked_minor),
        ("currency", asked.currency, known.currency),
        ("kind", asked.kind, known.kind),
        ("reference", asked.reference, known.reference),
    ):
        if one != other:
            return field
    return None


def differs(field: str) -> Declined:
    return Declined(reason=Reason.TRANSFER_DIFFERS, facts={"field": field})


def must_be_exact(account: Account) -> None:
    """A decision on a house account's own balance or closing needs its lock."""
    if not account.exact:
        raise AssertionError(f"account {account.id} must be named in `exact`")


def _of_hold(reason: Reason, hold: Row) -> Declined:
    return Declined(reason=reason, facts={"held_minor": hold.amount_minor})


_ALREADY: Final = {
    Phase.CAPTURE.value: Reason.HOLD_ALREADY_CAPTURED,
    Phase.VOID.value: Reason.HOLD_ALREADY_VOIDED,
    Phase.EXPIRY.value: Reason.HOLD_EXPIRED,
}
