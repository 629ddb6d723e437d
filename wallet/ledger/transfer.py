"""The nouns of the books: transfers, accounts, what is asked and what is answered.

Promise: the model and its words are TigerBeetle's (two-phase transfers), kept in four counters an
account. Nothing here decides, reads or writes. Who calls: everything in this package.
"""

import enum
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.identifiers import AccountId, TransferId, derived_id
from wallet.money import Money


class TransferKind(enum.StrEnum):
    """Why money moved: printed on statements, never decided on."""

    OPENING = "opening"
    SALARY = "salary"
    QR_PAYMENT = "qr_payment"
    TOPUP = "topup"
    TOPUP_RETURN = "topup_return"
    CARD_FEE = "card_fee"
    TRANSFER = "transfer"
    CARD_PURCHASE = "card_purchase"
    CARD_RETURN = "card_return"
    CARD_EXCHANGE = "card_exchange"
    REFUND = "refund"
    PROVISIONAL_CREDIT = "provisional_credit"
    CORRECTION = "correction"
    FEE = "fee"
    EXCHANGE = "exchange"
    EXCHANGE_SPREAD = "exchange_spread"
    EXCHANGE_ROUNDING = "exchange_rounding"
    REVERSAL = "reversal"
    CLOSING = "closing"


class Phase(enum.StrEnum):
    POSTED = "posted"
    HOLD = "hold"
    CAPTURE = "capture"
    VOID = "void"
    EXPIRY = "expiry"
    CLOSE = "close"
    """A hold of nothing that closes its debit account while it stands."""
    TOMBSTONE = "tombstone"
    """Stands in the place of a transfer that was taken back before it came; moves nothing."""


class Balancing(enum.StrEnum):
    """Which side's balance caps the amount: the debit side's, the credit side's, or both."""

    DEBIT = "balancing_debit"
    CREDIT = "balancing_credit"
    BOTH = "balancing_both"


class How(enum.StrEnum):
    """What sets a row apart from a plain transfer. None of these: exactly what was asked."""

    BALANCING_DEBIT = "balancing_debit"
    BALANCING_CREDIT = "balancing_credit"
    BALANCING_BOTH = "balancing_both"
    FORCED = "forced"
    """Posted always; what the debit account could not pay is a `shortfall` row beside it."""
    LATE = "late"
    """Forced, for the hold `original_id` that was no longer open."""
    EXCESS = "excess"
    """What the wallet paid of a forced capture above its hold; `original_id` is the capture."""
    SHORTFALL = "shortfall"
    """What suspense stands in for; `original_id` is the forced transfer."""
    REVERSAL = "reversal"
    """Gives back, in part or whole, the transfer `original_id`."""
    FORCED_REVERSAL = "forced_reversal"


REVERSALS: Final = frozenset({How.REVERSAL.value, How.FORCED_REVERSAL.value})


class Posting(Struct, frozen=True, kw_only=True):
    """What a caller wants moved. `money` is positive; `id` is the caller's, so repeats meet.

    `balancing`: at most `money`, capped by what is there (docs/accounting.md).
    """

    id: TransferId
    debit: AccountId
    credit: AccountId
    money: Money
    kind: TransferKind
    reference: UUID | None = None
    balancing: Balancing | None = None


class Reversal(Struct, frozen=True, kw_only=True):
    """A wish to give `original_id` back to whoever it was taken from.

    `money`: how much; None is the whole original. `paid_by`: a house account that pays in place
    of the one the original went to. `reference` is the original's unless given.
    """

    id: TransferId
    original_id: TransferId
    money: Money | None = None
    kind: TransferKind = TransferKind.REVERSAL
    paid_by: AccountId | None = None
    reference: UUID | None = None


class Posted(Struct, frozen=True, kw_only=True):
    """It is (or already was) in the book. `available`: what the debit wallet can still spend.

    `amount_minor`: what was posted, held or released between the accounts asked for.
    `shortfall_minor`: what a forced transfer left to suspense.
    """

    transfer_id: TransferId
    available: Money | None
    amount_minor: int
    shortfall_minor: int = 0
    repeated: bool = False


class Account:
    """A loaded account: the four counters as they stand within this group.

    `exact`: locked, so nobody else moves it; a house account usually is not.
    """

    __slots__ = (
        "closed",
        "closed_before",
        "credits_pending",
        "credits_posted",
        "currency",
        "debits_pending",
        "debits_posted",
        "deltas",
        "exact",
        "has_floor",
        "id",
    )

    def __init__(self, row: Any, *, exact: bool) -> None:
        self.exact = exact
        self.id: int = row["id"]
        self.currency: str = row["currency"]
        self.has_floor: bool = row["has_floor"]
        self.closed: bool = row["closed"]
        self.closed_before = self.closed
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
    """A transfer as stored or about to be. `lasts`: of a hold, from posting to expiry."""

    id: UUID
    phase: str
    kind: str
    debit_account_id: int
    credit_account_id: int
    amount_minor: int
    currency: str
    pending_id: UUID | None = None
    expires_at: datetime | None = None
    reference: UUID | None = None
    how: str | None = None
    requested_minor: int | None = None
    original_id: UUID | None = None
    lasts: timedelta | None = None

    @property
    def asked_minor(self) -> int:
        """What was asked for, where that is not what was moved."""
        return self.amount_minor if self.requested_minor is None else self.requested_minor


def forced_ids(transfer_id: TransferId) -> list[TransferId]:
    """The ids a forced transfer may use: its own, its excess's and its shortfall's. Give them to
    `open_book` as `ids`, and a repeat is told what was told before."""
    return [transfer_id, excess_id(transfer_id), shortfall_id(transfer_id)]


def expiry_id(hold_id: UUID) -> TransferId:
    """The id of a hold's expiry, whoever enters it: who comes second repeats the first."""
    return TransferId(derived_id(hold_id, "expiry"))


def excess_id(transfer_id: UUID) -> TransferId:
    return TransferId(derived_id(transfer_id, "excess"))


def shortfall_id(transfer_id: UUID) -> TransferId:
    return TransferId(derived_id(transfer_id, "shortfall"))
