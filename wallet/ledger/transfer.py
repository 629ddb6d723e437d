"""Transfers, accounts and the rules between them: pure, and in a fixed order of reasons.

Promise: nothing here reads or writes; what may move is decided on loaded rows alone. The model
and its words are TigerBeetle's (two-phase transfers), kept in four counters an account.
Who calls: book.
"""

import enum
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.identifiers import AccountId, TransferId
from wallet.money import LARGEST_MINOR, Money
from wallet.outcomes import Reason


class TransferKind(enum.StrEnum):
    """Why money moved: printed on statements, never decided on."""

    OPENING = "opening"
    SALARY = "salary"
    QR_PAYMENT = "qr_payment"
    TOPUP = "topup"
    TOPUP_RETURN = "topup_return"
    CARD_FEE = "card_fee"
    TRANSFER = "transfer"
    REFUND = "refund"
    PROVISIONAL_CREDIT = "provisional_credit"
    CORRECTION = "correction"
    FEE = "fee"
    EXCHANGE = "exchange"
    EXCHANGE_SPREAD = "exchange_spread"
    EXCHANGE_ROUNDING = "exchange_rounding"


class Phase(enum.StrEnum):
    POSTED = "posted"
    HOLD = "hold"
    CAPTURE = "capture"
    VOID = "void"
    EXPIRY = "expiry"


class Posting(Struct, frozen=True, kw_only=True):
    """What a caller wants moved. `money` is positive; `id` is the caller's, so repeats meet."""

    id: TransferId
    debit: AccountId
    credit: AccountId
    money: Money
    kind: TransferKind
    reference: UUID | None = None


class Posted(Struct, frozen=True, kw_only=True):
    """It is (or already was) in the book. `available`: what the debit wallet can still spend."""

    transfer_id: TransferId
    available: Money | None
    repeated: bool = False


class Account:
    """A loaded account: the four counters as they stand within this group."""

    __slots__ = (
        "closed",
        "credits_pending",
        "credits_posted",
        "currency",
        "debits_pending",
        "debits_posted",
        "deltas",
        "has_floor",
        "id",
    )

    def __init__(self, row: Any) -> None:
        self.id: int = row["id"]
        self.currency: str = row["currency"]
        self.has_floor: bool = row["has_floor"]
        self.closed: bool = row["closed"]
        self.debits_pending: int = row["debits_pending"]
        self.debits_posted: int = row["debits_posted"]
        self.credits_posted: int = row["credits_posted"]
        self.credits_pending: int = row["credits_pending"]
        self.deltas = [0, 0, 0, 0]

    @property
    def available(self) -> int:
        return self.credits_posted - self.debits_posted - self.debits_pending

    def add(
        self, debits_pending: int, debits_posted: int, credits_pending: int, credits_posted: int
    ) -> None:
        self.debits_pending += debits_pending
        self.debits_posted += debits_posted
        self.credits_pending += credits_pending
        self.credits_posted += credits_posted
        deltas = self.deltas
        deltas[0] += debits_pending
        deltas[1] += debits_posted
        deltas[2] += credits_pending
        deltas[3] += credits_posted


class Row(Struct):
    """A transfer as stored or about to be."""

    id: UUID
    phase: str
    kind: str
    debit_account_id: int
    credit_account_id: int
    amount_minor: int
    currency: str
    pending_id: UUID | None
    expires_at: datetime | None
    reference: UUID | None


def decide_move(debit: Account, credit: Account, money: Money) -> Reason | None:
    """Why `money` may not go from `debit` to `credit`; None when it may. Order is fixed."""
    if money.minor <= 0 or money.minor > LARGEST_MINOR:
        return Reason.AMOUNT_INVALID
    if debit.id == credit.id:
        return Reason.ACCOUNT_NOT_FOUND
    if debit.currency != money.currency.value or credit.currency != money.currency.value:
        return Reason.CURRENCY_UNSUPPORTED
    if debit.closed or credit.closed:
        return Reason.ACCOUNT_CLOSED
    if debit.has_floor and debit.available < money.minor:
        return Reason.INSUFFICIENT_FUNDS
    most = max(
        debit.debits_posted + debit.debits_pending, credit.credits_posted + credit.credits_pending
    )
    if most > LARGEST_MINOR - money.minor:
        return Reason.AMOUNT_INVALID
    return None


def decide_resolution(
    hold: Row, resolved_by: Row | None, phase: Phase, amount: int, now: datetime
) -> Reason | None:
    """Why a hold may not be resolved this way now; None when it may. Order is fixed."""
    if resolved_by is not None:
        return _ALREADY[resolved_by.phase]
    expired = hold.expires_at is not None and now >= hold.expires_at
    if phase is Phase.EXPIRY:
        return None if expired else Reason.HOLD_NOT_YET_EXPIRED
    if expired:
        return Reason.HOLD_EXPIRED
    if amount <= 0:
        return Reason.AMOUNT_INVALID
    return Reason.EXCEEDS_HOLD if amount > hold.amount_minor else None


def same_content(one: Row, other: Row) -> bool:
    """Whether two transfers of one id ask for the same thing (a hold's expiry is not compared:
    a repeat computes it from its own now)."""
    return (
        one.phase == other.phase
        and one.kind == other.kind
        and one.debit_account_id == other.debit_account_id
        and one.credit_account_id == other.credit_account_id
        and one.amount_minor == other.amount_minor
        and one.currency == other.currency
        and one.pending_id == other.pending_id
        and one.reference == other.reference
    )


_ALREADY: Final = {
    Phase.CAPTURE.value: Reason.HOLD_ALREADY_CAPTURED,
    Phase.VOID.value: Reason.HOLD_ALREADY_VOIDED,
    Phase.EXPIRY.value: Reason.HOLD_EXPIRED,
}
