"""What the app shows: a card's and a holder's own rules, and what every rule leaves.

Promise: nothing is locked or written; what is left is what the next purchase would be asked
against, the bank's amounts among it (its lists stay the bank's). Owns no table.
Who calls: the mobile door.
"""

from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.controls import versions
from wallet.controls.deciding import SetBy
from wallet.controls.group import Left, open_controls
from wallet.controls.purchases import Merchant, Purchase
from wallet.controls.versions import Version
from wallet.identifiers import CardId, HolderId
from wallet.limits import Channel
from wallet.money import Currency, Money
from wallet.work import Work

_NO_CARD: Final = CardId(UUID(int=0))
_NOWHERE: Final = Merchant(id="", mcc="0000", country="KH")


class Standing(Struct, frozen=True, kw_only=True):
    """The versions in force, None where nothing was set, and what is left by every rule."""

    card: Version | None
    holder: Version | None
    left: list[Left]


async def standing(work: Work, holder_id: HolderId, card_id: CardId | None) -> Standing:
    """Of one card, or, without one, of all of the holder's cards. Refuses: nothing."""
    subject = card_id or _NO_CARD
    purchases = [
        Purchase(
            id=UUID(int=place),
            card_id=subject,
            holder_id=holder_id,
            amount=Money(0, currency),
            merchant=_NOWHERE,
            channel=Channel.ONLINE,
            moment=work.now,
        )
        for place, currency in enumerate(Currency)
    ]
    controls = await open_controls(work, purchases, locked=False)
    left = [one for purchase in purchases for one in controls.remaining(purchase)]
    in_force = await versions.in_force(work, [holder_id, subject])
    return Standing(
        card=in_force.get(subject),
        holder=in_force.get(holder_id),
        left=left if card_id else [one for one in left if one.per == "holder"],
    )


async def past(
    work: Work, by: SetBy, subject: UUID, before: int | None, limit: int
) -> list[Version]:
    """Versions of a card's or a holder's sheet, newest first."""
    return [v for v in await versions.of_subject(work, subject, before, limit) if v.set_by is by]
