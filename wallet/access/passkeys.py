"""Passkeys of staff (WebAuthn level 2): registered once, shown to open and to refresh a session.

Promise: a challenge is 256 random bits, kept here for two minutes, for one person, purpose and
session, and is taken away by the first answer, right or wrong; an answer counts only for our own
host and origin, from a page that is not framed, with the person verified by the authenticator;
a counter that does not grow is refused and told of, for then two authenticators share one key. The
first passkey needs a ticket that was handed over in person, each further one a passkey shown within
five minutes: passphrase and code alone never become more than they are. Only P-256 keys (ES256).

Tables owned: passkeys, passkey_challenges, passkey_tickets.

    challenge: made --answered, right or wrong--> gone; --2 min--> void; made anew--> replaced
    passkey: registered --counter went back, or its owner began anew--> revoked

Who calls: the staff doors, the operator's command and seed (tickets).
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import webauthn
from msgspec import Struct
from webauthn.helpers import base64url_to_bytes, options_to_json, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from wallet.access import staff_sessions
from wallet.access.members import Member
from wallet.access.staff_sessions import SignedIn
from wallet.database import UniqueViolation
from wallet.identifiers import Secret, StaffId, new_id
from wallet.outcomes import Declined, Reason, Refused
from wallet.work import Work, Works

CHALLENGE_LIVES: Final = timedelta(minutes=2)
TICKET_LIVES: Final = timedelta(days=7)
MOST_PASSKEYS: Final = 5
NAME: Final = "Smart ID Wallet"

_ES256: Final = [COSEAlgorithmIdentifier.ECDSA_SHA_256]
_INVALID: Final = Declined(reason=Reason.PASSKEY_INVALID)

Credential = dict[str, Any]
"""A PublicKeyCredential as its own toJSON writes it."""


class Site(Struct, frozen=True, kw_only=True):
    """Whose passkeys these are: the host, and the only origin that may ask for them."""

    host: str
    origin: str


class Passkey(Struct, frozen=True, kw_only=True):
    """One of somebody's authenticators."""

    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


async def begin_registration(works: Works, site: Site, member: Member, token: str) -> Credential:
    """Options for `navigator.credentials.create()`. Refuses: UNAUTHENTICATED, CONFLICT (five
    passkeys already)."""

    async def act(work: Work) -> Credential:
        known = await _known(work, member.id)
        if len(known) >= MOST_PASSKEYS:
            raise Refused(Reason.CONFLICT, field="passkeys")
        challenge = await _challenge(work, member, token, "register")
        options = webauthn.generate_registration_options(
            rp_id=site.host,
            rp_name=NAME,
            user_id=member.id.bytes,
            user_name=member.name,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
            supported_pub_key_algs=_ES256,
        )
        return _plain(options)

    return await works.perform(member.actor, None, act)


async def register(
    works: Works,
    site: Site,
    member: Member,
    token: str,
    *,
    credential: Credential,
    name: str,
    ticket: Secret[str] | None,
) -> SignedIn | Declined:
    """Take a new passkey in; the session goes on under a new id, with a passkey shown.

    Declines (the challenge is gone): PASSKEY_INVALID. Refuses: UNAUTHENTICATED, STEP_UP_REQUIRED
    (there are passkeys: show one first), PASSKEY_REQUIRED (there are none: a ticket is needed, and
    this is none), CONFLICT (this authenticator is registered already).
    """

    async def act(work: Work) -> SignedIn | Declined:
        await _may_register(work, member, token, ticket)
        challenge = await _spend_challenge(work, member, token, "register")
        found = None if challenge is None else _registered(site, challenge, credential)
        if found is None:
            work.note("staff.passkey_failed", str(member.id), reason="registration")
            return _INVALID
        try:
            await work.execute(
                _ADD,
                new_id(),
                member.id,
                found.credential_id,
                found.credential_public_key,
                found.sign_count,
                name,
                work.now,
            )
        except UniqueViolation:
            raise Refused(Reason.CONFLICT, field="credential") from None
        await work.execute(_DROP_TICKET, member.id)
        work.note("staff.passkey_add", str(member.id), reason=name)
        return await staff_sessions.renew(work, member, token, passkey=True)

    return await works.perform(member.actor, None, act)


