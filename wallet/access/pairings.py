"""Pairing a phone: it shows a code, somebody who knows the holder confirms it, it proves its key.

Promise: a phone becomes a holder's only through a credential stronger than itself: card and PIN at
an ATM (whose bank's host signs the request), or two clerks of the bank. The code is 8 digits, good
for 10 minutes and once; what is stored are keyed hashes. Wrong codes are counted for the holder in
whose name they are entered, in PostgreSQL: five in 10 minutes. The phone proves that it has the
key it showed at the beginning, and sets its PIN. A phone that is the holder's already may be paired
anew: that resets the PIN, by card and PIN or by two clerks as every pairing, and is the way back
from locked codes; its 12 hours of cooling-off begin anew, inbox and telephone are told, nothing
else changes.

Tables owned: pairings, pairing_tries.

    WAITING --card + PIN at an ATM---------------> CONFIRMED --PIN, proof of the key--> COMPLETED
            --a clerk--> REQUESTED --a second one--> CONFIRMED
    any but COMPLETED --10 min after its last step--> EXPIRED   (read so, never written)

Who calls: the mobile door (begin, look, complete), the ATM door, the banks' door.
"""

import hashlib
import hmac
import re
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.access import approvals, devices, numbers, otp, pins
from wallet.access.approvals import Approval
from wallet.access.hashing import Hashing
from wallet.access.members import Permission
from wallet.access.signing import PAIRING, base64url, canonical, signed_by
from wallet.database import UniqueViolation
from wallet.events import SecurityNotice
from wallet.identifiers import SKEW, BankId, HolderId, PairingId, Secret, first_id_at, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.vault import Vault
from wallet.work import Actor, ActorKind, Work, Works

LIFE: Final = timedelta(minutes=10)
TRIES: Final = 5
ACT: Final = "device.pair"
"""What the banks' clerks ask each other's approval for."""

_CODE: Final = re.compile(r"[0-9]{8}")


class Pairing(Struct, frozen=True, kw_only=True):
    id: PairingId
    state: str
    secret_hash: bytes
    public_key: bytes
    nonce: bytes
    tries: int
    bank: BankId | None
    holder_id: HolderId | None
    channel: str | None
    expires_at: datetime
    attestation: bytes | None


def pairing_bytes(pairing_id: PairingId, nonce: bytes) -> bytes:
    """What the phone signs to prove that it has the key it showed."""
    return canonical((PAIRING, str(pairing_id), nonce))


# the phone begins, and looks


async def begin(
    works: Works, vault: Vault, public_key: bytes, key: str, attestation: bytes | None = None
) -> Outcome:
    """Open a pairing for this key; answers the code to show and the secret to look again with.

    Both follow from the pairing's id and a key outside the database, so that a repeat under the
    same idempotency `key` is answered in full though neither is stored.
    Refuses: BUSY (the code is taken just now), what `Works.perform_once` refuses.
    """

    async def open_pairing(work: Work) -> Outcome:
        pairing_id = PairingId(new_id())
        code, secret = _code(vault, pairing_id), _secret(vault, pairing_id)
        expires_at = work.now + LIFE
        await work.execute(_FORGET_OLD, work.now - LIFE)
        try:
            await work.execute(
                _ADD,
                pairing_id,
                _code_index(vault, code),
                hashlib.sha256(secret.encode()).digest(),
                public_key,
                _derived(vault, pairing_id, "nonce"),
                work.now,
                expires_at,
                attestation,
            )
        except UniqueViolation:
            raise Refused(Reason.BUSY, retry_after_s=1) from None
        return Done(answer={"pairing_id": str(pairing_id), "expires_at": expires_at.isoformat()})

    body = public_key + (attestation or b"")
    outcome, _ = await works.perform_once(
        phone_actor(public_key), None, "pairing.begin", key, body, open_pairing
    )
    if isinstance(outcome, Declined):
        return outcome
    pairing_id = PairingId(UUID(outcome.answer["pairing_id"]))
    shown = {"code": _code(vault, pairing_id), "secret": _secret(vault, pairing_id)}
    return Done(answer=outcome.answer, secret=shown)


