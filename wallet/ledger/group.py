"""What a group knows and has decided so far: accounts as they stand, transfers, and how to go back.

Promise: each request is decided seeing those before it, in plain Python over loaded rows. What a
row does to counters, holds and closings stands in one place, `_apply`, and is undone by the same
lines run backwards, so a failed chain leaves the group as it was. Nothing here reads or writes.

Who calls: book (which adds reading and writing), chains, forcing, reversing.
"""

from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from wallet.identifiers import AccountId, TransferId
from wallet.ledger.deciding import (
    account_not_found,
    balanced,
    decide_amount,
    decide_count,
    decide_currency,
    decide_form,
    decide_funds,
    decide_open,
    decide_resolution,
    differing_field,
    differs,
    must_be_exact,
)
from wallet.ledger.transfer import (
    REVERSALS,
    Account,
    Balancing,
    Phase,
    Posted,
    Posting,
    Row,
    TransferKind,
    shortfall_id,
)
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason

POSTED = Phase.POSTED.value
HOLD = Phase.HOLD.value
CLOSE = Phase.CLOSE.value
TOMBSTONE = Phase.TOMBSTONE.value
BALANCINGS = frozenset(balancing.value for balancing in Balancing)
CAPTURE = Phase.CAPTURE.value


class Shortfall(Struct, frozen=True, kw_only=True):
    """A case: what suspense stands in for, for whom, and why. Stored beside its transfer."""

    transfer_id: UUID
    forced_id: UUID
    account_id: int
    amount_minor: int
    currency: str
    cause: Reason


class Group:
    """One group's view of the accounts it touches."""

    def __init__(
        self,
        now: datetime,
        accounts: dict[int, Account],
        known: dict[UUID, Row],
        resolutions: dict[UUID, Row],
        returned: dict[UUID, int],
    ) -> None:
        self.now = now
        self.accounts = accounts
        self.known = known
        self.resolutions = resolutions
        self.returned = returned
        """How much of each original has been given back, this group included."""
        self.returned_before = dict(returned)
        self.new: list[Row] = []
        self.opened: dict[UUID, Row] = {}
        self.resolved: dict[UUID, Row] = {}
        """Holds opened here and still open; holds opened before and resolved here."""
        self.shortfalls: dict[UUID, Shortfall] = {}

    def available(self, account_id: AccountId) -> Money:
        """What a loaded floor account can still spend, the group so far included."""
        account = self.accounts[account_id]
        return Money(account.available, Currency(account.currency))

    def seen(self, transfer_id: TransferId) -> bool:
        """Whether this transfer is in the book already: asking for it again is a repeat."""
        return transfer_id in self.known

    # going back

    def mark(self) -> int:
        """A place to go back to with `undo`."""
        return len(self.new)

    def undo(self, mark: int) -> None:
        """Leave the group as it was at `mark`."""
        for row in reversed(self.new[mark:]):
            self._apply(row, -1)
            del self.known[row.id]
            self.shortfalls.pop(row.id, None)
        del self.new[mark:]

    # deciding

    def begin(self, row: Row) -> Posted | Declined:
        """Post, hold or close: decided against the two accounts it names."""
        known = self.known.get(row.id)
        if known is not None:
            return self.repeat(row, known)
        if row.phase != CLOSE:
            declined = decide_form(row)
            if declined is not None:
                return declined
        elif row.debit_account_id == row.credit_account_id:
            return Declined(reason=Reason.ACCOUNTS_SAME)
        return self.move(row)

    def move(self, row: Row) -> Posted | Declined:
        """The part of `begin` that looks at the accounts."""
        debit = self.accounts.get(row.debit_account_id)
        credit = self.accounts.get(row.credit_account_id)
        if debit is None or credit is None:
            return account_not_found(debit)
        declined = decide_currency(row, debit, credit) or decide_open(debit, credit)
        if declined is not None:
            return declined
        if row.phase == CLOSE:
            must_be_exact(debit)
        elif row.how in BALANCINGS:
            row.amount_minor = balanced(row.how, row.amount_minor, debit, credit)
            if row.amount_minor == 0:
                return Declined(reason=Reason.NOTHING_TO_MOVE)
        declined = decide_count(row.amount_minor, debit, credit) or decide_funds(
            row.amount_minor, debit
        )
        return declined or self.keep(row)

    def resolve(
        self, transfer_id: TransferId, hold_id: TransferId, phase: Phase, amount_minor: int | None
    ) -> Posted | Declined:
        """Capture, void or expire a hold; void a closing."""
        if transfer_id == hold_id:
            return Declined(reason=Reason.LINK_TO_ITSELF)
        hold = self.known.get(hold_id)
        known = self.known.get(transfer_id)
        if known is not None:
            if hold is None:
                return differs("pending_id")
            return self.repeat(resolution_of(transfer_id, hold, phase, amount_minor), known)
        declined = None if amount_minor is None else decide_amount(amount_minor)
        if declined is not None:
            return declined
        if hold is None:
            return Declined(reason=Reason.HOLD_NOT_FOUND)
        if hold.phase not in (HOLD, CLOSE):
            return Declined(reason=Reason.NOT_A_HOLD)
        row = resolution_of(transfer_id, hold, phase, amount_minor)
        declined = decide_resolution(
            hold, self.resolutions.get(hold_id), phase, row.amount_minor, self.now
        )
        return declined or self.keep(row)

    def repeat(self, asked: Row, known: Row) -> Posted | Declined:
        """An id seen before: the same answer to the same content, and a reason otherwise."""
        if known.phase == TOMBSTONE:
            return Declined(reason=Reason.REVERSED_FIRST)
        field = differing_field(asked, known)
        return differs(field) if field is not None else self.told_again(known)

    def told_again(self, known: Row) -> Posted:
        shortfall = self.known.get(shortfall_id(known.id)) if known.requested_minor else None
        return Posted(
            transfer_id=TransferId(known.id),
            available=self._available_of(known),
            amount_minor=known.amount_minor,
            shortfall_minor=shortfall.amount_minor if shortfall is not None else 0,
            repeated=True,
        )

    def returned_of(self, original: Row) -> int:
        """How much of an original has been given back so far."""
        if original.id not in self.returned:
            if original not in self.new:
                raise AssertionError(f"transfer {original.id} must be named in `originals`")
            self.returned[original.id] = 0
        return self.returned[original.id]

    # keeping

    def keep(self, row: Row) -> Posted:
        """Take a decided row into the group."""
        self._apply(row, 1)
        self.new.append(row)
        self.known[row.id] = row
        return Posted(
            transfer_id=TransferId(row.id),
            available=self._available_of(row),
            amount_minor=row.amount_minor,
        )

    def _available_of(self, row: Row) -> Money | None:
        debit = self.accounts.get(row.debit_account_id)
        if debit is None or not debit.has_floor:
            return None
        return Money(debit.available, Currency(debit.currency))

    def _apply(self, row: Row, sign: int) -> None:
        """What a row does (`sign` 1), or its undoing (-1)."""
        phase, amount = row.phase, sign * row.amount_minor
        if phase == POSTED:
            self.accounts[row.debit_account_id].add(0, amount, 0, 0)
            self.accounts[row.credit_account_id].add(0, 0, 0, amount)
            if row.how in REVERSALS and row.original_id is not None:
                self.returned[row.original_id] += sign * row.asked_minor
        elif phase == HOLD:
            self.accounts[row.debit_account_id].add(amount, 0, 0, 0)
            self.accounts[row.credit_account_id].add(0, 0, amount, 0)
            self._open(row, sign)
        elif phase == CLOSE:
            self.accounts[row.debit_account_id].closed = sign > 0
            self._open(row, sign)
        elif row.pending_id is not None:
            self._apply_resolution(row, self.known[row.pending_id], sign)

    def _open(self, row: Row, sign: int) -> None:
        if sign > 0:
            self.opened[row.id] = row
        else:
            del self.opened[row.id]

    def _apply_resolution(self, row: Row, hold: Row, sign: int) -> None:
        """The whole hold is released; of a capture, its amount is posted."""
        debit = self.accounts[hold.debit_account_id]
        credit = self.accounts[hold.credit_account_id]
        held = sign * hold.amount_minor
        posted = sign * row.amount_minor if row.phase == CAPTURE else 0
        debit.add(-held, posted, 0, 0)
        credit.add(0, 0, -held, posted)
        if hold.phase == CLOSE:
            debit.closed = sign < 0
        if sign > 0:
            self.resolutions[hold.id] = row
            if self.opened.pop(hold.id, None) is None:
                self.resolved[hold.id] = hold
        else:
            del self.resolutions[hold.id]
            if self.resolved.pop(hold.id, None) is None:
                self.opened[hold.id] = hold