async def begin_proof(works: Works, site: Site, member: Member, token: str) -> Credential:
    """Options for `navigator.credentials.get()`. Refuses: UNAUTHENTICATED, PASSKEY_REQUIRED (none
    is registered)."""

    async def act(work: Work) -> Credential:
        known = await _known(work, member.id)
        if not known:
            raise Refused(Reason.PASSKEY_REQUIRED)
        challenge = await _challenge(work, member, token, "prove")
        options = webauthn.generate_authentication_options(
            rp_id=site.host,
            challenge=challenge,
            allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return _plain(options)

    return await works.perform(member.actor, None, act)


async def prove(
    works: Works, site: Site, member: Member, token: str, credential: Credential
) -> SignedIn | Declined:
    """Show a passkey; the session goes on under a new id.

    Declines (the challenge is gone): PASSKEY_INVALID. Refuses: UNAUTHENTICATED.
    """

    async def act(work: Work) -> SignedIn | Declined:
        challenge = await _spend_challenge(work, member, token, "prove")
        known = await work.struct(_Known, _LOCK, member.id, _credential_id(credential))
        if challenge is None or known is None:
            work.note("staff.passkey_failed", str(member.id), reason="no such challenge or key")
            return _INVALID
        count = _proven(site, challenge, credential, known)
        if count is None:
            work.note("staff.passkey_failed", str(member.id), reason="proof")
            return _INVALID
        if count <= known.sign_count and (count, known.sign_count) != (0, 0):
            # Two authenticators with one key: neither is trusted any more.
            await work.execute(_REVOKE, known.id, work.now)
            work.note("staff.passkey_cloned", str(member.id), reason=f"key {known.id}")
            return _INVALID
        await work.execute(_USED, known.id, count, work.now)
        return await staff_sessions.renew(work, member, token, passkey=True)

    return await works.perform(member.actor, None, act)


async def of_member(work: Work, staff_id: StaffId) -> list[Passkey]:
    """Somebody's passkeys, oldest first."""
    return await work.structs(Passkey, _OF, staff_id)


async def may_begin(work: Work, staff_id: StaffId) -> bool:
    """Whether somebody has a passkey, or a ticket that is good for one."""
    return bool(await work.value(_MAY_BEGIN, staff_id, work.now))


async def begin_anew(work: Work, staff_id: StaffId) -> Secret[str]:
    """Revoke what passkeys somebody has, end their session, and give them a ticket for a first one:
    for a newcomer, or whose authenticator is lost. Refuses: nothing."""
    given = Secret(secrets.token_urlsafe(24))
    await work.execute(_REVOKE_ALL, staff_id, work.now)
    await staff_sessions.end(work, staff_id)
    await give_ticket(work, staff_id, given)
    return given


async def give_ticket(work: Work, staff_id: StaffId, ticket: Secret[str]) -> None:
    """Let somebody who has no passkey register a first one; the ticket before it is void."""
    await work.execute(_GIVE_TICKET, staff_id, _hash(ticket), work.now + TICKET_LIVES)
    work.note("staff.passkey_ticket", str(staff_id))


async def _may_register(work: Work, member: Member, token: str, ticket: Secret[str] | None) -> None:
    proofs = await staff_sessions.proofs_of(work, member, token)
    if await _known(work, member.id):
        staff_sessions.decide_fresh_passkey(proofs, work.now)
        return
    held = await work.row(_TICKET, member.id)
    right = (
        held is not None
        and ticket is not None
        and held["expires_at"] > work.now
        and secrets.compare_digest(held["ticket_hash"], _hash(ticket))
    )
    if not right:
        raise Refused(Reason.PASSKEY_REQUIRED)


async def _challenge(work: Work, member: Member, token: str, purpose: str) -> bytes:
    await staff_sessions.proofs_of(work, member, token)
    challenge = secrets.token_bytes(32)
    expires_at = work.now + CHALLENGE_LIVES
    await work.execute(_ISSUE, member.id, purpose, challenge, _hash(Secret(token)), expires_at)
    return challenge


async def _spend_challenge(work: Work, member: Member, token: str, purpose: str) -> bytes | None:
    """The challenge that waits for an answer in this session; it waits no longer."""
    row = await work.row(_SPEND, member.id, purpose)
    if row is None or row["expires_at"] <= work.now:
        return None
    if not secrets.compare_digest(row["token_hash"], _hash(Secret(token))):
        return None
    challenge: bytes = row["challenge"]
    return challenge


async def _known(work: Work, staff_id: StaffId) -> list[bytes]:
    return [row["credential_id"] for row in await work.rows(_IDS, staff_id)]


class _Known(Struct, frozen=True, kw_only=True):
    id: UUID
    public_key: bytes
    sign_count: int


# What an authenticator sent is hostile until verified: whatever taking it apart raises, by this
# library or by those under it, means the same.


def _registered(site: Site, challenge: bytes, credential: Credential) -> Any:
    try:
        found = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
            supported_pub_key_algs=_ES256,
        )
        _decide_not_framed(credential)
    except Exception:
        return None
    return found if 16 <= len(found.credential_id) <= 1023 else None