async def look(work: Work, pairing_id: PairingId, secret: str) -> dict[str, Any]:
    """How far a pairing is, for the phone that began it; the nonce to sign once it is confirmed.

    Refuses: NOT_FOUND.
    """
    pairing = await _known(work, _BY_ID, pairing_id, secret)
    state = "EXPIRED" if decide_over(pairing, work.now) else pairing.state
    shown: dict[str, Any] = {
        "pairing_id": str(pairing_id),
        "state": state,
        "expires_at": pairing.expires_at.isoformat(),
    }
    if state == "CONFIRMED":
        shown["nonce"] = base64url(pairing.nonce)
    return shown


async def complete(
    works: Works,
    vault: Vault,
    hashing: Hashing,
    pairing_id: PairingId,
    *,
    secret: str,
    pin: Secret[str],
    signature: bytes,
    key: str,
) -> Outcome:
    """Make the confirmed phone the holder's device, with this PIN.

    Declines: SIGNATURE_INVALID (five end the pairing). Refuses: NOT_FOUND, PAIRING_EXPIRED,
    PAIRING_INVALID (tries used up), ILLEGAL_TRANSITION (not confirmed yet, or completed), PIN_WEAK,
    BUSY, what `Works.perform_once` refuses.
    """
    pins.decide_strength(pin.reveal())

    async def look_up(work: Work) -> Pairing:
        return await _known(work, _BY_ID, pairing_id, secret)

    pairing = await works.read(ANYBODY, None, look_up)
    holder_id, bank = pairing.holder_id, pairing.bank
    if holder_id is None or bank is None:
        raise Refused(Reason.ILLEGAL_TRANSITION, state=pairing.state)
    encoded = await pins.encode(vault, hashing, holder_id, pin)

    async def take(work: Work) -> Outcome:
        now = await _known(work, _LOCK_BY_ID, pairing_id, secret)
        return await _take(work, now, bank, holder_id, encoded, signature)

    # The PIN stays out of the fingerprint: it could be found by trying.
    body = b"|".join((pairing_id.bytes, signature))
    actor = phone_actor(pairing.public_key)
    outcome, _ = await works.perform_once(actor, bank, "pairing.complete", key, body, take)
    return outcome


async def _take(
    work: Work, now: Pairing, bank: BankId, holder_id: HolderId, encoded: str, signature: bytes
) -> Outcome:
    decide_completable(now, work.now)
    digest = hashlib.sha256(pairing_bytes(now.id, now.nonce)).digest()
    if not signed_by(now.public_key, signature, digest):
        await work.execute(_WRONG_PROOF, now.id)
        left = TRIES - now.tries - 1
        return Declined(reason=Reason.SIGNATURE_INVALID, facts={"tries_left": left})
    device = await devices.admit(
        work, bank, holder_id, now.public_key, now.channel or "", now.attestation
    )
    await pins.put(work, bank, holder_id, encoded)
    await otp.unlock(work, holder_id)
    await work.execute(_COMPLETE, now.id, work.now)
    if not device.fresh:
        work.emit(SecurityNotice(holder_id=holder_id, what="pin_reset"))
        await numbers.tell(work, holder_id, "pin_reset", now.id)
    elif device.cooling_until is not None:
        await numbers.tell(work, holder_id, "device_replaced", device.id)
    until = device.cooling_until
    return Done(
        answer={
            "device_id": str(device.id),
            "holder_id": str(holder_id),
            "cooling_until": None if until is None else until.isoformat(),
        }
    )


def phone_actor(public_key: bytes) -> Actor:
    """A phone that is nobody's yet, named by its key."""
    return Actor(kind=ActorKind.ANONYMOUS, id=f"phone:{hashlib.sha256(public_key).hexdigest()}")


def decide_over(pairing: Pairing, now: datetime) -> bool:
    return pairing.state != "COMPLETED" and pairing.expires_at <= now


def decide_completable(pairing: Pairing, now: datetime) -> None:
    if decide_over(pairing, now):
        raise Refused(Reason.PAIRING_EXPIRED)
    if pairing.state != "CONFIRMED":
        raise Refused(Reason.ILLEGAL_TRANSITION, state=pairing.state)
    if pairing.tries >= TRIES:
        raise Refused(Reason.PAIRING_INVALID)


