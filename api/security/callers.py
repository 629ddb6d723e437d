"""Callers known by a token, and the key under which a repeat is recognised.

Promise: a token is looked up for the door it is shown at; a holder's opens no staff door, and an
officer's none of the bank's. Holders send theirs as a bearer token, staff in a cookie, and no door
takes the other's way. Who calls: the doors.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from litestar import Litestar, Request, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from litestar.types import ASGIApp, Receive, Scope, Send

from api.resources import Resources
from api.security.browser import csrf_given, is_write, refuse_cross_site, token_in
from api.security.staff_sessions import session_routes
from api.throttling import RouteClass, address_in, begin, charging_strangers, take, throttled
from wallet.access import staff_sessions
from wallet.access.members import Member, Permission, StaffKind
from wallet.access.sessions import HolderSession, Recognition
from wallet.access.staff_sessions import Use
from wallet.outcomes import Reason, Refused
from wallet.repeats import tells_a_secret

T = TypeVar("T")
HolderCaller = HolderSession
StaffCaller = Member

ANONYMOUS: Final = {"anonymous": True}
"""`opt=ANONYMOUS`: this handler is open to callers without a session (signing in, pairing)."""

READING: Final = {"reading": True}
"""`opt=READING`: not a GET, and yet open to a holder whose session may only read by now."""

LOOKING: Final = {"looking": True}
"""`opt=LOOKING`: at a staff door, not a GET and yet a look: what is looked for is nothing for an
address. No fresh proof and no key are asked for; where it comes from is."""

LONGEST_KEY: Final = 255

Connection = ASGIConnection[Any, Any, Any, Any]
Headers = Iterable[tuple[bytes, bytes]]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]


class Machines(NamedTuple):
    """How a staff door names machines: false when the request is a person's; and how it signs what
    it answers to them."""

    name: Callable[[Connection, BaseRouteHandler], Awaitable[bool]]
    answer_signing: type


_BEARER: Final = re.compile(r"Bearer ([A-Za-z0-9_-]{43})")
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def holder_door(path: str, handlers: Sequence[Any]) -> Router:
    """A router for phones: `caller: HolderCaller` by the token of a holder's session."""
    return Router(
        path,
        route_handlers=handlers,
        middleware=[NamingHolder],
        dependencies={"caller": Provide(_holder)},
        security=[{"holder": []}],
    )


def staff_door(
    kind: StaffKind, path: str, handlers: Sequence[Any], *, machines: Machines | None = None
) -> Router:
    """A router for one kind of staff, signing in and out included: `caller: StaffCaller` by the
    cookie of their session; writes carry the session's CSRF token and need a fresh proof.
    `machines` names the house's own systems, where a handler lets them."""

    async def name(connection: Connection, handler: BaseRouteHandler) -> None:
        if handler.opt.get("anonymous"):
            refuse_cross_site(connection, resources_of(connection).policy.host)
            await throttled(connection, RouteClass.OPEN, address=address_in(connection.scope))
        elif machines is None or not await machines.name(connection, handler):
            refuse_cross_site(connection, resources_of(connection).policy.host)
            naming = _recognised(kind, connection, handler)
            member = await charging_strangers(connection, naming)
            set_caller(connection, member)
            await throttled(connection, RouteClass.STAFF, person=str(member.id))

    return Router(
        path,
        route_handlers=[*session_routes(kind), *handlers],
        guards=[name],
        dependencies={"caller": Provide(_member)},
        middleware=[] if machines is None else [machines.answer_signing],
        security=[{"staff": []}],
    )


def with_permission(permission: Permission) -> Guard:
    """A guard for one handler behind a staff door: only for members who may do this."""

    async def check(connection: Connection, handler: BaseRouteHandler) -> None:
        caller = connection.scope["state"].get("caller")
        if not isinstance(caller, Member) or not caller.may(permission):
            raise Refused(Reason.FORBIDDEN, permission=permission.value)

    return check


