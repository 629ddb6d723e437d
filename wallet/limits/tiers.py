"""How well the bank knows a holder, and with that which limits are theirs.

Promise: everybody is fully identified (a Smart ID is handed over in person, by an agency that
knows its own staff) unless it is said here otherwise; a change holds from the next act on and
counts what the day has already. Tables owned: limit_tiers. Who calls: bank operations.
"""

from collections.abc import Sequence
from typing import Final

from wallet.identifiers import HolderId
from wallet.limits.rules import Tier
from wallet.work import Work


async def set_tier(work: Work, holder_id: HolderId, tier: Tier, *, reason: str) -> None:
    """Put a holder into a tier, on the record. Refuses: nothing."""
    if tier is Tier.FULL:
        await work.execute(_FORGET, holder_id)
    else:
        await work.execute(_SET, holder_id, work.bank, tier.value, work.now)
    work.note(f"limits.tier.{tier}", str(holder_id), holder_id=holder_id, reason=reason)


async def tiers_of(work: Work, holder_ids: Sequence[HolderId]) -> dict[HolderId, Tier]:
    """The tiers of those who are not fully identified."""
    rows = await work.rows(_TIERS, list(holder_ids))
    return {HolderId(row["holder_id"]): Tier(row["tier"]) for row in rows}


_TIERS: Final = "select holder_id, tier from limit_tiers where holder_id = any($1)"

_SET: Final = """
insert into limit_tiers (holder_id, bank, tier, changed_at) values ($1, $2, $3, $4)
on conflict (holder_id) do update set tier = excluded.tier, changed_at = excluded.changed_at
"""

_FORGET: Final = "delete from limit_tiers where holder_id = $1"