def row_of(
    posting: Posting,
    phase: Phase,
    *,
    expires_at: datetime | None = None,
    lasts: timedelta | None = None,
) -> Row:
    """The row a posting asks for."""
    how = posting.balancing
    return Row(
        id=posting.id,
        phase=phase.value,
        kind=posting.kind.value,
        debit_account_id=posting.debit,
        credit_account_id=posting.credit,
        amount_minor=posting.money.minor,
        currency=posting.money.currency.value,
        expires_at=expires_at,
        reference=posting.reference,
        how=how.value if how is not None else None,
        requested_minor=posting.money.minor if how is not None else None,
        lasts=lasts,
    )


def closing_of(
    transfer_id: TransferId, account: Account | None, account_id: AccountId, against: AccountId
) -> Row:
    """The hold of nothing that closes an account."""
    return Row(
        id=transfer_id,
        phase=CLOSE,
        kind=TransferKind.CLOSING.value,
        debit_account_id=account_id,
        credit_account_id=against,
        amount_minor=0,
        currency=account.currency if account is not None else "",
    )


def resolution_of(
    transfer_id: TransferId, hold: Row, phase: Phase, amount_minor: int | None
) -> Row:
    """The row that resolves a hold."""
    return Row(
        id=transfer_id,
        phase=phase.value,
        kind=hold.kind,
        debit_account_id=hold.debit_account_id,
        credit_account_id=hold.credit_account_id,
        amount_minor=hold.amount_minor if amount_minor is None else amount_minor,
        currency=hold.currency,
        pending_id=hold.id,
        reference=hold.reference,
    )
