"""Signing staff in and out: the same three routes at each of their doors.

Promise: one answer for every failed sign-in; the token is shown once and never logged.
Who calls: `staff_door`.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import delete, get, post
from msgspec import Meta, Struct

from api.resources import Resources
from api.wire import Body
from wallet.access import staff
from wallet.access.staff import LONGEST_PASSPHRASE, Member, SignInTry, StaffKind
from wallet.identifiers import Secret


class StaffSignIn(Body, frozen=True, kw_only=True):
    """What a member of staff signs in with."""

    login: Annotated[str, Meta(min_length=1, max_length=64, examples=["dara.sok"])]
    passphrase: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=LONGEST_PASSPHRASE,
            examples=["the mekong turns around in november"],
        ),
    ]
    totp: Annotated[
        str, Meta(min_length=1, max_length=16, description="Six digits.", examples=["492039"])
    ]

    def __repr__(self) -> str:
        return "StaffSignIn(***)"


class StaffMember(Struct, frozen=True, kw_only=True):
    """Who is signed in."""

    id: UUID
    kind: Annotated[str, Meta(examples=["support"])]
    name: Annotated[str, Meta(examples=["Sok Dara"])]
    roles: Annotated[list[str], Meta(examples=[["agent"]])]
    bank: Annotated[str | None, Meta(examples=["ACLEDA"])]
    agency: Annotated[str | None, Meta(examples=["MCS"])]


class StaffSession(Struct, frozen=True, kw_only=True):
    """A fresh session: send the token as `Authorization: Bearer`. It ends when unused for
    `idle_after_s`, at `expires_at`, or when the same person signs in again."""

    token: Annotated[str, Meta(examples=["3VnR1x6m2wJ0yq8T5kUe9sLhBfDgCpAaZo7iNtXrWMY"])]
    expires_at: datetime
    idle_after_s: Annotated[int, Meta(examples=[900])]
    member: StaffMember


def session_routes(kind: StaffKind) -> list[Any]:
    """POST sessions, GET and DELETE sessions/current for one kind of staff."""

    @post(
        "/sessions",
        opt={"anonymous": True},
        security=[{}],
        summary="Sign in with passphrase and time code",
    )
    async def sign_in(data: StaffSignIn, resources: Resources) -> StaffSession:
        tried = SignInTry(
            kind=kind,
            login=data.login,
            passphrase=Secret(data.passphrase),
            code=Secret(data.totp),
        )
        signed_in = await staff.sign_in(
            resources.works, resources.vault, resources.hashing, resources.throttle, tried
        )
        return StaffSession(
            token=signed_in.token.reveal(),
            expires_at=signed_in.expires_at,
            idle_after_s=signed_in.idle_after_s,
            member=_shown(signed_in.member),
        )

    @get("/sessions/current", summary="Who is signed in")
    async def current(caller: Member) -> StaffMember:
        return _shown(caller)

    @delete("/sessions/current", summary="Sign out")
    async def sign_out(caller: Member, resources: Resources) -> None:
        await staff.sign_out(resources.works, caller)

    return [sign_in, current, sign_out]


def _shown(member: Member) -> StaffMember:
    return StaffMember(
        id=member.id,
        kind=member.kind.value,
        name=member.name,
        roles=sorted(member.roles),
        bank=member.bank,
        agency=member.agency,
    )
