"""Where a purchase stands: carried from event to event, its status derived and never set. Pure.

    last event says                                    status
    never allowed, nothing taken                       DECLINED
    something is held, and its time is not over        PENDING
    something is held, its time is over, nothing taken EXPIRED  (whether or not a job was there yet)
    nothing (more) held, something taken or credited   SETTLED
    nothing held, nothing taken, taken back            VOIDED   (a tombstone too)
    nothing held, nothing taken, run out               EXPIRED

Who calls: this package; doors read `Status`.
"""

import enum
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.authorisations.amounts import Pricing, Rate
from wallet.money import Currency


class Status(enum.StrEnum):
    """Lithic's five."""

    PENDING = "PENDING"
    SETTLED = "SETTLED"
    VOIDED = "VOIDED"
    EXPIRED = "EXPIRED"
    DECLINED = "DECLINED"


class Counted(Struct, frozen=True, kw_only=True):
    """A part of a purchase as the limits count it: by which event, how much, when."""

    id: UUID
    minor: int
    at: datetime


class Standing(Struct, frozen=True, kw_only=True):
    """A purchase after its latest event. `..._s`: minor units of the settlement currency, as the
    network counts; the others of the wallet's.

    `allowed_s` what was ever allowed, forced posts not; `open_s` what is still held of it;
    `cleared_s` what was taken; `returned_s` what came back. `held_minor` stands in the books as
    `hold_id` until `expires_at`; `paid_minor` the wallet paid, `short_minor` suspense stood in;
    `returned_minor` the wallet got back. `counted`: what stands in the limits, and since when.
    """

    settlement: Currency
    wallet: Currency
    rate: Rate | None = None
    allowed_s: int = 0
    open_s: int = 0
    cleared_s: int = 0
    returned_s: int = 0
    held_minor: int = 0
    hold_id: UUID | None = None
    expires_at: datetime | None = None
    paid_minor: int = 0
    short_minor: int = 0
    returned_minor: int = 0
    credited_s: int = 0
    credited_minor: int = 0
    """Came back without anything having been taken."""
    fee_minor: int = 0
    fee_taken: bool = False
    counted: tuple[Counted, ...] = ()
    approved: bool = False
    voided: bool = False
    over: bool = False
    """Ran out, or was cleared for the last time."""
    unheard: bool = False
    """Taken back before its shop heard of it: it left no mark on card or habits."""

    @property
    def counted_minor(self) -> int:
        return sum(part.minor for part in self.counted)

    @property
    def pricing(self) -> Pricing:
        return Pricing(settlement=self.settlement, wallet=self.wallet, rate=self.rate)

    def holds(self, moment: datetime) -> bool:
        """Whether what it holds may still be taken: an authorisation ends exactly at its moment."""
        return self.open_s > 0 and self.expires_at is not None and moment < self.expires_at


def status_of(standing: Standing, moment: datetime) -> Status:
    if standing.holds(moment):
        return Status.PENDING
    if standing.cleared_s or standing.credited_minor:
        return Status.SETTLED
    if standing.voided:
        return Status.VOIDED
    if standing.open_s or standing.over:
        return Status.EXPIRED
    if standing.approved:
        return Status.SETTLED  # a question of nothing, answered
    return Status.DECLINED


NOTHING: Final = Standing(settlement=Currency.KHR, wallet=Currency.KHR)
