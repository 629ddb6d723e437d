"""Signing in and out at the phones' door.

Promise: one answer whatever was wrong with a sign-in. Who calls: the app.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import delete, get, post
from msgspec import Meta, Struct

from api.resources import Resources
from api.security import ANONYMOUS, READING, HolderCaller
from api.wire import Body
from wallet.access import sessions
from wallet.access.sessions import LoginTry
from wallet.access.signing import unbase64url
from wallet.identifiers import DeviceId, HolderId, Secret
from wallet.outcomes import Reason, Refused
from wallet.throttle import LOGIN_NONCE_S, RetryAfter

CHALLENGES_PER_MINUTE: Final = 20


class WhichDevice(Body, frozen=True, kw_only=True):
    device_id: DeviceId


class Challenge(Struct, frozen=True, kw_only=True):
    """A nonce to sign once: over ("cswallet.login.v1", nonce, device_id, host)."""

    challenge: str
    host: str
    expires_in_s: int = LOGIN_NONCE_S


class SignIn(Body, frozen=True, kw_only=True):
    device_id: DeviceId
    challenge: Annotated[str, Meta(max_length=128)]
    signature: Annotated[str, Meta(max_length=128, description="ES256, r || s, base64url.")]
    pin: Annotated[str, Meta(min_length=1, max_length=12)]

    def __repr__(self) -> str:
        return "SignIn(***)"


class OpenedSession(Struct, frozen=True, kw_only=True):
    """The token is shown this once: send it as `Authorization: Bearer`."""

    token: str
    holder_id: HolderId
    expires_at: datetime
    idle_after_s: int

    def __repr__(self) -> str:
        return "OpenedSession(***)"


class ShownSession(Struct, frozen=True, kw_only=True):
    """`may_act`: money may be moved with it; otherwise it only reads."""

    session_id: UUID
    device_id: DeviceId
    created_at: datetime
    last_seen_at: datetime
    may_act: bool
    current: bool


@post("/login-challenges", opt=ANONYMOUS, security=[], summary="A nonce to sign in with")
async def issue_challenge(data: WhichDevice, resources: Resources) -> Challenge:
    admitted = await resources.throttle.admit(
        "login-challenge", CHALLENGES_PER_MINUTE, CHALLENGES_PER_MINUTE, tag=str(data.device_id)
    )
    if isinstance(admitted, RetryAfter):
        raise Refused(Reason.RATE_LIMITED, retry_after_s=admitted.seconds)
    nonce = await resources.throttle.issue_login_nonce(str(data.device_id))
    return Challenge(challenge=nonce, host=resources.policy.host)


@post("/sessions", opt=ANONYMOUS, security=[], summary="Sign in with the device's key and the PIN")
async def sign_in(data: SignIn, resources: Resources) -> OpenedSession:
    signed_in = await sessions.sign_in(
        resources.works,
        resources.vault,
        resources.hashing,
        resources.throttle,
        resources.policy.host,
        LoginTry(
            device_id=data.device_id,
            challenge=data.challenge,
            signature=unbase64url(data.signature, field="signature"),
            pin=Secret(data.pin),
        ),
    )
    return OpenedSession(
        token=signed_in.token.reveal(),
        holder_id=signed_in.holder_id,
        expires_at=signed_in.expires_at,
        idle_after_s=signed_in.idle_after_s,
    )


@delete("/sessions/current", opt=READING, summary="Sign out")
async def sign_out(caller: HolderCaller, resources: Resources) -> None:
    await sessions.sign_out(resources.works, caller)


@get("/sessions", summary="Where I am signed in")
async def list_sessions(caller: HolderCaller, resources: Resources) -> list[ShownSession]:
    found = await resources.works.read(
        caller.actor, caller.bank, lambda work: sessions.listed(work, caller)
    )
    return [
        ShownSession(
            session_id=one.id,
            device_id=one.device_id,
            created_at=one.created_at,
            last_seen_at=one.last_seen_at,
            may_act=one.may_act,
            current=one.current,
        )
        for one in found
    ]


@delete("/sessions/{session_id:uuid}", opt=READING, summary="End one of my sessions, at once")
async def end_session(session_id: UUID, caller: HolderCaller, resources: Resources) -> None:
    await sessions.end(resources.works, caller, session_id)


HANDLERS: Final[list[Any]] = [issue_challenge, sign_in, sign_out, list_sessions, end_session]
