"""Phones that may sign: one at a time for each holder.

Promise: a holder has at most one ACTIVE device (an index of the table as well as the rule here); a
new one revokes the old and ends its sessions in the same transaction (its push address goes by a
trigger of the table), and the holder is told. A phone that replaced another cools off for 12 hours,
and so does the phone of a holder whose telephone number changed: every act on money asks for a
code, and a day's money is limited (see intents). The first phone of a holder has nothing to cool
off from. The same phone paired anew, which is how a PIN is reset, stays what it is and cools off.

A phone's row also counts what was moved on its signatures alone since its last right code.

Tables owned: devices.

    ACTIVE --another phone comes, or it is reported lost, or gives itself up--> REVOKED

Who calls: pairings (admitting), numbers (cooling), intents (counting), the mobile and the banks'
doors (revoking), cards at an ATM (is there a phone?).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from wallet.access import sessions
from wallet.access.kinds import Asked, Consumed, IntentKind, Prepared
from wallet.events import DevicePaired, SecurityNotice
from wallet.identifiers import BankId, DeviceId, HolderId, new_id
from wallet.money import Currency, Money
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.work import Work

COOLING: Final = timedelta(hours=12)
UNPROVEN: Final = {Currency.KHR: "unproven_khr", Currency.USD: "unproven_usd"}
_UNLIMITED: Final = 2**62


class Device(Struct, frozen=True, kw_only=True):
    """A phone: `public_key` is an uncompressed P-256 point (65 bytes)."""

    id: DeviceId
    holder_id: HolderId
    public_key: bytes
    state: str
    paired_at: datetime
    cooling_until: datetime | None
    fresh: bool = False
    """It was admitted just now, and not the holder's already."""


async def admit(
    work: Work,
    bank: BankId,
    holder_id: HolderId,
    public_key: bytes,
    channel: str,
    attestation: bytes | None = None,
) -> Device:
    """Make this phone the holder's one signing device. Refuses: nothing.

    `channel` is how it was confirmed: `atm` or `branch`; `attestation` what the phone's maker says
    of its key, kept as it came.
    """
    # One pairing of a holder at a time: the second revokes the first's phone, it does not miss it.
    await work.execute(_ONE_AT_A_TIME, str(holder_id))
    standing = (await active_of(work, [holder_id])).get(holder_id)
    if standing is not None and standing.public_key == public_key:
        await sessions.end_all(work, holder_id)
        # Whoever has phone, card and card PIN must not have the whole wallet with the new PIN.
        until = await cool(work, holder_id)
        work.note("device.confirm", str(standing.id), holder_id=holder_id, reason=channel)
        return replace(standing, cooling_until=until)
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
        fresh=True,
    )
    moments = work.now, cooling_until
    await work.execute(_ADD, device.id, bank, holder_id, public_key, channel, *moments, attestation)
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


async def cool(work: Work, holder_id: HolderId) -> datetime | None:
    """Begin the 12 hours anew for the holder's phone, if there is one: something it stands on has
    changed. Answers until when."""
    until: datetime | None = await work.value(_COOL, holder_id, work.now + COOLING)
    return until


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
    (id, bank, holder_id, public_key, state, channel, paired_at, cooling_until, attestation)
values ($1, $2, $3, $4, 'ACTIVE', $5, $6, $7, $8)
"""

_COOL: Final = """
update devices set cooling_until = greatest(cooling_until, $2)
where holder_id = $1 and state = 'ACTIVE' returning cooling_until
"""

_ACTIVE_OF: Final = """
select id, holder_id, public_key, state, paired_at, cooling_until
from devices where holder_id = any($1) and state = 'ACTIVE'
"""


# giving itself up


class NoFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The phone that signs is the one that goes."""


async def _prepare_revoke(work: Work, asked: Sequence[Asked]) -> Sequence[Prepared]:
    return [_GIVE_UP for _ in asked]


async def _authorise_revoke(work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
    for one in consumed:
        await revoke(work, one.holder_id, reason="holder")
    return [Done(answer={"device": "REVOKED"}) for _ in consumed]


_GIVE_UP: Final = Prepared(
    text_en="Remove this phone from your Smart ID. Another can be paired at an ATM or a branch.",
    text_km="ដកទូរស័ព្ទនេះចេញពី Smart ID របស់អ្នក។ អាចភ្ជាប់ទូរស័ព្ទផ្សេងនៅ ATM ឬសាខាធនាគារ។",
    plan={},
)

REVOKE: Final = IntentKind(
    name="device.revoke",
    fields=NoFields,
    prepare=_prepare_revoke,
    authorise=_authorise_revoke,
)


# what went on signatures alone


class Unproven:
    """What one group adds to a phone's sums; `proven` begins them anew."""

    __slots__ = ("moved", "proven")

    def __init__(self) -> None:
        self.proven = False
        self.moved = dict.fromkeys(Currency, 0)

    def add(self, money: Money) -> None:
        self.moved[money.currency] += money.minor


def tally(
    work: Work, sums: Mapping[DeviceId, Unproven], limits_minor: Mapping[Currency, int]
) -> None:
    """Add to phones' sums with this Work's writes.

    Where another process's group was faster and a limit would be passed, the Work ends in
    IN_FLIGHT: asked again, its member is told to bring a code.
    """
    changed = sorted(i for i, one in sums.items() if one.proven or any(one.moved.values()))
    if not changed:
        return
    work.store(
        "devices",
        _TALLY,
        changed,
        [sums[i].proven for i in changed],
        [sums[i].moved[Currency.KHR] for i in changed],
        [sums[i].moved[Currency.USD] for i in changed],
        limits_minor.get(Currency.KHR, _UNLIMITED),
        limits_minor.get(Currency.USD, _UNLIMITED),
        first=(("tallied_devices", _LOCK_TALLIED),),
        rows=len(changed),
        short=Refused(Reason.IN_FLIGHT),
    )


_LOCK_TALLIED: Final = """
select id from devices where id = any($1::uuid[]) order by id for no key update
"""

_TALLY: Final = """
update devices as device
set unproven_khr = fresh.khr + case when fresh.proven then 0 else device.unproven_khr end,
    unproven_usd = fresh.usd + case when fresh.proven then 0 else device.unproven_usd end
from unnest($1::uuid[], $2::boolean[], $3::bigint[], $4::bigint[]) as fresh (id, proven, khr, usd)
     join tallied_devices as held on held.id = fresh.id
where device.id = fresh.id
  and (fresh.proven or fresh.khr = 0 or device.unproven_khr + fresh.khr <= $5::bigint)
  and (fresh.proven or fresh.usd = 0 or device.unproven_usd + fresh.usd <= $6::bigint)
"""
