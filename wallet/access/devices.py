"""Phones that may sign: one at a time for each holder.

Promise: a holder has at most one ACTIVE device (an index of the table as well as the rule here); a
new one revokes the old and ends its sessions in the same transaction, and the holder is told. A
phone that replaced another cools off for 12 hours: every act on money asks for a code, and a day's
money is limited (see intents). The first phone of a holder has nothing to cool off from.

Tables owned: devices.

    ACTIVE --another phone comes, or it is reported lost--> REVOKED

Who calls: pairings (admitting), cards at an ATM (is there a phone?), support and banks (revoking).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from wallet.access import sessions
from wallet.events import DevicePaired, SecurityNotice
from wallet.identifiers import BankId, DeviceId, HolderId, new_id
from wallet.work import Work

COOLING: Final = timedelta(hours=12)


class Device(Struct, frozen=True, kw_only=True):
    """A phone: `public_key` is an uncompressed P-256 point (65 bytes)."""

    id: DeviceId
    holder_id: HolderId
    public_key: bytes
    state: str
    paired_at: datetime
    cooling_until: datetime | None


async def admit(
    work: Work, bank: BankId, holder_id: HolderId, public_key: bytes, channel: str
) -> Device:
    """Make this phone the holder's one signing device. Refuses: nothing.

    `channel` is how it was confirmed: `atm` or `branch`.
    """
    # One pairing of a holder at a time: the second revokes the first's phone, it does not miss it.
    await work.execute(_ONE_AT_A_TIME, str(holder_id))
    known = await work.value(_ANY_BEFORE, holder_id)
    await _end_active(work, holder_id)
    cooling_until = work.now + COOLING if known else None
    device = Device(
        id=DeviceId(new_id()),
        holder_id=holder_id,
        public_key=public_key,
        state="ACTIVE",
        paired_at=work.now,
        cooling_until=cooling_until,
    )
    await work.execute(
        _ADD, device.id, bank, holder_id, public_key, channel, work.now, cooling_until
    )
    work.note("device.pair", str(device.id), holder_id=holder_id, reason=channel)
    work.emit(DevicePaired(holder_id=holder_id, channel=channel, replaced=bool(known)))
    return device


async def revoke(work: Work, holder_id: HolderId, *, reason: str) -> bool:
    """Take the holder's phone out of service, with its sessions; False when there was none."""
    await work.execute(_ONE_AT_A_TIME, str(holder_id))
    revoked = await _end_active(work, holder_id, reason=reason)
    if revoked:
        work.emit(SecurityNotice(holder_id=holder_id, what="device_revoked"))
    return revoked


async def active_of(work: Work, holder_ids: Sequence[HolderId]) -> dict[HolderId, Device]:
    """The signing device of each holder who has one."""
    found = await work.structs(Device, _ACTIVE_OF, list(holder_ids))
    return {device.holder_id: device for device in found}


async def _end_active(work: Work, holder_id: HolderId, *, reason: str = "replaced") -> bool:
    rows = await work.rows(_REVOKE, holder_id, work.now)
    for row in rows:
        work.note("device.revoke", str(row["id"]), holder_id=holder_id, reason=reason)
    await sessions.end_all(work, holder_id)
    return bool(rows)


_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended('device:' || $1, 0))"

_ANY_BEFORE: Final = "select exists (select from devices where holder_id = $1)"

_REVOKE: Final = """
update devices set state = 'REVOKED', revoked_at = $2
where holder_id = $1 and state = 'ACTIVE' returning id
"""

_ADD: Final = """
insert into devices
    (id, bank, holder_id, public_key, state, channel, paired_at, cooling_until)
values ($1, $2, $3, $4, 'ACTIVE', $5, $6, $7)
"""

_ACTIVE_OF: Final = """
select id, holder_id, public_key, state, paired_at, cooling_until
from devices where holder_id = any($1) and state = 'ACTIVE'
"""
