"""Callers known by a bearer token, and the key under which a repeat is recognised.

Promise: a token is looked up for the door it is shown at; a holder's opens no staff door, and an
officer's none of the bank's. Who calls: the doors.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

from litestar import Request, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter

from api.resources import Resources
from api.security.staff_sessions import session_routes
from wallet.access import staff
from wallet.access.sessions import HolderSession, Recognition
from wallet.access.staff import Member, Role, StaffKind
from wallet.outcomes import Reason, Refused

T = TypeVar("T")
HolderCaller = HolderSession
StaffCaller = Member

ANONYMOUS: Final = {"anonymous": True}
"""`opt=ANONYMOUS`: this handler is open to callers without a session (signing in, pairing)."""

LONGEST_KEY: Final = 255

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

_BEARER: Final = re.compile(r"Bearer ([A-Za-z0-9_-]{43})")
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


def holder_door(path: str, handlers: Sequence[Any]) -> Router:
    """A router for phones: `caller: HolderCaller` by the token of a holder's session."""
    return Router(
        path,
        route_handlers=handlers,
        guards=[_name_holder],
        dependencies={"caller": Provide(_holder)},
        security=[{"holder": []}],
    )


def staff_door(kind: StaffKind, path: str, handlers: Sequence[Any]) -> Router:
    """A router for one kind of staff, signing in and out included: `caller: StaffCaller` by the
    token of their session."""

    async def name(connection: Connection, handler: BaseRouteHandler) -> None:
        if not handler.opt.get("anonymous"):
            works = resources_of(connection).works
            set_caller(connection, await staff.recognise(works, kind, _token(connection)))

    return Router(
        path,
        route_handlers=[*session_routes(kind), *handlers],
        guards=[name],
        dependencies={"caller": Provide(_member)},
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
    if not isinstance(caller, kind):
        raise Refused(Reason.UNAUTHENTICATED)
    return caller


async def _name_holder(connection: Connection, handler: BaseRouteHandler) -> None:
    if not handler.opt.get("anonymous"):
        recognition: Recognition = connection.app.state.recognition
        set_caller(connection, await recognition.of(_token(connection)))


async def _holder(request: Request[Any, Any, Any]) -> HolderSession:
    return named_caller(request, HolderSession)


async def _member(request: Request[Any, Any, Any]) -> Member:
    return named_caller(request, Member)


def _token(connection: Connection) -> str:
    match = _BEARER.fullmatch(connection.headers.get("authorization", ""))
    if match is None:
        raise Refused(Reason.UNAUTHENTICATED)
    return match.group(1)
