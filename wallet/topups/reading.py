"""Reading top-ups: one, or a holder's, newest first.

Who calls: the phone's door, support's timeline, delivering.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.identifiers import HolderId, TopupId
from wallet.money import Currency, Money
from wallet.topups.numbers import Msisdn, masked_number
from wallet.topups.operators import Failure
from wallet.topups.states import State
from wallet.work import Work


class Topup(Struct, frozen=True, kw_only=True):
    """A top-up as it stands. `msisdn` is in clear: whoever shows it shows `phone_masked`."""

    id: TopupId
    holder_id: HolderId
    operator: str
    msisdn: Msisdn
    product: str
    currency: Currency
    amount_minor: int
    delivered_minor: int
    fee_minor: int
    state: State
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    lookups: int
    provider_ref: str | None
    reason: str | None
    resolved_by: UUID | None
    amended_by: UUID | None

    @property
    def money(self) -> Money:
        """What the holder pays."""
        return Money(self.amount_minor, self.currency)

    @property
    def fee(self) -> Money | None:
        """What the bank takes beside the price, if anything."""
        return Money(self.fee_minor, self.currency) if self.fee_minor else None

    @property
    def delivered(self) -> Money:
        """The airtime, in dollars."""
        return Money.usd(self.delivered_minor)

    @property
    def phone_masked(self) -> str:
        """The number as answers and events show it."""
        return masked_number(self.msisdn)

    @property
    def shown_reason(self) -> str | None:
        """Why it failed, as told to the holder: our own float is nobody else's business."""
        return Failure.OPERATOR_BUSY.value if self.reason == Failure.FLOAT_EMPTY else self.reason


async def by_id(work: Work, topup_id: TopupId) -> Topup | None:
    """One top-up of the Work's bank, whoever's it is."""
    return await work.struct(Topup, _BY_ID, topup_id)


async def of_holder(
    work: Work, holder_id: HolderId, *, before: TopupId | None = None, limit: int = 50
) -> list[Topup]:
    """A holder's top-ups, newest first, older than `before`."""
    return await work.structs(Topup, _OF_HOLDER, holder_id, before, limit)


_BY_ID = "select * from topups where id = $1"

_OF_HOLDER = """
select * from topups where holder_id = $1 and ($2::uuid is null or id < $2)
order by id desc limit $3
"""


async def forget_numbers(work: Work, holder_id: HolderId) -> None:
    """Take the telephone numbers off an erased holder's top-ups; those under way keep theirs."""
    await work.execute(_FORGET, holder_id, NOBODYS)


NOBODYS: Final = "+85500000000"
"""No operator has such a number."""

_FORGET: Final = """
update topups set msisdn = $2 where holder_id = $1 and state not in ('HELD', 'SENT', 'UNKNOWN')
"""