def idempotency_key(
    idempotency_key_header: Annotated[
        str | None,
        Parameter(
            header="Idempotency-Key",
            description="Names this request for good: sent again, it is answered and not repeated. "
            "1 to 255 printable ASCII characters.",
        ),
    ] = None,
) -> str:
    """The `idempotency_key` dependency of writes.

    Refuses: IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_INVALID.
    """
    if idempotency_key_header is None:
        raise Refused(Reason.IDEMPOTENCY_KEY_MISSING)
    if not _KEY.fullmatch(idempotency_key_header) or tells_a_secret(idempotency_key_header):
        raise Refused(Reason.IDEMPOTENCY_KEY_INVALID)
    return idempotency_key_header


def resources_of(connection: Connection) -> Resources:
    resources: Resources = connection.app.state.resources
    return resources


def set_caller(connection: Connection, caller: Any) -> None:
    connection.scope["state"]["caller"] = caller


def named_caller(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """An open handler that asks for its caller all the same is refused, not handed nobody."""
    caller = request.scope["state"].get("caller")
    if caller is None or not isinstance(caller, kind):
        raise Refused(Reason.UNAUTHENTICATED)
    return caller


class NamingHolder:
    """Names the holder before the handler is prepared. A guard would do the same, but the
    framework copies the handler for each guard on every request, and this is the busiest door."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        opt = scope["route_handler"].opt
        if opt.get("anonymous"):
            resources: Resources = scope["litestar_app"].state.resources
            await take(resources, RouteClass.OPEN, address=address_in(scope))
        else:
            read = scope.get("method") in ("GET", "HEAD")
            route = RouteClass.READ if read else RouteClass.WRITE
            reading = read or bool(opt.get("reading"))
            app = scope["litestar_app"]
            scope["state"]["caller"] = await admitted(app, scope, route, reading=reading)
        await self._app(scope, receive, send)


async def admitted(
    app: Litestar, scope: Any, route: RouteClass, *, reading: bool = False
) -> HolderSession:
    """The holder whose session's token the request carries, within their rate; `reading`: only to
    look.

    Refuses: UNAUTHENTICATED, SIGN_IN_AGAIN, RATE_LIMITED.
    """
    resources: Resources = app.state.resources
    recognition: Recognition = app.state.recognition
    taking: Awaitable[None] | None = None
    try:
        token = _bearer_in(scope["headers"])
        # A token is one person's for good, so both are asked at once where it was seen before:
        # whether it still opens anything, and whether they are within their rate.
        supposed = recognition.last_seen(token)
        if supposed is not None:
            taking = begin(resources, route, "person", str(supposed))
        caller = await recognition.of(token, reading=reading)
    except Refused as refused:
        if taking is not None:
            await _heard(taking)
        if refused.reason is Reason.UNAUTHENTICATED:
            await take(resources, RouteClass.FAILED, address=address_in(scope))
        raise
    await (taking or begin(resources, route, "person", str(caller.holder_id)))
    return caller


async def _heard(taking: Awaitable[None]) -> None:
    """Who is nobody is told that, whatever their bucket says."""
    with suppress(Refused):
        await taking


async def _holder(request: Request[Any, Any, Any]) -> HolderSession:
    return named_caller(request, HolderSession)


async def _member(request: Request[Any, Any, Any]) -> Any:
    """A member of staff; or a machine, which the guard lets only where it may be."""
    return named_caller(request, object)


async def _recognised(kind: StaffKind, connection: Connection, handler: BaseRouteHandler) -> Member:
    resources = resources_of(connection)
    token = token_in(connection)
    writes = is_write(connection)
    if writes:
        staff_sessions.decide_csrf(resources.vault, token, csrf_given(connection))
    use = Use.WRITE if writes and not handler.opt.get("looking") else Use.READ
    if handler.opt.get("session"):
        use = Use.SESSION
    return await staff_sessions.recognise(resources.works, kind, token, use)


def _bearer_in(headers: Headers) -> str:
    given = [value for name, value in headers if name == b"authorization"]
    match = _BEARER.fullmatch(given[0].decode("latin-1")) if len(given) == 1 else None
    if match is None:
        raise Refused(Reason.UNAUTHENTICATED)
    return match.group(1)