# somebody who knows the holder confirms


async def confirm_at_atm(work: Work, vault: Vault, holder_id: HolderId, code: str) -> Outcome:
    """Confirm the phone that shows `code` as this holder's, whose card and PIN the bank's host has
    verified.

    Declines, so that tries count: PAIRING_INVALID, PAIRING_EXPIRED, LOCKED (five wrong codes).
    """
    found = await _by_code(work, vault, holder_id, code)
    if isinstance(found, Declined):
        return found
    await work.execute(_CONFIRM, found.id, work.bank, holder_id, "atm", work.now, work.now + LIFE)
    work.note("pairing.confirm", str(found.id), holder_id=holder_id)
    return Done(answer={"pairing_id": str(found.id), "state": "CONFIRMED"})


async def request_by_clerk(
    work: Work, vault: Vault, holder_id: HolderId, code: str
) -> Approval | Declined:
    """Ask, as a clerk, that a second one approve the phone that shows `code` as this holder's.

    Declines: PAIRING_INVALID, PAIRING_EXPIRED, LOCKED. Refuses: FORBIDDEN.
    """
    found = await _by_code(work, vault, holder_id, code)
    if isinstance(found, Declined):
        return found
    await work.execute(_REQUEST, found.id, work.bank, holder_id)
    payload = approvals.hash_of(_payload(found.id, holder_id, found.public_key))
    return await approvals.request(
        work, ACT, str(found.id), payload, permission=Permission.PAIRING_ASK
    )


async def approve_by_clerk(
    work: Work, vault: Vault, pairing_id: PairingId, code: Secret[str]
) -> Outcome:
    """Confirm a requested pairing as a second clerk, proven by a fresh time code.

    Declines: OTP_WRONG, LOCKED, APPROVAL_EXPIRED, PAIRING_EXPIRED. Refuses: NOT_FOUND, FORBIDDEN,
    FOUR_EYES, ILLEGAL_TRANSITION, CONFLICT.
    """
    pairing = await work.struct(Pairing, _LOCK_BY_ID, pairing_id)
    if pairing is None or pairing.holder_id is None or pairing.bank != work.bank:
        raise Refused(Reason.NOT_FOUND)
    if decide_over(pairing, work.now):
        return Declined(reason=Reason.PAIRING_EXPIRED)
    if pairing.state != "REQUESTED":
        raise Refused(Reason.ILLEGAL_TRANSITION, state=pairing.state)
    asked = await approvals.newest(work, ACT, str(pairing_id))
    if asked is None:
        raise Refused(Reason.NOT_FOUND)
    payload = approvals.hash_of(_payload(pairing_id, pairing.holder_id, pairing.public_key))
    approved = await approvals.approve(
        work,
        vault,
        asked.id,
        act=ACT,
        payload_hash=payload,
        code=code,
        permission=Permission.PAIRING_APPROVE,
    )
    if isinstance(approved, Declined):
        return approved
    spent = await approvals.execute(work, asked.id, act=ACT, payload_hash=payload)
    if isinstance(spent, Declined):
        return spent
    until = work.now + LIFE
    await work.execute(
        _CONFIRM, pairing_id, work.bank, pairing.holder_id, "branch", work.now, until
    )
    work.note("pairing.confirm", str(pairing_id), holder_id=pairing.holder_id)
    return Done(answer={"pairing_id": str(pairing_id), "state": "CONFIRMED"})


async def _by_code(work: Work, vault: Vault, holder_id: HolderId, code: str) -> Pairing | Declined:
    await work.execute(_OPEN_TRIES, holder_id, work.bank, work.now)
    tries = await work.row(_LOCK_TRIES, holder_id)
    assert tries is not None  # noqa: S101 - just opened
    since: datetime = tries["since"]
    running = since + LIFE > work.now
    if running and tries["failures"] >= TRIES:
        pause = int((since + LIFE - work.now).total_seconds()) + 1
        return Declined(reason=Reason.LOCKED, facts={"retry_after_s": pause})
    found = None
    if _CODE.fullmatch(code):
        found = await work.struct(Pairing, _LOCK_BY_CODE, _code_index(vault, code))
    if found is not None and not decide_over(found, work.now):
        await work.execute(_SET_TRIES, holder_id, 0, work.now)
        return found
    failures = tries["failures"] + 1 if running else 1
    await work.execute(_SET_TRIES, holder_id, failures, since if running else work.now)
    work.note("pairing.wrong_code", str(holder_id), holder_id=holder_id)
    reason = Reason.PAIRING_INVALID if found is None else Reason.PAIRING_EXPIRED
    return Declined(reason=reason, facts={"tries_left": TRIES - failures})