def _proven(site: Site, challenge: bytes, credential: Credential, known: _Known) -> int | None:
    """The authenticator's counter; None when it is no proof. The counter is judged by the caller,
    who knows what a lower one means."""
    try:
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        _decide_not_framed(credential)
    except Exception:
        return None
    return found.new_sign_count


def _decide_not_framed(credential: Credential) -> None:
    raw = base64url_to_bytes(credential["response"]["clientDataJSON"])
    if parse_client_data_json(raw).cross_origin or b'"topOrigin"' in raw:
        raise ValueError("asked for from within another site's page")


def _credential_id(credential: Credential) -> bytes:
    try:
        return base64url_to_bytes(credential["id"])
    except Exception:
        return b""


def _plain(options: Any) -> Credential:
    shown: Credential = msgspec.json.decode(options_to_json(options))
    return shown


def _hash(secret: Secret[str]) -> bytes:
    return hashlib.sha256(secret.reveal().encode()).digest()


_IDS: Final = """
select credential_id from passkeys where staff_id = $1 and revoked_at is null order by created_at
"""

_OF: Final = """
select id, name, created_at, last_used_at from passkeys
where staff_id = $1 and revoked_at is null order by created_at, id
"""

_LOCK: Final = """
select id, public_key, sign_count from passkeys
where staff_id = $1 and credential_id = $2 and revoked_at is null for update
"""

_ADD: Final = """
insert into passkeys (id, staff_id, credential_id, public_key, sign_count, name, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""

_USED: Final = "update passkeys set sign_count = $2, last_used_at = $3 where id = $1"

_REVOKE: Final = "update passkeys set revoked_at = $2 where id = $1"

_REVOKE_ALL: Final = """
update passkeys set revoked_at = $2 where staff_id = $1 and revoked_at is null
"""

_ISSUE: Final = """
insert into passkey_challenges (staff_id, purpose, challenge, token_hash, expires_at)
values ($1, $2, $3, $4, $5)
on conflict (staff_id, purpose) do update
set challenge = excluded.challenge, token_hash = excluded.token_hash,
    expires_at = excluded.expires_at
"""

_SPEND: Final = """
delete from passkey_challenges where staff_id = $1 and purpose = $2
returning challenge, token_hash, expires_at
"""

_MAY_BEGIN: Final = """
select exists (select from passkeys where staff_id = $1 and revoked_at is null)
    or exists (select from passkey_tickets where staff_id = $1 and expires_at > $2)
"""

_GIVE_TICKET: Final = """
insert into passkey_tickets (staff_id, ticket_hash, expires_at) values ($1, $2, $3)
on conflict (staff_id) do update
set ticket_hash = excluded.ticket_hash, expires_at = excluded.expires_at
"""

_TICKET: Final = (
    "select ticket_hash, expires_at from passkey_tickets where staff_id = $1 for update"
)

_DROP_TICKET: Final = "delete from passkey_tickets where staff_id = $1"
