"""Where a phone is reached by push: the address its gateway knows it by.

Promise: one address a phone, sealed for its holder, given by the phone itself in an open session,
gone with the phone and when the gateway says that nobody is there any more. Whoever gives a false
one gains nothing: what is pushed can be read by the phone's own key alone (`for_phone`).

Tables owned: push_addresses.

    (none) --the phone gives it--> known --given anew--> known
    known --taken back, phone revoked, gateway says gone--> (none)

A revoked phone's address is gone by a trigger on its row, in the transaction that revokes it.

Who calls: the mobile door (give, take back), sending (find, dead ones).
"""

import re
from datetime import datetime
from typing import Final

from msgspec import Struct

from wallet.identifiers import DeviceId, HolderId, IntentId, Secret
from wallet.outcomes import Reason, Refused
from wallet.vault import Vault, person_scope
from wallet.work import Work

LONGEST: Final = 512
_FORM: Final = re.compile(r"[A-Za-z0-9:_.+/=-]{16,512}")


class Target(Struct, frozen=True, kw_only=True):
    """A phone that can be pushed to, and the key to seal for."""

    device_id: DeviceId
    public_key: bytes
    address: Secret[str]
    registered_at: datetime


async def register(
    work: Work, vault: Vault, holder_id: HolderId, device_id: DeviceId, address: Secret[str]
) -> None:
    """Reach this phone by push from now on; the address before it is forgotten.

    Refuses: INVALID_REQUEST (no address by its form), DEVICE_NOT_ACTIVE.
    """
    if not _FORM.fullmatch(address.reveal()):
        raise Refused(Reason.INVALID_REQUEST, field="address")
    # Held until the end, so that a revoking that comes meanwhile finds the address to forget.
    if await work.value(_HOLD_ACTIVE, device_id, holder_id) is None:
        raise Refused(Reason.DEVICE_NOT_ACTIVE)
    sealed = await vault.seal(
        work, person_scope(holder_id), _TABLE, _COLUMN, device_id, address.reveal().encode()
    )
    await work.execute(_PUT, device_id, work.bank, holder_id, sealed, work.now)
    work.note("push.register", str(device_id), holder_id=holder_id)


async def forget(work: Work, holder_id: HolderId, device_id: DeviceId) -> None:
    """Push to this phone no more. Refuses: nothing."""
    await work.execute(_FORGET, device_id)
    work.note("push.forget", str(device_id), holder_id=holder_id)


async def forget_dead(work: Work, target: Target) -> None:
    """The gateway knows the address no more; one given since then stays."""
    await work.execute(_FORGET_DEAD, target.device_id, target.registered_at)


async def of_intent(work: Work, vault: Vault, intent_id: IntentId) -> Target | None:
    """How to reach the phone that asked for an intent, while it is its holder's."""
    row = await work.row(_OF_INTENT, intent_id)
    if row is None:
        return None
    address = await vault.unseal(work, row["address_sealed"], _TABLE, _COLUMN, row["device_id"])
    return Target(
        device_id=row["device_id"],
        public_key=row["public_key"],
        address=Secret(address.reveal().decode()),
        registered_at=row["registered_at"],
    )


_TABLE: Final = "push_addresses"
_COLUMN: Final = "address_sealed"

_HOLD_ACTIVE: Final = """
select id from devices where id = $1 and holder_id = $2 and state = 'ACTIVE' for share
"""

_PUT: Final = """
insert into push_addresses (device_id, bank, holder_id, address_sealed, registered_at)
values ($1, $2, $3, $4, $5)
on conflict (device_id) do update
set address_sealed = excluded.address_sealed, registered_at = excluded.registered_at
"""

_FORGET: Final = "delete from push_addresses where device_id = $1"

_FORGET_DEAD: Final = "delete from push_addresses where device_id = $1 and registered_at = $2"

_OF_INTENT: Final = """
select device.id as device_id, device.public_key, push.address_sealed, push.registered_at
from intents as intent
join devices as device on device.id = intent.device_id and device.state = 'ACTIVE'
join push_addresses as push on push.device_id = device.id
where intent.id = $1
"""
