"""Signing staff in and out: the same routes at each of their doors.

Promise: one answer for every failed sign-in; the session's id is in a cookie that no script reads
and in nothing else; a new one is given by signing in and by every further proof. Who calls:
`staff_door`.
"""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta, Struct

from api.problems import DeclinedProblem
from api.resources import Resources
from api.security.browser import ended_cookie, origin_of, session_cookie, token_in
from api.wire import Body, StepUp
from wallet.access import passkeys, passphrases, staff, staff_sessions
from wallet.access.members import Member, StaffKind
from wallet.access.passkeys import Site
from wallet.access.staff import SignInTry
from wallet.access.staff_sessions import SignedIn
from wallet.identifiers import Secret
from wallet.outcomes import Declined

OF_SESSION: Final = {"session": True}
"""`opt=OF_SESSION`: about the session itself, so open before a passkey was shown."""

Base64Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=16_384,
        pattern="^[A-Za-z0-9_-]+=*$",
        examples=["q83vEjRWeJA"],
    ),
]


Told = Annotated[
    Annotated[str, Meta(max_length=16_384)] | None,
    Meta(description="Not looked at.", examples=["q83vEjRWeJA"]),
]


class StaffSignIn(Body, frozen=True, kw_only=True):
    """What a member of staff signs in with."""

    login: Annotated[str, Meta(min_length=1, max_length=64, examples=["dara.sok"])]
    passphrase: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=passphrases.LONGEST,
            examples=["the mekong turns around in november"],
        ),
    ]
    totp: Annotated[
        str, Meta(min_length=1, max_length=16, description="Six digits.", examples=["492039"])
    ]

    def __repr__(self) -> str:
        return "StaffSignIn(***)"


class StaffMember(Struct, frozen=True, kw_only=True):
    """Who is signed in, and what they may do."""

    id: UUID
    kind: Annotated[str, Meta(examples=["support"])]
    name: Annotated[str, Meta(examples=["Sok Dara"])]
    roles: Annotated[list[str], Meta(examples=[["agent"]])]
    permissions: Annotated[list[str], Meta(examples=[["case.work", "refund.ask"]])]
    bank: Annotated[str | None, Meta(examples=["ACLEDA"])]
    agency: Annotated[str | None, Meta(examples=["MCS"])]


class StaffSession(Struct, frozen=True, kw_only=True):
    """A session under a fresh id, which came as the cookie `__Host-smartid-staff`. It ends when
    unused for `idle_after_s`, at `expires_at`, or when the same person signs in again. Every write
    carries `csrf_token` as the header `X-CSRF-Token`, and asks for a proof (`step-up`, or `passkey`
    where one is needed) no older than five minutes."""

    csrf_token: Annotated[str, Meta(examples=["5Zb0Xk3Jm1sV9pQdR2tY8wL6uC4nA7eG-hF_iKoTzBE"])]
    expires_at: datetime
    idle_after_s: Annotated[int, Meta(examples=[900])]
    passkey_needed: Annotated[
        bool, Meta(description="Show a passkey, or register one, before anything else.")
    ]
    member: StaffMember


class CurrentSession(Struct, frozen=True, kw_only=True):
    """Who is signed in, and what a page that was loaded anew needs to go on."""

    csrf_token: Annotated[str, Meta(examples=["5Zb0Xk3Jm1sV9pQdR2tY8wL6uC4nA7eG-hF_iKoTzBE"])]
    member: StaffMember


