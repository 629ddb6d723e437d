"""Callers known by a bearer token, and the key under which a repeat is recognised.

Promise: a token is looked up for the door it is shown at; a holder's opens no staff door, and an
officer's none of the bank's. Who calls: the doors.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from litestar import Litestar, Request, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from litestar.types import ASGIApp, Receive, Scope, Send

from api.resources import Resources
from api.security.staff_sessions import session_routes
from api.throttling import RouteClass, address_in, charging_strangers, take, throttled
from wallet.access import staff
from wallet.access.sessions import HolderSession, Recognition
from wallet.access.staff import Member, Role, StaffKind
from wallet.outcomes import Reason, Refused
from wallet.work import Works

T = TypeVar("T")
HolderCaller = HolderSession
StaffCaller = Member

ANONYMOUS: Final = {"anonymous": True}
"""`opt=ANONYMOUS`: this handler is open to callers without a session (signing in, pairing)."""

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
    token of their session. `machines` names the house's own systems, where a handler lets them."""

    async def name(connection: Connection, handler: BaseRouteHandler) -> None:
        if handler.opt.get("anonymous"):
            await throttled(connection, RouteClass.OPEN, address=address_in(connection.scope))
        elif machines is None or not await machines.name(connection, handler):
            works = resources_of(connection).works
            naming = _recognised(works, kind, connection)
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


def with_role(role: Role) -> Guard:
    """A guard for one handler behind a staff door: only for members with `role`."""

    async def check(connection: Connection, handler: BaseRouteHandler) -> None:
        caller = connection.scope["state"].get("caller")
        if not isinstance(caller, Member) or role not in caller.roles:
            raise Refused(Reason.FORBIDDEN, role=role.value)

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
    if not _KEY.fullmatch(idempotency_key_header):
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
        if scope["route_handler"].opt.get("anonymous"):
            resources: Resources = scope["litestar_app"].state.resources
            await take(resources, RouteClass.OPEN, address=address_in(scope))
        else:
            reading = scope.get("method") in ("GET", "HEAD")
            route = RouteClass.READ if reading else RouteClass.WRITE
            scope["state"]["caller"] = await admitted(scope["litestar_app"], scope, route)
        await self._app(scope, receive, send)


async def admitted(app: Litestar, scope: Any, route: RouteClass) -> HolderSession:
    """The holder whose session's token the request carries, within their rate.

    Refuses: UNAUTHENTICATED, RATE_LIMITED.
    """
    resources: Resources = app.state.resources
    try:
        caller = await named_by_token(app, scope["headers"])
    except Refused as refused:
        if refused.reason is Reason.UNAUTHENTICATED:
            await take(resources, RouteClass.FAILED, address=address_in(scope))
        raise
    await take(resources, route, person=str(caller.holder_id))
    return caller


async def named_by_token(app: Litestar, headers: Headers) -> HolderSession:
    """The holder whose session's token stands in these headers. Refuses: UNAUTHENTICATED."""
    recognition: Recognition = app.state.recognition
    return await recognition.of(_bearer_in(headers))


async def _holder(request: Request[Any, Any, Any]) -> HolderSession:
    return named_caller(request, HolderSession)


async def _member(request: Request[Any, Any, Any]) -> Any:
    """A member of staff; or a machine, which the guard lets only where it may be."""
    return named_caller(request, object)


async def _recognised(works: Works, kind: StaffKind, connection: Connection) -> Member:
    return await staff.recognise(works, kind, _token(connection))


def _token(connection: Connection) -> str:
    return _bearer_in(connection.scope["headers"])


def _bearer_in(headers: Headers) -> str:
    given = [value for name, value in headers if name == b"authorization"]
    match = _BEARER.fullmatch(given[0].decode("latin-1")) if len(given) == 1 else None
    if match is None:
        raise Refused(Reason.UNAUTHENTICATED)
    return match.group(1)