async def _known(work: Work, sql: str, pairing_id: PairingId, secret: str) -> Pairing:
    pairing = await work.struct(Pairing, sql, pairing_id)
    hashed = hashlib.sha256(secret.encode()).digest()
    if pairing is None or not hmac.compare_digest(pairing.secret_hash, hashed):
        raise Refused(Reason.NOT_FOUND)
    return pairing


def _payload(pairing_id: PairingId, holder_id: HolderId, public_key: bytes) -> dict[str, str]:
    return {
        "pairing_id": str(pairing_id),
        "holder_id": str(holder_id),
        "public_key": public_key.hex(),
    }


def _derived(vault: Vault, pairing_id: PairingId, part: str) -> bytes:
    return hmac.digest(vault.pepper("pairing"), f"{pairing_id}|{part}".encode(), "sha256")


def _code(vault: Vault, pairing_id: PairingId) -> str:
    # 2**256 over 10**8: no digit is likelier than another to any measurable degree
    return f"{int.from_bytes(_derived(vault, pairing_id, 'code'), 'big') % 10**8:08d}"


def _secret(vault: Vault, pairing_id: PairingId) -> str:
    return base64url(_derived(vault, pairing_id, "secret"))


def _code_index(vault: Vault, code: str) -> bytes:
    return vault.blind_index("pairing.code", code)


ANYBODY: Final = Actor(kind=ActorKind.ANONYMOUS, id="mobile-door")

_ADD: Final = """
insert into pairings
    (id, state, code_index, secret_hash, public_key, nonce, created_at, expires_at, attestation)
values ($1, 'WAITING', $2, $3, $4, $5, $6, $7, $8)
"""

_FORGET_OLD: Final = "delete from pairings where state = 'WAITING' and expires_at < $1"

_COLUMNS: Final = """
select id, state, secret_hash, public_key, nonce, tries, bank, holder_id, channel, expires_at,
       attestation
from pairings"""
_BY_ID: Final = f"{_COLUMNS} where id = $1"
_LOCK_BY_ID: Final = f"{_COLUMNS} where id = $1 for update"
_LOCK_BY_CODE: Final = f"{_COLUMNS} where code_index = $1 and state = 'WAITING' for update"

_REQUEST: Final = """
update pairings set state = 'REQUESTED', bank = $2, holder_id = $3, channel = 'branch'
where id = $1
"""

_CONFIRM: Final = """
update pairings
set state = 'CONFIRMED', bank = $2, holder_id = $3, channel = $4, confirmed_at = $5,
    expires_at = $6
where id = $1
"""

_WRONG_PROOF: Final = "update pairings set tries = tries + 1 where id = $1 and tries < 5"

_COMPLETE: Final = """
update pairings set state = 'COMPLETED', completed_at = $2 where id = $1
"""

_OPEN_TRIES: Final = """
insert into pairing_tries (holder_id, bank, failures, since) values ($1, $2, 0, $3)
on conflict (holder_id) do nothing
"""

_LOCK_TRIES: Final = "select failures, since from pairing_tries where holder_id = $1 for update"

_SET_TRIES: Final = "update pairing_tries set failures = $2, since = $3 where holder_id = $1"


async def forget(work: Work, before: datetime, most: int) -> int:
    """Drop up to `most` pairings begun before a moment; answers how many. The phones they admitted
    stay, with how and when they were."""
    tag = await work.execute(_FORGET, first_id_at(before + SKEW), before, most)
    return int(tag.removeprefix("DELETE "))


_FORGET: Final = """
delete from pairings where id in (
    select id from pairings where id < $1 and created_at < $2
    order by id limit $3 for update skip locked)
"""