class AttestationResponse(Body, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    attestation_object: Base64Url
    authenticator_data: Told = None
    public_key: Told = None
    public_key_algorithm: Annotated[int | None, Meta(examples=[-7])] = None
    transports: Annotated[list[str] | None, Meta(examples=[["internal"]])] = None


class AssertionResponse(Body, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    authenticator_data: Base64Url
    signature: Base64Url
    user_handle: Told = None


class _Credential(Body, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    id: Base64Url
    raw_id: Base64Url
    type: Annotated[str, Meta(max_length=32, examples=["public-key"])]
    client_extension_results: dict[str, Any] = msgspec.field(default_factory=dict)
    authenticator_attachment: Annotated[str | None, Meta(examples=["platform"])] = None


class NewCredential(_Credential, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A `PublicKeyCredential` of `navigator.credentials.create()`, by its own `toJSON()`."""

    response: AttestationResponse


class ShownCredential(_Credential, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A `PublicKeyCredential` of `navigator.credentials.get()`, by its own `toJSON()`."""

    response: AssertionResponse


class RegisterPasskey(Body, frozen=True, kw_only=True):
    """A new passkey. `ticket`: what was handed over in person, for a first one."""

    name: Annotated[str, Meta(min_length=1, max_length=64, examples=["Key on my ring"])]
    credential: NewCredential
    ticket: Annotated[
        Annotated[str, Meta(max_length=64)] | None,
        Meta(examples=["Vb3kq0m1Jm1sV9pQdR2tY8wL6uC4nA7e"]),
    ] = None

    def __repr__(self) -> str:
        return "RegisterPasskey(***)"


class ShowPasskey(Body, frozen=True, kw_only=True):
    """A passkey, shown for the newest challenge of this session."""

    credential: ShownCredential


class Ceremony(Struct, frozen=True, kw_only=True):
    """What to hand to `navigator.credentials`, as `public_key`. Good for two minutes and once."""

    public_key: Annotated[
        dict[str, Any], Meta(examples=[{"challenge": "q83vEjRWeJA", "rpId": "…"}])
    ]


class ShownPasskey(Struct, frozen=True, kw_only=True):
    id: UUID
    name: Annotated[str, Meta(examples=["Key on my ring"])]
    created_at: datetime
    last_used_at: datetime | None


def session_routes(kind: StaffKind) -> list[Any]:
    """Signing in and out, stepping up and passkeys, for one kind of staff."""

    @post(
        "/sessions",
        opt={"anonymous": True},
        security=[{}],
        summary="Sign in with passphrase and time code",
    )
    async def sign_in(data: StaffSignIn, resources: Resources) -> Response[StaffSession]:
        """The session comes as a cookie; a role that asks for a passkey has to show it next."""
        tried = SignInTry(
            kind=kind,
            login=data.login,
            passphrase=Secret(data.passphrase),
            code=Secret(data.totp),
        )
        signed_in = await staff.sign_in(
            resources.works, resources.vault, resources.hashing, resources.throttle, tried
        )
        return _opened(resources, signed_in, status=201)

    return [
        sign_in,
        _current,
        _sign_out,
        _step_up,
        _passkeys,
        _begin_registration,
        _register,
        _begin_proof,
        _prove,
    ]


@get("/sessions/current", opt=OF_SESSION, summary="Who is signed in")
async def _current(
    request: Request[Any, Any, Any], caller: Member, resources: Resources
) -> CurrentSession:
    csrf = staff_sessions.csrf_token(resources.vault, token_in(request))
    return CurrentSession(csrf_token=csrf, member=_shown(caller))


@delete(
    "/sessions/current",
    opt=OF_SESSION,
    status_code=204,
    summary="Sign out",
    responses={204: ResponseSpec(None, description="Signed out.")},
)
async def _sign_out(caller: Member, resources: Resources) -> Response[None]:
    await staff_sessions.sign_out(resources.works, caller)
    return Response(None, status_code=204, headers={"set-cookie": ended_cookie()})


@post(
    "/sessions/current/step-up",
    status_code=200,
    opt=OF_SESSION,
    summary="Prove with a fresh time code that it is still you",
)
async def _step_up(
    data: StepUp, request: Request[Any, Any, Any], caller: Member, resources: Resources
) -> Response[StaffSession]:
    """The session goes on under a new id. Roles that ask for a passkey show that instead."""
    return _opened(
        resources,
        await staff.step_up_session(
            resources.works, resources.vault, caller, token_in(request), Secret(data.totp)
        ),
    )


@get("/passkeys", opt=OF_SESSION, summary="My passkeys")
async def _passkeys(caller: Member, resources: Resources) -> list[ShownPasskey]:
    found = await resources.works.read(
        caller.actor, None, lambda work: passkeys.of_member(work, caller.id)
    )
    return [ShownPasskey(**msgspec.structs.asdict(one)) for one in found]


@post(
    "/passkeys/options",
    status_code=200,
    opt=OF_SESSION,
    summary="Begin registering a passkey",
)
async def _begin_registration(
    request: Request[Any, Any, Any], caller: Member, resources: Resources
) -> Ceremony:
    options = await passkeys.begin_registration(
        resources.works, _site(resources), caller, token_in(request)
    )
    return Ceremony(public_key=options)


@post("/passkeys", opt=OF_SESSION, summary="Register a passkey")
async def _register(
    data: RegisterPasskey, request: Request[Any, Any, Any], caller: Member, resources: Resources
) -> Response[StaffSession]:
    """A first one with its ticket; each further one after showing one you have. The session goes on
    under a new id."""
    outcome = await passkeys.register(
        resources.works,
        _site(resources),
        caller,
        token_in(request),
        credential=msgspec.to_builtins(data.credential),
        name=data.name,
        ticket=None if data.ticket is None else Secret(data.ticket),
    )
    return _opened(resources, outcome, status=201)


@post(
    "/sessions/current/passkey/options",
    status_code=200,
    opt=OF_SESSION,
    summary="A challenge for my passkey",
)
async def _begin_proof(
    request: Request[Any, Any, Any], caller: Member, resources: Resources
) -> Ceremony:
    options = await passkeys.begin_proof(
        resources.works, _site(resources), caller, token_in(request)
    )
    return Ceremony(public_key=options)


@post(
    "/sessions/current/passkey",
    status_code=200,
    opt=OF_SESSION,
    summary="Prove with a passkey that it is you",
)
async def _prove(
    data: ShowPasskey, request: Request[Any, Any, Any], caller: Member, resources: Resources
) -> Response[StaffSession]:
    """The session goes on under a new id."""
    outcome = await passkeys.prove(
        resources.works,
        _site(resources),
        caller,
        token_in(request),
        msgspec.to_builtins(data.credential),
    )
    return _opened(resources, outcome)


def _site(resources: Resources) -> Site:
    host = resources.policy.host
    return Site(host=host, origin=origin_of(host))


def _opened(
    resources: Resources, outcome: SignedIn | Declined, *, status: int = 200
) -> Response[StaffSession]:
    if isinstance(outcome, Declined):
        raise DeclinedProblem(outcome)
    token = outcome.token.reveal()
    shown = StaffSession(
        csrf_token=staff_sessions.csrf_token(resources.vault, token),
        expires_at=outcome.expires_at,
        idle_after_s=outcome.idle_after_s,
        passkey_needed=outcome.member.needs_passkey and not outcome.passkey_shown,
        member=_shown(outcome.member),
    )
    return Response(shown, status_code=status, headers={"set-cookie": session_cookie(token)})


def _shown(member: Member) -> StaffMember:
    return StaffMember(
        id=member.id,
        kind=member.kind.value,
        name=member.name,
        roles=sorted(member.roles),
        permissions=sorted(member.permissions),
        bank=member.bank,
        agency=member.agency,
    )
